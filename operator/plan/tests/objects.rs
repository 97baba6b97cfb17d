//! What the children say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};
use spread_operator_api::{
    AuthenticationType, ChildType, IpFamily, NamespacesFrom, RingEncryptionType, ServiceType,
    TlsType,
};
use spread_plan::{
    Child, Material, RingKeys, certificate_is_due, children, services, wanted_names,
};
use world::World;

fn all(world: &World) -> Vec<Child> {
    let (facts, decision) = (world.facts(), world.decide());
    let keys = Some(RingKeys { text: "1 aa\n".to_owned(), handled_request: None });
    let mut all = services(&facts, &decision);
    all.extend(children(&facts, &decision, &[IpFamily::IPv4], &Material { keys }).unwrap());
    all
}

fn stateful_set(world: &World) -> StatefulSet {
    all(world)
        .into_iter()
        .find_map(|child| if let Child::StatefulSet(set) = child { Some(set) } else { None })
        .unwrap()
}

fn pod(world: &World) -> Value {
    serde_json::to_value(stateful_set(world).spec.unwrap().template.spec.unwrap()).unwrap()
}

fn conf(world: &World) -> String {
    spread_plan::ring_conf(&world.facts(), &world.decide(), &[IpFamily::IPv4]).unwrap()
}

#[test]
fn everything_has_our_label_and_owner_and_no_finalizer_and_the_daemons_come_last() {
    let world = World::new(3, 8);
    let all = all(&world);
    for child in &all {
        let metadata = match child {
            Child::Service(child) => &child.metadata,
            Child::ConfigMap(child) => &child.metadata,
            Child::Secret(child) => &child.metadata,
            Child::PodDisruptionBudget(child) => &child.metadata,
            Child::NetworkPolicy(child) => &child.metadata,
            Child::StatefulSet(child) => &child.metadata,
            Child::Certificate(_) => panic!("certificates are the operator's own"),
        };
        let labels = metadata.labels.as_ref().unwrap();
        assert_eq!(labels["spread-operator.dev/cluster"], "orders");
        assert_eq!(metadata.owner_references.as_ref().unwrap()[0].uid, "5f0c");
        assert_eq!(metadata.finalizers, None);
        assert!(child.name().len() <= 63);
    }
    let kinds: Vec<&str> = all.iter().map(Child::kind).collect();
    assert_eq!(
        kinds,
        [
            "Service",
            "Service",
            "Secret",
            "ConfigMap",
            "ConfigMap",
            "PodDisruptionBudget",
            "NetworkPolicy",
            "StatefulSet"
        ]
    );
    let wanted = wanted_names(&world.facts(), &world.decide());
    for child in &all {
        assert!(
            wanted.contains(&(child.kind(), child.name())),
            "{} {}",
            child.kind(),
            child.name()
        );
    }
}

#[test]
fn names_of_the_longest_cluster_fit() {
    let mut world = World::new(1024, 1024);
    world.cluster.spec.slots.max = 1024;
    world.cluster.metadata.name = Some("n".repeat(40));
    world.cluster.metadata.namespace = Some("m".repeat(63));
    for child in all(&world) {
        // A StatefulSet's pods have a label with its revision: ten characters more than its name.
        assert!(child.name().len() <= 52, "{}", child.name());
    }
    assert!(conf(&world).contains("d1023"));
}

#[test]
fn pods_are_restricted() {
    let pod = pod(&World::new(3, 8));
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    assert!(container["resources"]["limits"].get("cpu").is_none());
    assert!(container["resources"]["limits"]["memory"].is_string());
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "health");
    }
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert!(mount.get("subPath").is_none(), "a file of its own would not follow a change");
    }
}

#[test]
fn the_set_is_parallel_and_replaced_by_hand_and_its_size_is_no_part_of_its_pods() {
    let (three, five) = (stateful_set(&World::new(3, 8)), stateful_set(&World::new(5, 8)));
    let spec = three.spec.unwrap();
    assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
    assert_eq!(spec.update_strategy.unwrap().type_.as_deref(), Some("OnDelete"));
    assert_eq!(spec.replicas, Some(3));
    assert_eq!(spec.template, five.spec.unwrap().template);
}

