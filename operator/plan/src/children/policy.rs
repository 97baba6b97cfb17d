//! Who may reach which port of the daemons.

use super::meta::{meta, select};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::names::{ADMIN_PORT, HEALTH_PORT, Names, SPREAD_PORT};
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use spread_operator_api::{NamespacesFrom, ServiceType};

pub(super) fn network_policy(facts: &Facts<'_>, decision: &Decision) -> NetworkPolicy {
    let names = Names::of(facts.cluster);
    let ring = decision.ring.number;
    let daemons = NetworkPolicyPeer {
        pod_selector: Some(select(names.selector(ring))),
        ..NetworkPolicyPeer::default()
    };
    NetworkPolicy {
        metadata: meta(facts, names.ring(ring)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(select(names.selector(ring))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                rule("UDP", SPREAD_PORT, Some(vec![daemons])),
                rule("TCP", SPREAD_PORT, clients(facts)),
                rule("TCP", ADMIN_PORT, Some(vec![operator(facts)])),
                // The kubelet's probes; whether a node's own traffic passes is up to the network.
                rule("TCP", HEALTH_PORT, None),
            ]),
            egress: None,
        }),
    }
}

fn rule(
    protocol: &str,
    port: u16,
    from: Option<Vec<NetworkPolicyPeer>>,
) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from,
        ports: Some(vec![NetworkPolicyPort {
            protocol: Some(protocol.to_owned()),
            port: Some(IntOrString::Int(i32::from(port))),
            end_port: None,
        }]),
    }
}

/// Peers that may be clients. None: everybody. Where clients come from outside, their addresses are
/// those of nodes or of a load balancer, so no selector of pods fits.
fn clients(facts: &Facts<'_>) -> Option<Vec<NetworkPolicyPeer>> {
    let clients = &facts.cluster.spec.clients;
    if clients.service.r#type != ServiceType::ClusterIP {
        return None;
    }
    let everything = Some(LabelSelector::default());
    Some(vec![match clients.allowed_namespaces.from {
        NamespacesFrom::Same => {
            NetworkPolicyPeer { pod_selector: everything, ..NetworkPolicyPeer::default() }
        }
        NamespacesFrom::All => {
            NetworkPolicyPeer { namespace_selector: everything, ..NetworkPolicyPeer::default() }
        }
        NamespacesFrom::Selector => NetworkPolicyPeer {
            namespace_selector: Some(select(clients.allowed_namespaces.selector.clone())),
            ..NetworkPolicyPeer::default()
        },
    }])
}

fn operator(facts: &Facts<'_>) -> NetworkPolicyPeer {
    let label = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    NetworkPolicyPeer {
        namespace_selector: Some(select(label(
            "kubernetes.io/metadata.name",
            &facts.defaults.namespace,
        ))),
        pod_selector: Some(select(label("app.kubernetes.io/name", "spread-operator"))),
        ..NetworkPolicyPeer::default()
    }
}
