//! The bytes and the vocabulary that all parts of the data plane share.
//!
//! * [`ids`] names for daemons, configurations, endpoints, sessions and groups;
//! * [`name`] the bytes of names;
//! * [`time`] instants and durations as the pure crates see them;
//! * [`service`] the six services and the type bits of the client protocol;
//! * [`link`] what a front and an engine say to each other;
//! * [`frame`] the client protocol's frames (applications to daemon and back);
//! * [`ordered`] the requests and tables that travel in the ring's total order;
//! * [`packet`] what daemons send each other;
//! * [`arena`], [`buffers`] and [`queue`] memory that is used again and again.
//!
//! Pure: no clock, socket, task or environment. Whatever comes from another process is refused with
//! an error, never with a panic.

pub mod arena;
pub mod buffers;
pub mod frame;
pub mod ids;
pub mod link;
pub mod name;
pub mod ordered;
pub mod packet;
pub mod queue;
pub mod service;
pub mod time;
