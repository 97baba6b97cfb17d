//! Groups and endpoints over a ring.
//!
//! The ring is a black box: configurations and payloads in, payloads to order out. [`Engine`] turns
//! its deliveries into sessions, groups and views, the same at every daemon; [`Daemon`] is the two
//! of them put together, and what a driver or a simulator holds.
//!
//! ```text
//! front ⇄ link ⇄ Engine ⇄ Ring ⇄ peers
//!                └──── Daemon ────┘
//! ```
//!
//! Follow a change through `engine` (what is delivered when), `apply` (what a request does), `groups`
//! (the state), `view` (who is told), `exchange` and `merge` (how the states of several components
//! become one), `attach` and `links` (endpoints in other processes), `parts` (large messages).

mod apply;
mod attach;
mod daemon;
mod engine;
mod exchange;
mod groups;
mod links;
mod merge;
mod outbound;
mod parts;
mod route;
mod settings;
mod view;

pub use daemon::{Daemon, DaemonOutput};
pub use engine::{Counters, Engine, EngineStatus};
pub use groups::{Endpoint, Group, Member, MemberKey, Session, State};
pub use merge::{Merged, MergedView, merge};
pub use parts::Parts;
pub use settings::{Bounds, EngineOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription};
