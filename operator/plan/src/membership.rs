//! The daemons' own view, compared with the operator's.

use crate::facts::{Facts, PodFact};
use crate::snapshot::slot_name;
use std::collections::BTreeMap;

/// How the ring looks from inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Slots in the largest component, by ordinal.
    pub in_ring: Vec<u32>,
    /// Pods whose daemon says nothing.
    pub silent: Vec<u32>,
    /// Ready daemons see different members.
    pub split: bool,
    /// The one configuration that all report. Empty: none, or they differ.
    pub hash: String,
    /// Daemons report different configurations.
    pub hashes_differ: bool,
    /// The one key that all seal with. 0: none, or they differ.
    pub key_id: u32,
    /// Daemons report different keys.
    pub keys_differ: bool,
    /// The lowest version reported.
    pub version: String,
    /// Sessions, all together.
    pub sessions: u32,
    /// Endpoints, all together.
    pub endpoints: u32,
}

/// Looks at what the ring's pods report; those that end do not count.
pub fn view(facts: &Facts<'_>) -> View {
    let pods = || facts.pods.iter().filter(|pod| !pod.terminating);
    let reports = || pods().filter_map(|pod| pod.report.as_ref());
    let component = largest_component(facts);
    let mut hashes: Vec<&str> = reports().map(|report| &*report.configuration_hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut keys: Vec<u32> = reports().map(|report| report.key_id).collect();
    keys.sort_unstable();
    keys.dedup();
    let one = |many: bool, value: u32| if many { 0 } else { value };
    View {
        split: is_split(facts),
        silent: pods().filter(|pod| pod.report.is_none()).map(|pod| pod.ordinal).collect(),
        in_ring: component,
        hashes_differ: hashes.len() > 1,
        hash: if hashes.len() == 1 { hashes[0].to_owned() } else { String::new() },
        keys_differ: keys.len() > 1,
        key_id: one(keys.len() != 1, keys.first().copied().unwrap_or_default()),
        version: reports().map(|report| report.version.clone()).min().unwrap_or_default(),
        sessions: reports().map(|report| report.sessions).sum(),
        endpoints: reports().map(|report| report.endpoints).sum(),
    }
}

fn members(pod: &PodFact) -> Option<Vec<&str>> {
    let mut names: Vec<&str> = pod.report.as_ref()?.members.iter().map(String::as_str).collect();
    names.sort_unstable();
    Some(names)
}

/// The largest set of daemons that report the same members, the one with the lowest slot of equals.
fn largest_component(facts: &Facts<'_>) -> Vec<u32> {
    let mut components: BTreeMap<Vec<&str>, Vec<u32>> = BTreeMap::new();
    for pod in facts.pods.iter().filter(|pod| !pod.terminating) {
        let own = slot_name(pod.ordinal);
        if let Some(members) = members(pod)
            && members.iter().any(|name| *name == own)
        {
            components.entry(members).or_default().push(pod.ordinal);
        }
    }
    let mut largest: Vec<u32> = Vec::new();
    for (_, mut slots) in components {
        slots.sort_unstable();
        if slots.len() > largest.len() || (slots.len() == largest.len() && slots < largest) {
            largest = slots;
        }
    }
    largest
}

/// Two daemons that accept sessions and do not see each other. One that is starting or leaving is
/// seen differently for a moment: that is no split.
fn is_split(facts: &Facts<'_>) -> bool {
    let serving: Vec<&PodFact> =
        facts.pods.iter().filter(|pod| pod.ready && !pod.terminating).collect();
    serving.iter().any(|pod| {
        members(pod).is_some_and(|seen| {
            serving.iter().any(|other| {
                let name = slot_name(other.ordinal);
                other.report.is_some() && !seen.iter().any(|member| *member == name)
            })
        })
    })
}
