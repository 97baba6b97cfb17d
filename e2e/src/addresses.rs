//! Addresses inside a cluster. Each cluster has namespaces of its own, so all clusters have the same.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Address families of nodes, pods and services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Family {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
    /// Both, IPv4 first.
    Dual,
}

/// Port of the API server.
pub(crate) const API_PORT: u16 = 6443;
/// Bits of the network that a node's pods are in.
const POD_BITS: [u8; 2] = [24, 64];

impl Family {
    /// One text per family in use: `v4` or `v6` of each pair.
    fn pick(self, v4: String, v6: String) -> Vec<String> {
        match self {
            Self::Ipv4 => vec![v4],
            Self::Ipv6 => vec![v6],
            Self::Dual => vec![v4, v6],
        }
    }

    /// Of the hub: API server, and the way from node to node.
    pub(crate) fn hub(self) -> Vec<String> {
        self.pick("10.77.0.254".into(), "fd77::fe".into())
    }

    /// Of a node, counted from 1.
    pub(crate) fn node(self, node: usize) -> Vec<String> {
        self.pick(format!("10.77.0.{node}"), format!("fd77::{node}"))
    }

    /// Networks of a node's pods.
    pub(crate) fn pods(self, node: usize) -> Vec<String> {
        let [v4, v6] = POD_BITS;
        self.pick(format!("10.78.{node}.0/{v4}"), format!("fd78:0:0:{node}::/{v6}"))
    }

    /// Networks of all pods.
    pub(crate) fn all_pods(self) -> String {
        self.pick("10.78.0.0/16".into(), "fd78::/48".into()).join(",")
    }

    /// Networks of services.
    pub(crate) fn services(self) -> String {
        self.pick("10.79.0.0/16".into(), "fd79::/112".into()).join(",")
    }

    /// First address of the services: `kubernetes.default`.
    pub(crate) fn kubernetes_service(self) -> Vec<String> {
        self.pick("10.79.0.1".into(), "fd79::1".into())
    }

    /// Address of the name service.
    pub(crate) fn dns_service(self) -> Vec<String> {
        self.pick("10.79.0.10".into(), "fd79::a".into())
    }

    /// Where the API server is from inside the cluster.
    pub(crate) fn api_url(self) -> String {
        format!("https://{}", self.api_socket())
    }

    /// The same as address and port.
    pub(crate) fn api_socket(self) -> String {
        match self {
            Self::Ipv4 | Self::Dual => format!("10.77.0.254:{API_PORT}"),
            Self::Ipv6 => format!("[fd77::fe]:{API_PORT}"),
        }
    }

    /// Everything.
    pub(crate) fn any(self) -> &'static str {
        match self {
            Self::Ipv4 => "0.0.0.0",
            Self::Ipv6 | Self::Dual => "::",
        }
    }
}

/// `ip -4` or `ip -6`, by an address's look.
pub(crate) fn flag(address: &str) -> &'static str {
    if address.contains(':') { "-6" } else { "-4" }
}

/// An address's prefix length in the network between the nodes.
pub(crate) fn with_bits(address: &str) -> String {
    if address.contains(':') { format!("{address}/64") } else { format!("{address}/24") }
}
