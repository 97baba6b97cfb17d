//! The `SpreadCluster` object: what a user asks for, what is reported back, and the rules between
//! its fields.
//!
//! Pure: types and functions over them. The rules exist twice, as CEL in the schema (an API server
//! refuses a bad object at once) and as [`validate`] (the local run and the operator use it); a test
//! holds the two lists together.

mod choice;
mod clients;
mod cluster;
mod conditions;
mod definition;
mod options;
mod pods;
mod rule;
mod security;
mod status;
mod validate;

pub use clients::*;
pub use cluster::{Slots, SpreadCluster, SpreadClusterSpec};
pub use conditions::{CONDITIONS, ConditionInfo};
pub use definition::{DEFINITION_REVISION, DEFINITION_REVISION_ANNOTATION, definition};
pub use options::*;
pub use pods::PodTemplate;
pub use security::*;
pub use status::*;
pub use validate::{Violation, validate, validate_new};

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

/// One-off requests: an annotation with a value of the user's choice, answered in
/// `status.lastHandledRequests`. The same value is acted on once.
pub mod requests {
    /// All daemons restart, one after the other.
    pub const RESTART: &str = "spread-operator.dev/restart";
    /// The ring gets a new key.
    pub const ROTATE_KEYS: &str = "spread-operator.dev/rotate-keys";
    /// A switch-over that waits begins. Not in force yet.
    pub const SWITCHOVER: &str = "spread-operator.dev/switchover";
    /// A switch-over goes back. Not in force yet.
    pub const ABORT: &str = "spread-operator.dev/abort";
}
