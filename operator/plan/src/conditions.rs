//! The conditions of the object, all present from the first write.

use crate::decide::Action;
use crate::decision::Decision;
use crate::facts::{Facts, PodFact};
use crate::snapshot::slot_name;
use crate::trouble::{Trouble, TroubleKind, gravest};

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

impl ConditionStatus {
    /// As Kubernetes writes it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times.
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

fn condition(
    r#type: &'static str,
    status: impl Into<ConditionStatus>,
    reason: &'static str,
    message: impl Into<String>,
) -> PlannedCondition {
    PlannedCondition { r#type, status: status.into(), reason, message: message.into() }
}

/// What is said the moment that the object is seen, before anything is known.
pub fn accepted() -> Vec<PlannedCondition> {
    spread_operator_api::CONDITIONS
        .iter()
        .map(|info| {
            let status = match info.r#type {
                "Reconciling" => ConditionStatus::True,
                "Stalled" => ConditionStatus::False,
                _ => ConditionStatus::Unknown,
            };
            let reason = if info.r#type == "MembershipConsistent" { "Unknown" } else { "Accepted" };
            condition(info.r#type, status, reason, "the object was seen")
        })
        .collect()
}

/// All conditions of an object that cannot be read: only that is known.
pub fn unreadable(trouble: &Trouble) -> Vec<PlannedCondition> {
    let reason = trouble.kind.stalled_reason().unwrap_or("OperatorTooOld");
    let mut all = accepted();
    for one in &mut all {
        let (status, reason) = match one.r#type {
            "Ready" => (ConditionStatus::False, "Stalled"),
            "Reconciling" => (ConditionStatus::False, "Stalled"),
            "Stalled" => (ConditionStatus::True, reason),
            _ => continue,
        };
        (one.status, one.reason, one.message) = (status, reason, trouble.message.clone());
    }
    all
}

/// All conditions, in their fixed order.
pub fn conditions(facts: &Facts<'_>, decision: &Decision) -> Vec<PlannedCondition> {
    let stall = stalled(facts, decision);
    vec![
        ready(facts, decision, &stall),
        available(facts),
        reconciling(facts, decision, &stall),
        stall,
        degraded(facts, decision),
        slots_available(facts, decision),
        membership(facts, decision),
        paused(facts),
    ]
}

fn in_ring(decision: &Decision) -> usize {
    decision.view.in_ring.len()
}

fn ready(facts: &Facts<'_>, decision: &Decision, stall: &PlannedCondition) -> PlannedCondition {
    let text = format!("{} of {} daemons are in the ring", in_ring(decision), decision.expected);
    let ready = |holds: bool, reason, message| condition("Ready", holds, reason, message);
    if stall.status == ConditionStatus::True {
        let reason = if stall.reason == "InvalidSpec" { "InvalidSpec" } else { "Stalled" };
        return ready(false, reason, stall.message.clone());
    }
    match &decision.action {
        Action::Roll { .. } => ready(false, "Rolling", text),
        _ if gravest(&facts.troubles).is_some() && !decision.ring.exists => {
            ready(false, "RingForming", text)
        }
        _ if decision.whole() && !decision.view.split => ready(true, "Ready", text),
        _ if in_ring(decision) == 0 => ready(false, "RingForming", text),
        _ => ready(false, "Degraded", text),
    }
}

fn available(facts: &Facts<'_>) -> PlannedCondition {
    let serving = facts.pods.iter().filter(|pod| pod.ready && !pod.terminating).count();
    let reason = if serving > 0 { "MembersPresent" } else { "NoMembers" };
    condition("Available", serving > 0, reason, format!("{serving} daemons accept sessions"))
}

fn reconciling(
    facts: &Facts<'_>,
    decision: &Decision,
    stall: &PlannedCondition,
) -> PlannedCondition {
    let no = |reason, message: &str| condition("Reconciling", false, reason, message);
    if facts.cluster.spec.paused {
        return no("Paused", "nothing is done while spec.paused is true");
    }
    if stall.status == ConditionStatus::True {
        let reason = if stall.reason == "InvalidSpec" { "InvalidSpec" } else { "Stalled" };
        return no(reason, &stall.message);
    }
    if let Some(trouble) = gravest(&facts.troubles) {
        return condition("Reconciling", true, "Retrying", trouble.message.clone());
    }
    let (reason, message) = match &decision.action {
        _ if !decision.ring.exists => ("CreatingRing", "the ring's objects are made".to_owned()),
        Action::FillSlot { slot } => ("Scaling", format!("{} is started", slot_name(*slot))),
        Action::FreeSlot { slot } => ("Scaling", format!("{} leaves", slot_name(*slot))),
        Action::Restart { slot } | Action::WaitToRestart { slot, .. } => {
            ("Scaling", format!("{} is started again", slot_name(*slot)))
        }
        Action::Roll { slot } => ("Rolling", format!("{} is replaced", slot_name(*slot))),
        Action::Steady | Action::Invalid(_) | Action::NewRingNeeded { .. } => {
            if decision.whole() {
                return no("Steady", "nothing is to be done");
            }
            ("Scaling", "daemons are joining or leaving".to_owned())
        }
    };
    condition("Reconciling", true, reason, message)
}

fn stalled(facts: &Facts<'_>, decision: &Decision) -> PlannedCondition {
    let stalled = |reason, message| condition("Stalled", true, reason, message);
    if let Action::Invalid(violations) = &decision.action {
        let all: Vec<String> = violations.iter().map(ToString::to_string).collect();
        return stalled("InvalidSpec", all.join("; "));
    }
    if let Some(trouble) = gravest(&facts.troubles)
        && let Some(reason) = trouble.kind.stalled_reason()
    {
        return stalled(reason, trouble.message.clone());
    }
    if decision.nodes_unknown {
        return stalled(
            "MissingPermission",
            "spec.placement.type: PerNode needs to watch nodes: allow the operator list and watch on nodes with a \
             ClusterRole, or set type Pods and replicas"
                .to_owned(),
        );
    }
    if let Action::NewRingNeeded { slots, wanted, next_slots } = &decision.action {
        return stalled("NewRingUnsupported", new_ring_text(*slots, *wanted, *next_slots));
    }
    let waiting = facts.pods.iter().find_map(|pod| {
        pod.unschedulable
            .as_ref()
            .map(|why| format!("{} finds no node: {why}", slot_name(pod.ordinal)))
    });
    match waiting {
        Some(message) if decision.slots.used == decision.expected => {
            stalled("RingNotSchedulable", format!("{message}: add nodes, or ask for fewer daemons"))
        }
        _ => condition("Stalled", false, "Progressing", "no help is needed"),
    }
}

fn new_ring_text(slots: u32, wanted: u32, next_slots: u32) -> String {
    format!(
        "{wanted} daemons are wanted and the ring has {slots} slots, all used: the rest needs a new ring, which this \
         version does not make (spec.growth and spec.switchover are not in force yet); lower spec.replicas to {slots}, \
         or make the object again with spec.slots.initial: {next_slots}"
    )
}

fn degraded(facts: &Facts<'_>, decision: &Decision) -> PlannedCondition {
    let missing = (decision.expected as usize).saturating_sub(in_ring(decision));
    let view = &decision.view;
    let yes = |reason, message: String| condition("Degraded", true, reason, message);
    if view.split {
        let message = "daemons that accept sessions see different members: look at the network between their nodes";
        return yes("MembershipSplit", message.to_owned());
    }
    if view.keys_differ
        && facts.keys.as_ref().is_none_or(|keys| crate::key_ids(&keys.text).len() < 2)
    {
        return yes(
            "KeyMismatch",
            "daemons seal with different keys: look at their logs".to_owned(),
        );
    }
    if view.hashes_differ {
        let message = "daemons run with different configurations: wait for the roll, or delete the pods of those \
                       that are behind";
        return yes("ConfigurationMismatch", message.to_owned());
    }
    if missing > 0 {
        let silent: Vec<String> = view.silent.iter().map(|slot| slot_name(*slot)).collect();
        let told = match silent.is_empty() {
            true => String::new(),
            false => format!("; no answer from {}", silent.join(", ")),
        };
        return yes("MembersMissing", format!("{missing} daemons are not in the ring{told}"));
    }
    condition("Degraded", false, "Whole", "no daemon is missing")
}

fn slots_available(facts: &Facts<'_>, decision: &Decision) -> PlannedCondition {
    let (slots, spare) = (&decision.slots, facts.cluster.spec.slots.min_spare);
    let reason = match slots.free {
        0 if spare > 0 => "Exhausted",
        free if free < spare => "SpareLow",
        _ => "EnoughSpare",
    };
    let message = format!(
        "{} of {} slots are free, {spare} wanted; growth beyond the slots is not there yet",
        slots.free, slots.total
    );
    condition("SlotsAvailable", slots.free >= spare, reason, message)
}

fn membership(facts: &Facts<'_>, decision: &Decision) -> PlannedCondition {
    let view = &decision.view;
    let runs = |pod: &&PodFact| !pod.terminating && (pod.node.is_some() || pod.report.is_some());
    let running = facts.pods.iter().filter(runs).count();
    let seen = in_ring(decision);
    let message = format!("{seen} of {running} running daemons are in one component");
    if view.split {
        return condition("MembershipConsistent", false, "Split", message);
    }
    if running == 0 || seen < running {
        let unknown = ConditionStatus::Unknown;
        return condition("MembershipConsistent", unknown, "Unknown", message);
    }
    condition("MembershipConsistent", true, "Consistent", message)
}

fn paused(facts: &Facts<'_>) -> PlannedCondition {
    let paused = facts.cluster.spec.paused;
    let reason = if paused { "SpecPaused" } else { "NotPaused" };
    condition("ReconciliationPaused", paused, reason, format!("spec.paused is {paused}"))
}

/// A trouble that nobody can help with for now.
pub fn retrying(message: impl Into<String>) -> Trouble {
    Trouble { kind: TroubleKind::Retrying, message: message.into() }
}
