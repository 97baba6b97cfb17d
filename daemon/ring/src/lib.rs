//! The ring: one total order, flow control, membership and recovery with extended virtual synchrony.

pub mod interface;

pub use interface::*;
