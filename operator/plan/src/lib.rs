//! The planner: facts in, exactly one next action and the whole status out.
//!
//! ```text
//!   SpreadCluster ─┐
//!                  ├─ Snapshot ─ plan() ─ Plan { action, slots, conditions }
//!   daemons, time ─┘
//! ```
//!
//! It has no clock and talks to nobody: the Kubernetes controller and the local run carry out the
//! same actions, and ask again after each one. That makes every action a point where the driver may
//! die: the next one continues from the facts.

mod conditions;
mod decide;
mod ring_config;
mod snapshot;

pub use conditions::{ConditionStatus, PlannedCondition};
pub use decide::{Action, Plan, plan, restart_backoff_millis};
pub use ring_config::{RingConfig, SlotPlace};
pub use snapshot::{SlotFact, Snapshot, slot_name};
pub use spread_conf::RenderError;

#[cfg(test)]
mod tests;
