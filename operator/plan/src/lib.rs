//! The planner: facts in, exactly one next action, every object and the whole status out.
//!
//! ```text
//!                    ┌─ Snapshot ─ plan() ─────── Action            (processes: the local run)
//!   SpreadCluster ───┤
//!   daemons, time    └─ Facts ─ decide() ─ children(), status()     (Kubernetes: the controller)
//! ```
//!
//! It has no clock and talks to nobody: the Kubernetes controller and the local run carry out the
//! same actions, and ask again after each one. That makes every action a point where the driver may
//! die: the next one continues from the facts.

mod children;
mod conditions;
mod decide;
mod decision;
mod facts;
mod handover;
mod keys;
mod membership;
pub mod names;
mod nodes;
mod ring_config;
mod snapshot;
mod status;
mod trouble;

pub use children::{
    CHILD_KINDS, CertificateFacts, Child, Material, NamespaceFact, SECRET_TYPE, certificate_is_due,
    certificate_secret, children, client_copy, copied_to, ring_conf, services, wanted_names,
};
pub use conditions::{ConditionStatus, PlannedCondition, accepted, retrying, unreadable};
pub use decide::{Action, Plan, plan, restart_backoff_millis};
pub use decision::{Decision, decide};
pub use facts::{DaemonReport, Facts, OperatorDefaults, PodFact, Ring, RingRecord};
pub use handover::{
    CertificateObject, HandoverStep, SecretOrigin, handover_step, mounts_own_certificate,
};
pub use keys::{KeyStep, RingKeys, key_ids, key_step};
pub use membership::{View, view};
pub use nodes::{NodeFact, eligible};
pub use ring_config::{Access, RingConfig, SlotPlace};
pub use snapshot::{SlotFact, Snapshot, slot_name};
pub use spread_conf::RenderError;
pub use status::{status, status_of_conditions};
pub use trouble::{Trouble, TroubleKind};

#[cfg(test)]
mod tests;
