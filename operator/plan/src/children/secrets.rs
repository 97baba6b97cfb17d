//! Keys and certificates as Secrets. What is random in them comes from the driver.

use super::meta::meta;
use crate::decision::Decision;
use crate::facts::Facts;
use crate::keys::RingKeys;
use crate::names::{CLUSTER_LABEL, Names, RING_KEY};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use spread_operator_api::requests;

/// Type of a Secret that the operator makes.
pub const SECRET_TYPE: &str = "Opaque";

/// A third of a certificate's life before its end it is renewed.
const RENEWAL_FRACTION: u64 = 3;

pub(super) fn ring_secret(facts: &Facts<'_>, keys: &RingKeys) -> Secret {
    let name = Names::of(facts.cluster).ring_secret();
    let request = keys.handled_request.clone().map(|value| (requests::ROTATE_KEYS, value));
    secret(facts, &name, SECRET_TYPE, &[(RING_KEY, &keys.text)], request.as_slice())
}

/// `type` cannot be changed: that of a Secret that is there already.
pub(super) fn secret(
    facts: &Facts<'_>,
    name: &str,
    r#type: &str,
    data: &[(&str, &str)],
    annotations: &[(&str, String)],
) -> Secret {
    let mut metadata = meta(facts, name.to_owned());
    metadata.annotations = (!annotations.is_empty()).then(|| {
        annotations.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    });
    let bytes =
        |(name, text): &(&str, &str)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec()));
    Secret {
        metadata,
        type_: Some(r#type.to_owned()),
        data: Some(data.iter().map(bytes).collect()),
        ..Secret::default()
    }
}

/// What is known of a certificate that the operator made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Seconds since 1970 at which it ends.
    pub not_after_seconds: u64,
    /// How long it is valid altogether.
    pub lifetime_seconds: u64,
    /// The names that it was made for.
    pub dns_names: Vec<String>,
}

/// Whether a certificate has to be made: there is none, it ends soon, or its names are others.
pub fn certificate_is_due(
    held: Option<&CertificateFacts>,
    dns_names: &[String],
    now_seconds: u64,
) -> bool {
    held.is_none_or(|held| {
        let renew_at =
            held.not_after_seconds.saturating_sub(held.lifetime_seconds / RENEWAL_FRACTION);
        now_seconds >= renew_at || held.dns_names != dns_names
    })
}

/// The request to cert-manager. It writes the Secret, with our label so that we see it.
pub(super) fn certificate(facts: &Facts<'_>, decision: &Decision) -> Value {
    let names = Names::of(facts.cluster);
    let issuer = facts.cluster.spec.security.tls.issuer_ref.as_ref();
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": meta(facts, names.tls_secret()),
        "spec": {
            "secretName": names.tls_secret(),
            "secretTemplate": {"labels": {CLUSTER_LABEL: names.cluster}},
            "dnsNames": names.dns_names(decision.ring.number),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth", "client auth"],
            "issuerRef": {
                "group": "cert-manager.io",
                "kind": issuer.map(|issuer| issuer.kind.clone()),
                "name": issuer.map(|issuer| issuer.name.clone()),
            },
        },
    })
}
