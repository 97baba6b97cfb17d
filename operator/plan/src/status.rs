//! The whole status, from the facts and the decision.

use crate::conditions::{PlannedCondition, conditions};
use crate::decide::Action;
use crate::decision::Decision;
use crate::facts::{Facts, Ring};
use crate::names::{Names, SPREAD_PORT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use spread_operator_api::{
    ClientStatus, PendingChange, RingConfiguration, RingMembers, RingState, RingStatus,
    SpreadCluster, SpreadClusterStatus, requests,
};
use std::collections::BTreeMap;

/// The status to write. `now` is the time of conditions that change with it.
pub fn status(facts: &Facts<'_>, decision: &Decision, now: &Time) -> SpreadClusterStatus {
    let names = Names::of(facts.cluster);
    let live = || facts.pods.iter().filter(|pod| !pod.terminating);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let ready = count(live().filter(|pod| pod.ready).count());
    let before = facts.cluster.status.as_ref();
    let rings = if decision.ring.exists {
        vec![ring_status(facts, decision, &names, ready)]
    } else {
        Vec::new()
    };
    let (host, port) =
        facts.external_client.clone().unwrap_or_else(|| (names.client_host(), SPREAD_PORT));
    SpreadClusterStatus {
        observed_generation: facts.cluster.metadata.generation.unwrap_or_default(),
        replicas: count(live().count()),
        ready_replicas: ready,
        selector: names.selector_text(decision.ring.number),
        slots: decision.slots.clone(),
        active_ring: if decision.ring.exists { decision.ring.number } else { 0 },
        rings,
        pending_change: match decision.action {
            Action::Roll { .. } => PendingChange::Roll,
            Action::NewRingNeeded { .. } => PendingChange::NewRing,
            _ => PendingChange::None,
        },
        switchover: before.and_then(|status| status.switchover.clone()),
        switchovers: before.map(|status| status.switchovers.clone()).unwrap_or_default(),
        client: ClientStatus { host, port, config_map: names.client() },
        last_handled_requests: handled(facts),
        operator_version: facts.defaults.version.clone(),
        conditions: timed(&conditions(facts, decision), facts.cluster, now),
    }
}

/// A status of conditions alone; the rest stays as it was.
pub fn status_of_conditions(
    cluster: &SpreadCluster,
    planned: &[PlannedCondition],
    now: &Time,
) -> SpreadClusterStatus {
    SpreadClusterStatus {
        observed_generation: cluster.metadata.generation.unwrap_or_default(),
        conditions: timed(planned, cluster, now),
        ..cluster.status.clone().unwrap_or_default()
    }
}

fn ring_status(facts: &Facts<'_>, decision: &Decision, names: &Names, ready: u32) -> RingStatus {
    let (ring, view): (&Ring, _) = (&decision.ring, &decision.view);
    let in_ring = u32::try_from(view.in_ring.len()).unwrap_or(u32::MAX);
    let generation = facts.pods.iter().filter_map(|pod| pod.report.as_ref());
    RingStatus {
        number: ring.number,
        state: if ready > 0 { RingState::Active } else { RingState::Forming },
        stateful_set: names.ring(ring.number),
        image: facts.image(ring),
        daemon_version: view.version.clone(),
        configuration: RingConfiguration {
            generation: generation.map(|report| report.generation).min().unwrap_or_default(),
            hash: view.hash.clone(),
        },
        key_id: view.key_id,
        slots: ring.slots,
        members: RingMembers { wanted: decision.expected, ready, in_ring },
        sessions: view.sessions,
        endpoints: view.endpoints,
    }
}

/// Requests that were acted on: both are kept with what they changed, so a lost status loses none.
fn handled(facts: &Facts<'_>) -> BTreeMap<String, String> {
    let mut handled = facts
        .cluster
        .status
        .as_ref()
        .map(|status| status.last_handled_requests.clone())
        .unwrap_or_default();
    let restarts = facts.restart_in_force.clone();
    let rotations = facts.keys.as_ref().and_then(|keys| keys.handled_request.clone());
    for (name, value) in [(requests::RESTART, restarts), (requests::ROTATE_KEYS, rotations)] {
        if let Some(value) = value {
            handled.insert(name.to_owned(), value);
        }
    }
    handled
}

/// A condition keeps its time while its status stays.
fn timed(planned: &[PlannedCondition], cluster: &SpreadCluster, now: &Time) -> Vec<Condition> {
    let before = cluster.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    planned
        .iter()
        .map(|planned| {
            let status = planned.status.text();
            let same =
                before.iter().find(|old| old.type_ == planned.r#type && old.status == status);
            Condition {
                type_: planned.r#type.to_owned(),
                status: status.to_owned(),
                reason: planned.reason.to_owned(),
                message: planned.message.chars().take(MESSAGE_MAX_CHARACTERS).collect(),
                observed_generation: cluster.metadata.generation,
                last_transition_time: same
                    .map_or(now.clone(), |old| old.last_transition_time.clone()),
            }
        })
        .collect()
}

/// Kubernetes' bound of a condition's message is 32768 bytes; nobody reads that much.
const MESSAGE_MAX_CHARACTERS: usize = 1024;
