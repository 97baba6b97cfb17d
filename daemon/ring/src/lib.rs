//! The ring: one total order, flow control, membership and recovery with extended virtual synchrony.
//!
//! Start with [`Ring`]; [`interface`] is all that goes in and comes out. Phases: `operational` (the token goes round),
//! `gather` (who is there?), `form` (hand over what is missing, install together).

mod claims;
mod counters;
mod defaults;
mod form;
mod gather;
pub mod interface;
mod meet;
mod operational;
mod order;
mod pack;
mod parts;
mod paths;
mod ring;

pub use counters::{Counters, Status};
pub use interface::*;
pub use ring::Ring;
