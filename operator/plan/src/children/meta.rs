//! What all children have in their metadata.

use crate::facts::Facts;
use crate::names::Names;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource as _;
use spread_operator_api::SpreadCluster;
use std::collections::BTreeMap;

/// Name, namespace, labels and owner; never a finalizer.
pub(super) fn meta(facts: &Facts<'_>, name: String) -> ObjectMeta {
    let names = Names::of(facts.cluster);
    ObjectMeta {
        name: Some(name),
        namespace: Some(names.namespace.clone()),
        labels: Some(names.labels()),
        owner_references: Some(vec![owner(facts.cluster)]),
        ..ObjectMeta::default()
    }
}

fn owner(cluster: &SpreadCluster) -> OwnerReference {
    OwnerReference {
        api_version: SpreadCluster::api_version(&()).into_owned(),
        kind: SpreadCluster::kind(&()).into_owned(),
        name: cluster.metadata.name.clone().unwrap_or_default(),
        uid: cluster.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(false),
    }
}

pub(super) fn annotations<const N: usize>(
    pairs: [(&str, String); N],
) -> Option<BTreeMap<String, String>> {
    Some(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

pub(super) fn select(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), match_expressions: None }
}
