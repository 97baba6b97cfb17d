//! Deterministic simulator of whole clusters, with the oracle.
//!
//! [`plan::Plan`] says what happens (made of a seed, or of a [`scenario`] file), [`world::World`] lets it happen to real
//! daemons (front, engine, ring) on a virtual network, [`history::History`] keeps what daemons and applications saw, and
//! [`oracle`] judges it, one file per promise. [`run`] puts these together.
//!
//! ```
//! let outcome = spread_sim::run::seed(1);
//! assert_eq!(outcome.violations, []);
//! ```

mod act;
mod client;
pub mod coverage;
mod drive;
mod endpoint;
mod expect;
pub mod fault;
pub mod history;
pub mod language;
pub mod network;
pub mod node;
pub mod oracle;
pub mod picked;
pub mod plan;
pub mod random;
pub mod run;
pub mod scenario;
pub mod settings;
pub mod trace;
pub mod world;
