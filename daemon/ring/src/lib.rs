//! The ring: one total order, flow control, membership and recovery with extended virtual synchrony.
//!
//! Start with [`Ring`]; [`interface`] is all that goes in and comes out. Phases: `operational` (the token goes round, `visit` is what
//! happens while it is here), `gather` (who is there?), `form` (hand over what is missing, install together). `meet` has daemons outside
//! the ring, `claims` two that want one slot, `order` what was received and what may be delivered.

mod candidates;
mod claims;
mod counters;
mod defaults;
mod form;
mod gather;
mod install;
pub mod interface;
mod leaving;
mod meet;
mod operational;
mod order;
mod pack;
mod parts;
mod paths;
mod rest;
mod ring;
mod sending;
mod visit;
mod watch;

pub use counters::{Counters, Status};
pub use interface::*;
pub use ring::Ring;
