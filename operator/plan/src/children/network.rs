//! Services: one for clients, one without an address for the daemons' names.

use super::meta::meta;
use crate::decision::Decision;
use crate::facts::Facts;
use crate::names::{ADMIN_PORT, Names, SPREAD_PORT};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Where clients connect; a daemon on the same node is taken where there is one.
pub(super) fn client_service(facts: &Facts<'_>) -> Service {
    let names = Names::of(facts.cluster);
    let asked = &facts.cluster.spec.clients.service;
    let mut metadata = meta(facts, names.client());
    metadata.annotations = (!asked.annotations.is_empty()).then(|| asked.annotations.clone());
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(format!("{:?}", asked.r#type)),
            selector: Some(names.selector(facts.ring().number)),
            ports: Some(vec![port("spread", "TCP", SPREAD_PORT)]),
            traffic_distribution: Some("PreferSameNode".to_owned()),
            ..families(facts)
        }),
        status: None,
    }
}

/// A name for each slot, also for one that is not ready: daemons find each other by it while they
/// form the ring.
pub(super) fn headless_service(facts: &Facts<'_>, decision: &Decision) -> Service {
    let names = Names::of(facts.cluster);
    let ring = decision.ring.number;
    Service {
        metadata: meta(facts, names.ring(ring)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            cluster_ip: Some("None".to_owned()),
            publish_not_ready_addresses: Some(true),
            selector: Some(names.selector(ring)),
            ports: Some(vec![
                port("spread", "TCP", SPREAD_PORT),
                port("ring", "UDP", SPREAD_PORT),
                port("admin", "TCP", ADMIN_PORT),
            ]),
            ..families(facts)
        }),
        status: None,
    }
}

fn port(name: &str, protocol: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        protocol: Some(protocol.to_owned()),
        port: i32::from(number),
        target_port: Some(IntOrString::String(name.to_owned())),
        app_protocol: Some(if name == "admin" { "https" } else { "tcp" }.to_owned())
            .filter(|_| protocol == "TCP"),
        ..ServicePort::default()
    }
}

fn families(facts: &Facts<'_>) -> ServiceSpec {
    let spec = &facts.cluster.spec;
    let listed: Vec<String> = spec.ip_families.iter().map(|family| format!("{family:?}")).collect();
    ServiceSpec {
        ip_family_policy: Some(format!("{:?}", spec.ip_family_policy)),
        ip_families: (!listed.is_empty()).then_some(listed),
        ..ServiceSpec::default()
    }
}
