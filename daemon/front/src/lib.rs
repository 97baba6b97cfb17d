//! The client protocol: one endpoint and its sessions.
//!
//! [`Front`] owns what applications see: handshake, names, access rules, delivery, slow readers. What is to be ordered goes to the
//! engine as numbered requests; what the engine delivers goes to sessions as frames. `handshake` takes a connection to a session,
//! `session` handles its requests, `delivery` what comes back, `access` the rules.

mod access;
mod connection;
mod delivery;
mod front;
mod handshake;
mod reattach;
mod session;
mod settings;

pub use access::{AccessRule, Action, Operation, Pattern};
pub use front::{ConnectionId, Counters, Front, FrontOutput, SessionStatus, Status};
pub use settings::{
    AddressRule, Authentication, FrontSettings, PasswordCheck, Passwords, Peer, SlowReader,
};
