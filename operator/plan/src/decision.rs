//! The decision for a cluster on Kubernetes: facts in, one next action, and the numbers that the
//! children are built from.

use crate::decide::{Action, next_ring_slots, next_to_roll, plan};
use crate::facts::{Facts, Ring};
use crate::membership::{View, view};
use crate::nodes;
use crate::snapshot::{SlotFact, Snapshot};
use serde::Serialize;
use serde_json::{Value, json};
use spread_operator_api::{PlacementType, SlotsStatus, TlsType, Violation};

/// What is to be done, and what is so.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The ring.
    pub ring: Ring,
    /// The one next action.
    pub action: Action,
    /// Daemons that the object asks for.
    pub wanted: u32,
    /// Daemons that there can be: as asked for, at most the slots.
    pub expected: u32,
    /// Ordinals of the StatefulSet.
    pub replicas: u32,
    /// Slots.
    pub slots: SlotsStatus,
    /// The ring from inside.
    pub view: View,
    /// What pods are made from now.
    pub template: String,
    /// The object is not acted on: it is paused or breaks a rule.
    pub hands_off: bool,
    /// Nodes could not be read, and have to be.
    pub nodes_unknown: bool,
}

impl Decision {
    /// All daemons that there can be are in the ring, and no others run.
    pub fn whole(&self) -> bool {
        let count = u32::try_from(self.view.in_ring.len()).unwrap_or(u32::MAX);
        self.ring.exists && count == self.expected && self.slots.used == self.expected
    }
}

/// Decides from the facts.
pub fn decide(facts: &Facts<'_>) -> Decision {
    let ring = facts.ring();
    let view = view(facts);
    let spec = &facts.cluster.spec;
    let per_node = spec.placement.r#type == PlacementType::PerNode;
    let eligible = facts.nodes.as_ref().map(|nodes| nodes::eligible(spec, nodes, &facts.pods));
    let nodes_unknown = per_node && eligible.is_none();
    let template = template_hash(facts, &ring);
    let eligible_count = eligible
        .as_ref()
        .map_or(facts.current_replicas, |names| u32::try_from(names.len()).unwrap_or(u32::MAX));
    let misplaced = |node: &Option<String>| {
        per_node
            && eligible
                .as_ref()
                .zip(node.as_ref())
                .is_some_and(|(names, node)| !names.contains(node))
    };
    let slot = |ordinal: u32| match facts.pod(ordinal) {
        None => SlotFact::Vacant,
        Some(pod) if pod.terminating => SlotFact::Leaving,
        // With a daemon on each node, a pod without a node is a vacant slot.
        Some(pod) if per_node && pod.node.is_none() => SlotFact::Vacant,
        Some(pod) => SlotFact::Running {
            in_ring: view.in_ring.contains(&ordinal),
            ready: pod.ready,
            outdated: pod.template != template || misplaced(&pod.node),
        },
    };
    let snapshot = Snapshot {
        cluster: facts.cluster,
        now_millis: 0,
        slots: (0..ring.slots).map(slot).collect(),
        eligible_nodes: eligible_count,
    };
    let wanted = snapshot.wanted();
    let expected = wanted.min(ring.slots);
    let mut decided = plan(&snapshot);
    if let Some(violation) = guard(facts, &ring) {
        decided.action = Action::Invalid(vec![violation]);
    } else if per_node {
        decided.action = per_node_action(&snapshot, decided.action);
    }
    let hands_off = spec.paused || matches!(decided.action, Action::Invalid(_));
    let replicas = match per_node {
        // No daemon moves because a node went: ordinals reach up to the last one that has a node.
        true => highest_placed(facts).max(expected),
        false => expected,
    };
    Decision {
        wanted,
        expected,
        replicas,
        slots: decided.slots,
        action: decided.action,
        ring,
        view,
        template,
        hands_off,
        nodes_unknown,
    }
}

/// What no rule of the schema can see.
fn guard(facts: &Facts<'_>, ring: &Ring) -> Option<Violation> {
    let most = facts.cluster.spec.slots.max;
    (ring.exists && ring.slots > most).then(|| Violation {
        field: "spec.slots.max",
        message: format!("{most} is below the {} slots of the ring that runs", ring.slots),
        remedy: "raise it to that number or more",
    })
}

fn highest_placed(facts: &Facts<'_>) -> u32 {
    let placed = facts.pods.iter().filter(|pod| pod.node.is_some() && !pod.terminating);
    placed.map(|pod| pod.ordinal + 1).max().unwrap_or_default()
}

/// With a daemon on each node, which slots are filled follows from where pods are: only how many
/// counts, and none is freed because of its number.
fn per_node_action(snapshot: &Snapshot<'_>, action: Action) -> Action {
    if matches!(action, Action::Invalid(_)) || snapshot.cluster.spec.paused {
        return action;
    }
    let runs = |slot: &u32| matches!(snapshot.slot(*slot), SlotFact::Running { .. });
    let total = snapshot.slot_count();
    let running = u32::try_from((0..total).filter(runs).count()).unwrap_or(total);
    let wanted = snapshot.wanted();
    if running < wanted.min(total)
        && let Some(slot) = (0..total).find(|slot| snapshot.slot(*slot) == SlotFact::Vacant)
    {
        return Action::FillSlot { slot };
    }
    match next_to_roll(snapshot, |slot| snapshot.slot(slot) != SlotFact::Vacant) {
        Some(slot) => Action::Roll { slot },
        _ if wanted > total => Action::NewRingNeeded {
            slots: total,
            wanted,
            next_slots: next_ring_slots(snapshot, total),
        },
        _ => Action::Steady,
    }
}

/// A hash (FNV-1a) of what of the object pods are made from. Not of the pods themselves: a newer
/// operator that renders them differently restarts nothing.
fn template_hash(facts: &Facts<'_>, ring: &Ring) -> String {
    let spec = &facts.cluster.spec;
    let (encryption, tls) = (&spec.security.ring_encryption, &spec.security.tls);
    // Both mount the same Secret, and daemons read it again when it changes.
    let tls_type = match tls.r#type {
        TlsType::CertManager => TlsType::Managed,
        other => other,
    };
    let authentication = &spec.clients.authentication;
    let authentication_name = (&authentication.r#type, &authentication.name);
    let parts = [
        json!(facts.image(ring)),
        json!(facts.restart()),
        json!([spec.image_pull_policy, spec.image_pull_secrets, spec.ip_families]),
        json!([encryption.r#type, encryption.name, tls_type, tls.name]),
        json!([authentication_name, authentication.allow]),
        chosen(&spec.placement),
        chosen(&spec.pod_template),
        // The daemon reads its configuration at its start only.
        chosen(&spec.profile),
        chosen(&spec.limits),
    ];
    let text = Value::from(parts.to_vec()).to_string();
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// What differs from the defaults: a field that comes later leaves the hash of older objects alone.
fn chosen<T: Serialize + Default>(value: &T) -> Value {
    let (mut value, default) = (json!(value), json!(T::default()));
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, field| default.get(name) != Some(field));
    }
    value
}
