//! Copies of the client ConfigMap where clients are. Owner references do not reach into other namespaces, so a copy says
//! by its labels whose it is, and the operator deletes it.

use super::configuration::client_data;
use crate::facts::Facts;
use crate::names::{CLIENTS_LABEL, COPY_LABEL, COPY_NAMESPACE_LABEL, FIELD_MANAGER, Names};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use spread_operator_api::{NamespacesFrom, SpreadCluster};
use std::collections::BTreeMap;

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceFact {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// It is being deleted: nothing can be made in it.
    pub terminating: bool,
}

/// Names of the namespaces that get a copy: those that may connect and say that they have clients.
pub fn copied_to(cluster: &SpreadCluster, namespaces: &[NamespaceFact]) -> Vec<String> {
    let allowed = &cluster.spec.clients.allowed_namespaces;
    let is_allowed = |namespace: &NamespaceFact| match allowed.from {
        NamespacesFrom::Same => false,
        NamespacesFrom::All => true,
        NamespacesFrom::Selector => {
            allowed.selector.iter().all(|(name, value)| namespace.labels.get(name) == Some(value))
        }
    };
    let has_clients = |namespace: &NamespaceFact| {
        namespace.labels.get(CLIENTS_LABEL).is_some_and(|value| value == "true")
    };
    // Its own has the original.
    let is_other =
        |namespace: &NamespaceFact| cluster.metadata.namespace.as_ref() != Some(&namespace.name);
    namespaces
        .iter()
        .filter(|one| !one.terminating && is_other(one) && has_clients(one) && is_allowed(one))
        .map(|namespace| namespace.name.clone())
        .collect()
}

/// The copy for one namespace.
pub fn client_copy(facts: &Facts<'_>, namespace: &str) -> ConfigMap {
    let names = Names::of(facts.cluster);
    let labels = [
        ("app.kubernetes.io/name", "spread"),
        ("app.kubernetes.io/managed-by", FIELD_MANAGER),
        (COPY_LABEL, &*names.cluster),
        (COPY_NAMESPACE_LABEL, &*names.namespace),
    ];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(names.client()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels.into()),
            ..ObjectMeta::default()
        },
        data: Some(client_data(facts)),
        ..ConfigMap::default()
    }
}
