//! The client protocol: one endpoint and its sessions.
//!
//! [`Front`] owns what applications see: handshake, names, access rules, delivery, slow readers. What is to be ordered goes to the
//! engine as numbered requests; what the engine delivers goes to sessions as frames. `handshake` takes a connection to a session,
//! `session` handles its requests, `large` what goes in parts,
//! `delivery` what comes back (`run`: many messages at once), `access` the rules, `reattach` and `seen` a move to
//! another daemon.

mod access;
mod connection;
mod delivery;
mod front;
mod handshake;
mod large;
mod reattach;
mod run;
mod seen;
mod session;
mod settings;
mod window;

pub use access::{AccessRule, Action, Operation, Pattern};
pub use front::{ConnectionId, Counters, Front, FrontOutput, SessionStatus, Status};
pub use settings::{
    AddressRule, Authentication, FrontSettings, LARGE_BYTES, PART_BYTES, PasswordCheck, Passwords,
    Peer, SlowReader,
};
