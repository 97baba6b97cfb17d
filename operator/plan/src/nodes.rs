//! Placement PerNode: which nodes get a daemon.

use crate::facts::PodFact;
use k8s_openapi::api::core::v1::{Taint, Toleration};
use spread_operator_api::SpreadClusterSpec;
use std::collections::BTreeMap;

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeFact {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Nothing new is to be scheduled there.
    pub cordoned: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
}

/// Names of the nodes that get a daemon, in order. A cordoned node keeps the daemon that it has and
/// gets no new one.
pub fn eligible(spec: &SpreadClusterSpec, nodes: &[NodeFact], pods: &[PodFact]) -> Vec<String> {
    let selected = |node: &NodeFact| {
        let wanted = spec.placement.node_selector.iter().chain(&spec.pod_template.node_selector);
        wanted.into_iter().all(|(name, value)| node.labels.get(name) == Some(value))
    };
    let tolerated = |taint: &Taint| {
        taint.effect == "PreferNoSchedule"
            || spec.pod_template.tolerations.iter().any(|toleration| tolerates(toleration, taint))
    };
    let occupied = |node: &NodeFact| {
        pods.iter().any(|pod| !pod.terminating && pod.node.as_ref() == Some(&node.name))
    };
    let mut names: Vec<String> = nodes
        .iter()
        .filter(|node| selected(node) && (!node.cordoned || occupied(node)))
        // A cordon is a taint as well.
        .filter(|node| {
            let other = |taint: &&Taint| taint.key != "node.kubernetes.io/unschedulable";
            occupied(node) || node.taints.iter().filter(other).all(tolerated)
        })
        .map(|node| node.name.clone())
        .collect();
    names.sort_unstable();
    names
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    (effect.is_empty() || effect == taint.effect)
        && ((key.is_empty() && exists) || key == taint.key)
        && (exists || value == taint.value.as_deref().unwrap_or_default())
}
