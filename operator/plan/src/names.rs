//! Names, labels, annotations, ports and paths: what the operator, its children and the daemons
//! agree on.

use spread_operator_api::SpreadCluster;
use std::collections::BTreeMap;

/// Field manager of everything that the operator writes.
pub const FIELD_MANAGER: &str = "spread-operator";
/// Label with the cluster's name; every child has it, and only such objects are watched.
pub const CLUSTER_LABEL: &str = "spread-operator.dev/cluster";
/// Label with the ring's number.
pub const RING_LABEL: &str = "spread-operator.dev/ring";
/// Label of a namespace that has clients, with the value `true`: copies of client ConfigMaps come there.
pub const CLIENTS_LABEL: &str = "spread-operator.dev/clients";
/// Label of a copy of a client ConfigMap: the cluster that it is for.
pub const COPY_LABEL: &str = "spread-operator.dev/copy-of";
/// Label of such a copy: the namespace of that cluster.
pub const COPY_NAMESPACE_LABEL: &str = "spread-operator.dev/copy-of-namespace";
/// Annotation of a ring's objects: slots that the ring was made with.
pub const SLOTS_ANNOTATION: &str = "spread-operator.dev/slots";
/// Annotation of a ring's objects: image that the ring was made with, where the object names none.
pub const FROZEN_IMAGE_ANNOTATION: &str = "spread-operator.dev/frozen-image";
/// Annotation of a pod: what of the object it was made from.
pub const TEMPLATE_ANNOTATION: &str = "spread-operator.dev/template";
/// Annotation of a certificate's Secret: seconds since 1970 at which it ends.
pub const NOT_AFTER_ANNOTATION: &str = "spread-operator.dev/not-after";
/// Annotation of a certificate's Secret: the names that it was made for.
pub const DNS_NAMES_ANNOTATION: &str = "spread-operator.dev/dns-names";
/// Annotation of a Secret that cert-manager has written: the Certificate that it was written for.
pub const ISSUED_FOR_ANNOTATION: &str = "cert-manager.io/certificate-name";

/// TCP port of clients and UDP port of ring packets.
pub const SPREAD_PORT: u16 = 4803;
/// Port of the daemons' admin endpoint, mutual TLS.
pub const ADMIN_PORT: u16 = 4805;
/// Port of the daemons' health endpoint, for the kubelet.
pub const HEALTH_PORT: u16 = 4806;

/// Folder of spread.conf in the container; its ConfigMap is mounted there.
pub const CONF_DIRECTORY: &str = "/etc/spread";
/// Folder of the ring's keys.
pub const KEYS_DIRECTORY: &str = "/etc/spread-keys";
/// Folder of the certificate.
pub const TLS_DIRECTORY: &str = "/etc/spread-tls";
/// Volume of a daemon's pod with the certificate.
pub const TLS_VOLUME: &str = "tls";
/// Folder of the clients' passwords.
pub const ACCESS_DIRECTORY: &str = "/etc/spread-access";
/// Folder of Unix sockets.
pub const SOCKET_DIRECTORY: &str = "/run/spread";

/// Key of the configuration in its ConfigMap.
pub const CONF_KEY: &str = "spread.conf";
/// Key of the client addresses in its ConfigMap, in the original's format.
pub const ACCESS_IP_KEY: &str = "spread.access_ip";
/// Key of the passwords in the user's Secret, in the original's format.
pub const ACCESS_PWORD_KEY: &str = "spread.access_pword";
/// Key of the ring's keys in their Secret.
pub const RING_KEY: &str = "ring.key";

/// The names of a cluster's children.
#[derive(Clone, Debug)]
pub struct Names {
    /// The cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
}

impl Names {
    /// Of this object.
    pub fn of(cluster: &SpreadCluster) -> Self {
        Self {
            cluster: cluster.metadata.name.clone().unwrap_or_default(),
            namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
        }
    }

    /// A ring's StatefulSet, headless Service, ConfigMap, budget and policy.
    pub fn ring(&self, number: u32) -> String {
        format!("{}-r{number}", self.cluster)
    }

    /// Client Service and client ConfigMap.
    pub fn client(&self) -> String {
        format!("{}-client", self.cluster)
    }

    /// Secret of the ring's keys, when they are managed.
    pub fn ring_secret(&self) -> String {
        format!("{}-ring", self.cluster)
    }

    /// Secret of the daemons' certificate, when it is not the user's.
    pub fn tls_secret(&self) -> String {
        format!("{}-tls", self.cluster)
    }

    /// Secret of the cluster's own authority; no pod has it.
    pub fn ca_secret(&self) -> String {
        format!("{}-ca", self.cluster)
    }

    /// A slot's pod.
    pub fn pod(&self, ring: u32, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.ring(ring))
    }

    /// The name under which a slot's daemon is found, whatever its pod's address is.
    pub fn slot_host(&self, ring: u32, ordinal: u32) -> String {
        format!("{}.{}.{}.svc", self.pod(ring, ordinal), self.ring(ring), self.namespace)
    }

    /// Where clients inside the cluster connect.
    pub fn client_host(&self) -> String {
        format!("{}.{}.svc", self.client(), self.namespace)
    }

    /// Names that the daemons' certificate has to have.
    pub fn dns_names(&self, ring: u32) -> Vec<String> {
        vec![
            format!("*.{}.{}.svc", self.ring(ring), self.namespace),
            self.client_host(),
            format!("{}.cluster.local", self.client_host()),
        ]
    }

    /// Labels of every child.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            ("app.kubernetes.io/name", "spread"),
            ("app.kubernetes.io/instance", &self.cluster),
            ("app.kubernetes.io/managed-by", FIELD_MANAGER),
            (CLUSTER_LABEL, &self.cluster),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }

    /// What selects a ring's pods.
    pub fn selector(&self, ring: u32) -> BTreeMap<String, String> {
        [
            (CLUSTER_LABEL.to_owned(), self.cluster.clone()),
            (RING_LABEL.to_owned(), ring.to_string()),
        ]
        .into()
    }

    /// The same as text.
    pub fn selector_text(&self, ring: u32) -> String {
        let pairs: Vec<String> =
            self.selector(ring).iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join(",")
    }
}
