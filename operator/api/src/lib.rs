//! The `SpreadCluster` object: what a user asks for, what is reported back, and the rules between
//! its fields.
//!
//! Pure: types and functions over them. The rules exist twice, as CEL in the schema (an API server
//! refuses a bad object at once) and as [`validate`] (the local run and the operator use it); a test
//! holds the two lists together.

mod cluster;
mod options;
mod pods;
mod rule;
mod status;
mod validate;

pub use cluster::{Slots, SpreadCluster, SpreadClusterSpec};
pub use options::*;
pub use pods::PodTemplate;
pub use status::*;
pub use validate::{Violation, validate};

/// API group of the object, and prefix of the annotations and labels that are ours.
pub const GROUP: &str = "spread-operator.dev";

/// Version of the object's API.
pub const VERSION: &str = "v1alpha1";

/// Name of the product, as users read it.
pub const PRODUCT: &str = "spread-operator";

/// Longest cluster name in bytes: with it the name of every child fits into 63.
pub const NAME_MAX_BYTES: usize = 40;

/// Most slots that one ring can have.
pub const SLOTS_MAX: u32 = 1024;
