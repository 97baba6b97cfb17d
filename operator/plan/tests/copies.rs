//! Copies of the client ConfigMap in other namespaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use spread_operator_api::NamespacesFrom;
use spread_plan::names::CLUSTER_LABEL;
use spread_plan::{NamespaceFact, client_copy, copied_to};
use world::World;

fn namespace(name: &str, labels: &[(&str, &str)]) -> NamespaceFact {
    let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    NamespaceFact { name: name.to_owned(), labels: labels.collect(), terminating: false }
}

fn namespaces() -> Vec<NamespaceFact> {
    const CLIENTS: (&str, &str) = ("spread-operator.dev/clients", "true");
    let going = NamespaceFact { terminating: true, ..namespace("going", &[CLIENTS]) };
    vec![
        // The cluster's own.
        namespace("shop", &[CLIENTS, ("team", "orders")]),
        namespace("web", &[CLIENTS, ("team", "orders")]),
        namespace("billing", &[CLIENTS, ("team", "money")]),
        namespace("silent", &[("team", "orders")]),
        namespace("not", &[("spread-operator.dev/clients", "false"), ("team", "orders")]),
        going,
    ]
}

#[test]
fn copies_go_where_clients_are_and_may_connect() {
    let mut world = World::new(3, 8);
    assert!(copied_to(&world.cluster, &namespaces()).is_empty());
    world.cluster.spec.clients.allowed_namespaces.from = NamespacesFrom::All;
    assert_eq!(copied_to(&world.cluster, &namespaces()), ["web", "billing"]);
    world.cluster.spec.clients.allowed_namespaces.from = NamespacesFrom::Selector;
    world.cluster.spec.clients.allowed_namespaces.selector =
        [("team".to_owned(), "orders".to_owned())].into();
    assert_eq!(copied_to(&world.cluster, &namespaces()), ["web"]);
}

/// Not the cluster's label: it would be taken for a child of a cluster of that name in its own namespace. No owner: an
/// owner in another namespace counts as gone, and the copy would be collected.
#[test]
fn a_copy_says_whose_it_is_by_labels_alone() {
    let world = World::running(3, 8);
    let mut facts = world.facts();
    facts.ca_certificate = Some("PEM".to_owned());
    let copy = client_copy(&facts, "web");
    let (metadata, data) = (copy.metadata, copy.data.unwrap());
    assert_eq!(metadata.name.as_deref(), Some("orders-client"));
    assert_eq!(metadata.namespace.as_deref(), Some("web"));
    assert!(metadata.owner_references.is_none());
    let labels = metadata.labels.unwrap();
    assert!(!labels.contains_key(CLUSTER_LABEL));
    assert_eq!(labels["spread-operator.dev/copy-of"], "orders");
    assert_eq!(labels["spread-operator.dev/copy-of-namespace"], "shop");
    assert_eq!(data["host"], "orders-client.shop.svc");
    assert_eq!((&*data["port"], &*data["ca.crt"]), ("4803", "PEM"));
}
