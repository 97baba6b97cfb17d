//! The spec's choices about clients.

use crate::choice::choice;
use crate::rule::rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may connect, and how.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Clients {
    /// Namespaces whose pods may connect.
    pub allowed_namespaces: AllowedNamespaces,
    /// How the client Service is made.
    pub service: ClientService,
    /// What clients have to show.
    pub authentication: Authentication,
}

/// Namespaces whose pods may connect.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".selector",
            "(self.from == 'Selector') == (has(self.selector) && size(self.selector) > 0)",
            "selector goes with from: Selector: give labels with it, and remove them otherwise")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AllowedNamespaces {
    /// Which ones.
    pub from: NamespacesFrom,
    /// Selector: labels of the namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub selector: BTreeMap<String, String>,
}

choice!(@kind
    /// Which namespaces.
    NamespacesFrom {
        /// The cluster's own.
        Same,
        /// All.
        All,
        /// Those with the labels.
        Selector,
    }
);

/// How the client Service is made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientService {
    /// Which one.
    pub r#type: ServiceType,
    /// Annotations of the Service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,
}

choice!(@kind
    /// Type of a Service.
    ServiceType {
        /// Inside the cluster.
        ClusterIP,
        /// A port of each node.
        NodePort,
        /// An address of the provider's.
        LoadBalancer,
    }
);

/// What clients have to show.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".name",
            "(self.type == 'Secret') == has(self.name)",
            "name is the Secret with the passwords: give it with type Secret, and remove it otherwise"),
        rule(".allow",
            "(self.type == 'IP') == (has(self.allow) && size(self.allow) > 0)",
            "allow lists addresses: give at least one with type IP, and remove it otherwise"),
        rule(".allow",
            "!has(self.allow) || self.allow.all(entry, isIP(entry) || isCIDR(entry))",
            "allow has an entry that is no address: write addresses such as 10.1.2.3 or networks such as 10.0.0.0/8 and fd00::/8")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// Which one.
    pub r#type: AuthenticationType,
    /// IP: addresses and networks that may connect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 49)), extend("x-kubernetes-list-type" = "set"))]
    pub allow: Vec<String>,
    /// Secret: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: Option<String>,
}

choice!(@kind
    /// What clients have to show.
    AuthenticationType {
        /// Nothing.
        None,
        /// An address.
        IP,
        /// A name and its password.
        Secret,
    }
);