#[test]
fn the_configuration_reads_back_with_every_slot_and_endpoint() {
    let world = World::new(3, 5);
    let (read, warnings) = spread_conf::parse(&conf(&world)).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(read.slots.len(), 5);
    assert_eq!(read.slots[4].host, "orders-r1-4.orders-r1.shop.svc");
    assert_eq!(read.cluster_uid, "5f0c");
    assert_eq!(read.ring_key_file.as_deref(), Some("/etc/spread-keys/ring.key"));
    assert_eq!(read.admin_endpoint.as_deref(), Some("0.0.0.0:4805"));
    assert_eq!(read.admin_tls_directory.as_deref(), Some("/etc/spread-tls"));
    assert_eq!(read.health_endpoint.as_deref(), Some("0.0.0.0:4806"));
    assert_eq!(read.unix_socket_directory, "/run/spread");
    assert_eq!(read.log_format, spread_conf::LogFormat::Json);
    let six = spread_plan::ring_conf(&world.facts(), &world.decide(), &[IpFamily::IPv6]).unwrap();
    assert!(six.contains("[::]:4805"), "{six}");
}

#[test]
fn scaling_within_the_slots_changes_no_configuration() {
    assert_eq!(conf(&World::new(3, 8)), conf(&World::new(5, 8)));
}

#[test]
fn authentication_and_encryption_choose_files_and_mounts() {
    let mut world = World::new(3, 5);
    world.cluster.spec.clients.authentication.r#type = AuthenticationType::IP;
    world.cluster.spec.clients.authentication.allow = vec!["10.0.0.0/8".to_owned()];
    let (read, _) = spread_conf::parse(&conf(&world)).unwrap();
    assert_eq!(read.allowed_auth, ["IP"]);
    let map = all(&world).into_iter().find_map(|child| match child {
        Child::ConfigMap(map) if map.metadata.name.as_deref() == Some("orders-r1") => map.data,
        _ => None,
    });
    assert_eq!(map.unwrap()["spread.access_ip"], "10.0.0.0/8\n");
    world.cluster.spec.clients.authentication.r#type = AuthenticationType::Secret;
    world.cluster.spec.clients.authentication.allow = Vec::new();
    world.cluster.spec.clients.authentication.name = Some("passwords".to_owned());
    world.cluster.spec.security.ring_encryption.r#type = RingEncryptionType::None;
    let (read, _) = spread_conf::parse(&conf(&world)).unwrap();
    assert_eq!(read.access_pword_file.as_deref(), Some("/etc/spread-access/spread.access_pword"));
    assert!(!read.seals());
    let volumes = pod(&world)["volumes"].to_string();
    assert!(volumes.contains("passwords") && !volumes.contains("orders-ring"), "{volumes}");
}

#[test]
fn children_that_are_not_asked_for_are_orphans() {
    let mut world = World::new(3, 5);
    world.cluster.spec.pod_disruption_budget.r#type = ChildType::None;
    world.cluster.spec.network_policy.r#type = ChildType::None;
    world.cluster.spec.security.ring_encryption.r#type = RingEncryptionType::None;
    world.cluster.spec.security.tls.r#type = TlsType::Secret;
    world.cluster.spec.security.tls.name = Some("mine".to_owned());
    let wanted = wanted_names(&world.facts(), &world.decide());
    assert!(
        !wanted.iter().any(|(kind, _)| ["PodDisruptionBudget", "NetworkPolicy"].contains(kind))
    );
    let secrets: Vec<&str> =
        wanted.iter().filter(|(kind, _)| *kind == "Secret").map(|(_, name)| &**name).collect();
    assert_eq!(secrets, ["mine"], "what the object names is never deleted");
    assert_eq!(all(&world).len(), 5);
    assert!(pod(&world)["volumes"].to_string().contains("mine"));
}

