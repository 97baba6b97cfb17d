//! `kubectl spread`: one screen about a SpreadCluster, what a change of its size would need, a manifest for a site of the
//! original, and a bundle for a bug report.
//!
//! What it shows is made by pure functions from what was fetched:
//!
//! ```text
//! API server ─ fetch ─ Facts ─┬─ screen()  text
//!                             ├─ check()   verdict of the planner
//!                             └─ bundle()  files without secrets
//! spread.conf ─ import() ─ manifest
//! ```

mod fetch;
mod import;
mod redact;
mod report;
mod scale;
mod screen;
mod table;

pub use fetch::{Facts, Fetcher};
pub use import::{Imported, import};
pub use redact::redact;
pub use report::{File, bundle, write_tar};
pub use scale::{Verdict, check};
pub use screen::{Style, screen};

/// Label that every child of a cluster has, with the cluster's name.
pub const CLUSTER_LABEL: &str = "spread-operator.dev/cluster";
