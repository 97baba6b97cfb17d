//! The spec's choices about keys and certificates.

use crate::choice::choice;
use crate::rule::rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys and certificates.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Security {
    /// Keys of the packets between daemons.
    pub ring_encryption: RingEncryption,
    /// Certificates of the daemons.
    pub tls: Tls,
}

/// Keys of the packets between daemons.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".name",
            "(self.type == 'Secret') == has(self.name)",
            "name is the Secret with the keys: give it with type Secret, and remove it otherwise")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RingEncryption {
    /// Which one.
    pub r#type: RingEncryptionType,
    /// Secret: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: Option<String>,
}

choice!(@kind
    /// Keys of the packets between daemons.
    RingEncryptionType {
        /// Made and rotated for you.
        Managed,
        /// Yours.
        Secret,
        /// No encryption.
        None,
    }
);

/// Certificates of the daemons.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".name",
            "(self.type == 'Secret') == has(self.name)",
            "name is the Secret with the certificate: give it with type Secret, and remove it otherwise"),
        rule(".issuerRef",
            "(self.type == 'CertManager') == has(self.issuerRef)",
            "issuerRef is cert-manager's issuer: give it with type CertManager, and remove it otherwise")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Which one.
    pub r#type: TlsType,
    /// Secret: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// CertManager: who signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
}

choice!(@kind
    /// Certificates of the daemons.
    TlsType {
        /// By the operator's own authority.
        Managed,
        /// By cert-manager.
        CertManager,
        /// Yours.
        Secret,
    }
);

/// An issuer of cert-manager.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".kind",
            "self.kind == 'Issuer' || self.kind == 'ClusterIssuer'",
            "kind is not one of cert-manager's: write Issuer or ClusterIssuer")
]))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Issuer or ClusterIssuer.
    #[serde(default = "IssuerRef::default_kind")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

impl IssuerRef {
    fn default_kind() -> String {
        "Issuer".to_owned()
    }
}
