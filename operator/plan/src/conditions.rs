//! The conditions of the object, all present from the first write.

use crate::decide::Action;
use crate::snapshot::{SlotFact, Snapshot, slot_name};
use spread_operator_api::SlotsStatus;

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Not known yet.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// A condition without its times, which the driver keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedCondition {
    /// Its type.
    pub r#type: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// All conditions, in their fixed order.
pub(crate) fn conditions(
    snapshot: &Snapshot<'_>,
    action: &Action,
    slots: &SlotsStatus,
) -> Vec<PlannedCondition> {
    let facts = Facts::of(snapshot, slots);
    vec![
        ready(action, &facts),
        available(&facts),
        reconciling(action, &facts),
        stalled(action),
        degraded(&facts),
        slots_available(snapshot, slots),
        membership(&facts),
        paused(snapshot),
    ]
}

struct Facts {
    expected: u32,
    running: u32,
    in_ring: u32,
}

impl Facts {
    fn of(snapshot: &Snapshot<'_>, slots: &SlotsStatus) -> Self {
        let count = |wanted: fn(&SlotFact) -> bool| {
            let number = snapshot.slots.iter().filter(|fact| wanted(fact)).count();
            u32::try_from(number).unwrap_or(u32::MAX)
        };
        Self {
            expected: snapshot.wanted().min(slots.total),
            running: count(|fact| matches!(fact, SlotFact::Running { .. })),
            in_ring: count(|fact| matches!(fact, SlotFact::Running { in_ring: true })),
        }
    }

    fn whole(&self) -> bool {
        self.running == self.expected && self.in_ring == self.expected
    }
}

fn condition(
    r#type: &'static str,
    status: impl Into<ConditionStatus>,
    reason: &'static str,
    message: impl Into<String>,
) -> PlannedCondition {
    PlannedCondition { r#type, status: status.into(), reason, message: message.into() }
}

fn ready(action: &Action, facts: &Facts) -> PlannedCondition {
    let text = format!("{} of {} daemons are in the ring", facts.in_ring, facts.expected);
    match action {
        Action::Invalid(violations) => {
            let first = violations.first().map(ToString::to_string).unwrap_or_default();
            condition("Ready", false, "InvalidSpec", first)
        }
        Action::NewRingNeeded { slots, wanted, .. } => condition(
            "Ready",
            false,
            "Degraded",
            format!("{wanted} daemons are wanted and the ring has {slots} slots"),
        ),
        _ if facts.whole() => condition("Ready", true, "Ready", text),
        _ if facts.in_ring == 0 => condition("Ready", false, "RingForming", text),
        _ => condition("Ready", false, "Degraded", text),
    }
}

fn available(facts: &Facts) -> PlannedCondition {
    let holds = facts.in_ring > 0;
    let reason = if holds { "MembersPresent" } else { "NoMembers" };
    condition("Available", holds, reason, format!("{} daemons serve", facts.in_ring))
}

fn reconciling(action: &Action, facts: &Facts) -> PlannedCondition {
    let (reason, message) = match action {
        Action::FillSlot { slot } => ("Scaling", format!("{} is started", slot_name(*slot))),
        Action::FreeSlot { slot } => ("Scaling", format!("{} leaves", slot_name(*slot))),
        Action::Restart { slot } => ("Scaling", format!("{} is started again", slot_name(*slot))),
        Action::WaitToRestart { slot, .. } => {
            ("Scaling", format!("{} died and is started again soon", slot_name(*slot)))
        }
        Action::NewRingNeeded { next_slots, .. } => {
            ("CreatingRing", format!("a new ring with {next_slots} slots is needed"))
        }
        Action::Steady | Action::Invalid(_) if facts.whole() => {
            return condition("Reconciling", false, "Steady", "nothing is to be done");
        }
        Action::Steady => ("Scaling", "daemons are joining or leaving".to_owned()),
        Action::Invalid(_) => {
            return condition("Reconciling", false, "InvalidSpec", "waits for a valid object");
        }
    };
    condition("Reconciling", true, reason, message)
}

fn stalled(action: &Action) -> PlannedCondition {
    match action {
        Action::Invalid(violations) => {
            let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
            condition("Stalled", true, "InvalidSpec", all.join("; "))
        }
        _ => condition("Stalled", false, "Progressing", "no help is needed"),
    }
}

fn degraded(facts: &Facts) -> PlannedCondition {
    let missing = facts.expected.saturating_sub(facts.in_ring);
    let reason = if missing > 0 { "MembersMissing" } else { "Whole" };
    condition("Degraded", missing > 0, reason, format!("{missing} daemons are missing"))
}

fn slots_available(snapshot: &Snapshot<'_>, slots: &SlotsStatus) -> PlannedCondition {
    let spare = snapshot.cluster.spec.slots.min_spare;
    let reason = match slots.free {
        0 if spare > 0 => "Exhausted",
        free if free < spare => "SpareLow",
        _ => "EnoughSpare",
    };
    let message = format!("{} of {} slots are free, {spare} wanted", slots.free, slots.total);
    condition("SlotsAvailable", slots.free >= spare, reason, message)
}

fn membership(facts: &Facts) -> PlannedCondition {
    if facts.running == 0 {
        let message = "no daemon has reported yet";
        return condition("MembershipConsistent", ConditionStatus::Unknown, "Unknown", message);
    }
    let consistent = facts.running == facts.in_ring;
    let reason = if consistent { "Consistent" } else { "Split" };
    let message = format!("{} of {} running daemons see all of them", facts.in_ring, facts.running);
    condition("MembershipConsistent", consistent, reason, message)
}

fn paused(snapshot: &Snapshot<'_>) -> PlannedCondition {
    let paused = snapshot.cluster.spec.paused;
    let reason = if paused { "SpecPaused" } else { "NotPaused" };
    condition("ReconciliationPaused", paused, reason, format!("spec.paused is {paused}"))
}
