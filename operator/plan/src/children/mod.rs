//! Every object that a cluster owns, built from the object, the decision and the facts: one place for
//! what exists on Kubernetes.

mod budget;
mod configuration;
mod copies;
mod meta;
mod network;
mod policy;
mod secrets;
mod stateful_set;

pub use configuration::ring_conf;
pub use copies::{NamespaceFact, client_copy, copied_to};
pub use secrets::{CertificateFacts, SECRET_TYPE, certificate_is_due};

use crate::decision::Decision;
use crate::facts::Facts;
use crate::handover::mounts_own_certificate;
use crate::keys::RingKeys;
use crate::names::Names;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use spread_conf::RenderError;
use spread_operator_api::{ChildType, IpFamily, RingEncryptionType, TlsType};

/// An object that the operator owns.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a dozen of them exist at a time")]
pub enum Child {
    /// Client Service and headless Service.
    Service(Service),
    /// Ring's and clients' ConfigMap.
    ConfigMap(ConfigMap),
    /// Keys and certificates.
    Secret(Secret),
    /// One daemon at a time.
    PodDisruptionBudget(PodDisruptionBudget),
    /// Who may reach which port.
    NetworkPolicy(NetworkPolicy),
    /// A cert-manager Certificate, as JSON: its types are not ours.
    Certificate(serde_json::Value),
    /// The daemons.
    StatefulSet(StatefulSet),
}

impl Child {
    /// Its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Service(_) => "Service",
            Self::ConfigMap(_) => "ConfigMap",
            Self::Secret(_) => "Secret",
            Self::PodDisruptionBudget(_) => "PodDisruptionBudget",
            Self::NetworkPolicy(_) => "NetworkPolicy",
            Self::Certificate(_) => "Certificate",
            Self::StatefulSet(_) => "StatefulSet",
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Service(child) => &child.metadata.name,
            Self::ConfigMap(child) => &child.metadata.name,
            Self::Secret(child) => &child.metadata.name,
            Self::PodDisruptionBudget(child) => &child.metadata.name,
            Self::NetworkPolicy(child) => &child.metadata.name,
            Self::StatefulSet(child) => &child.metadata.name,
            Self::Certificate(child) => {
                return child["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            }
        };
        name.clone().unwrap_or_default()
    }
}

/// Kinds that are watched, and searched for orphans.
pub const CHILD_KINDS: &[&str] =
    &["Service", "ConfigMap", "Secret", "PodDisruptionBudget", "NetworkPolicy", "StatefulSet"];

/// What goes into the children beside facts and decision.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Managed keys as they are to be.
    pub keys: Option<RingKeys>,
}

/// The Services: they come first, because the API server says their address families, and the rest
/// needs to know these.
pub fn services(facts: &Facts<'_>, decision: &Decision) -> Vec<Child> {
    vec![
        Child::Service(network::client_service(facts)),
        Child::Service(network::headless_service(facts, decision)),
    ]
}

/// All the rest, in the order in which it is to be written: what pods mount, then the pods.
pub fn children(
    facts: &Facts<'_>,
    decision: &Decision,
    families: &[IpFamily],
    material: &Material,
) -> Result<Vec<Child>, RenderError> {
    let spec = &facts.cluster.spec;
    let mut all = Vec::new();
    if let Some(keys) = &material.keys
        && spec.security.ring_encryption.r#type == RingEncryptionType::Managed
    {
        all.push(Child::Secret(secrets::ring_secret(facts, keys)));
    }
    if spec.security.tls.r#type == TlsType::CertManager {
        all.push(Child::Certificate(secrets::certificate(facts, decision)));
    }
    all.push(Child::ConfigMap(configuration::ring_config_map(facts, decision, families)?));
    all.push(Child::ConfigMap(configuration::client_config_map(facts)));
    if spec.pod_disruption_budget.r#type == ChildType::Managed {
        all.push(Child::PodDisruptionBudget(budget::budget(facts, decision)));
    }
    if spec.network_policy.r#type == ChildType::Managed {
        all.push(Child::NetworkPolicy(policy::network_policy(facts, decision)));
    }
    all.push(Child::StatefulSet(stateful_set::stateful_set(facts, decision)));
    Ok(all)
}

/// Kinds and names of all children that there may be: everything else that has our label and owner is
/// an orphan.
pub fn wanted_names(facts: &Facts<'_>, decision: &Decision) -> Vec<(&'static str, String)> {
    let names = Names::of(facts.cluster);
    let spec = &facts.cluster.spec;
    let ring = names.ring(decision.ring.number);
    let mut wanted = vec![
        ("Service", names.client()),
        ("Service", ring.clone()),
        ("ConfigMap", ring.clone()),
        ("ConfigMap", names.client()),
        ("StatefulSet", ring.clone()),
    ];
    if spec.pod_disruption_budget.r#type == ChildType::Managed {
        wanted.push(("PodDisruptionBudget", ring.clone()));
    }
    if spec.network_policy.r#type == ChildType::Managed {
        wanted.push(("NetworkPolicy", ring));
    }
    if spec.security.ring_encryption.r#type == RingEncryptionType::Managed {
        wanted.push(("Secret", names.ring_secret()));
    }
    // What the user names is the user's to delete, even if the operator made it once.
    let security = &spec.security;
    let named =
        [&security.ring_encryption.name, &security.tls.name, &spec.clients.authentication.name];
    wanted.extend(named.into_iter().flatten().map(|name| ("Secret", name.clone())));
    match security.tls.r#type {
        TlsType::Managed => {
            wanted.extend([("Secret", names.tls_secret()), ("Secret", names.ca_secret())]);
        }
        TlsType::CertManager => wanted.push(("Secret", names.tls_secret())),
        // As long as daemons run with it they are asked with it.
        TlsType::Secret if mounts_own_certificate(facts) => {
            wanted.extend([("Secret", names.tls_secret()), ("Secret", names.ca_secret())]);
        }
        TlsType::Secret => {}
    }
    wanted
}

/// A Secret of certificates that the driver has made, of the type that it has, or of [`SECRET_TYPE`].
pub fn certificate_secret(
    facts: &Facts<'_>,
    name: &str,
    r#type: &str,
    data: &[(&str, &str)],
    annotations: &[(&str, String)],
) -> Secret {
    secrets::secret(facts, name, r#type, data, annotations)
}