/// Whether a policy lets a peer in: enough of the meaning to judge ours.
fn allows(policy: &NetworkPolicy, protocol: &str, port: i32, peer: &Peer) -> bool {
    let rules = policy.spec.as_ref().unwrap().ingress.as_ref().unwrap();
    rules.iter().any(|rule| {
        let port_fits = rule.ports.as_ref().unwrap().iter().any(|one| {
            one.protocol.as_deref() == Some(protocol)
                && one.port
                    == Some(k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(port))
        });
        let matches = |selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
                       labels: &[(&str, &str)]| {
            selector
                .match_labels
                .iter()
                .flatten()
                .all(|(name, value)| labels.contains(&(name, value)))
        };
        let from = |one: &k8s_openapi::api::networking::v1::NetworkPolicyPeer| {
            let namespace = match &one.namespace_selector {
                Some(selector) => matches(selector, peer.namespace_labels),
                None => peer.namespace == "shop",
            };
            namespace
                && one.pod_selector.as_ref().is_none_or(|selector| matches(selector, peer.labels))
        };
        port_fits && rule.from.as_ref().is_none_or(|peers| peers.iter().any(from))
    })
}

struct Peer {
    namespace: &'static str,
    namespace_labels: &'static [(&'static str, &'static str)],
    labels: &'static [(&'static str, &'static str)],
}

const DAEMON: Peer = Peer {
    namespace: "shop",
    namespace_labels: &[("kubernetes.io/metadata.name", "shop")],
    labels: &[("spread-operator.dev/cluster", "orders"), ("spread-operator.dev/ring", "1")],
};
const NEIGHBOUR: Peer = Peer {
    namespace: "shop",
    namespace_labels: &[("kubernetes.io/metadata.name", "shop")],
    labels: &[],
};
const STRANGER: Peer = Peer {
    namespace: "other",
    namespace_labels: &[("kubernetes.io/metadata.name", "other"), ("team", "orders")],
    labels: &[],
};
const OPERATOR: Peer = Peer {
    namespace: "operators",
    namespace_labels: &[("kubernetes.io/metadata.name", "operators")],
    labels: &[("app.kubernetes.io/name", "spread-operator")],
};

#[test]
fn the_policy_lets_in_who_may_come_on_each_port_and_nobody_else() {
    let policy = |world: &World| {
        all(world)
            .into_iter()
            .find_map(
                |child| if let Child::NetworkPolicy(policy) = child { Some(policy) } else { None },
            )
            .unwrap()
    };
    let mut world = World::new(3, 5);
    let same = policy(&world);
    for (protocol, port, peer, expected) in [
        ("UDP", 4803, &DAEMON, true),
        ("UDP", 4803, &NEIGHBOUR, false),
        ("UDP", 4803, &STRANGER, false),
        ("TCP", 4803, &NEIGHBOUR, true),
        ("TCP", 4803, &STRANGER, false),
        ("TCP", 4805, &OPERATOR, true),
        ("TCP", 4805, &NEIGHBOUR, false),
        ("TCP", 4806, &NEIGHBOUR, true),
        ("TCP", 80, &DAEMON, false),
    ] {
        assert_eq!(
            allows(&same, protocol, port, peer),
            expected,
            "{protocol} {port} {}",
            peer.namespace
        );
    }
    world.cluster.spec.clients.allowed_namespaces.from = NamespacesFrom::All;
    assert!(allows(&policy(&world), "TCP", 4803, &STRANGER));
    world.cluster.spec.clients.allowed_namespaces.from = NamespacesFrom::Selector;
    world.cluster.spec.clients.allowed_namespaces.selector =
        [("team".to_owned(), "orders".to_owned())].into();
    assert!(allows(&policy(&world), "TCP", 4803, &STRANGER));
    assert!(!allows(&policy(&world), "TCP", 4803, &OPERATOR));
    world.cluster.spec.clients.service.r#type = ServiceType::LoadBalancer;
    assert!(allows(&policy(&world), "TCP", 4803, &OPERATOR));
}

#[test]
fn a_certificate_is_renewed_a_third_of_its_life_before_its_end() {
    let names = vec!["a".to_owned()];
    let held = spread_plan::CertificateFacts {
        not_after_seconds: 900,
        lifetime_seconds: 300,
        dns_names: names.clone(),
    };
    assert!(certificate_is_due(None, &names, 0));
    assert!(!certificate_is_due(Some(&held), &names, 799));
    assert!(certificate_is_due(Some(&held), &names, 800));
    assert!(certificate_is_due(Some(&held), &["b".to_owned()], 0));
}
