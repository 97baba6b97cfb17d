//! The daemons' configuration, and what clients need to know.

use super::meta::{annotations, meta};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::names::{
    ACCESS_DIRECTORY, ACCESS_IP_KEY, ACCESS_PWORD_KEY, ADMIN_PORT, CONF_KEY,
    FROZEN_IMAGE_ANNOTATION, HEALTH_PORT, KEYS_DIRECTORY, Names, RING_KEY, SLOTS_ANNOTATION,
    SOCKET_DIRECTORY, SPREAD_PORT, TLS_DIRECTORY,
};
use crate::ring_config::{Access, RingConfig, SlotPlace};
use crate::snapshot::slot_name;
use k8s_openapi::api::core::v1::ConfigMap;
use spread_conf::RenderError;
use spread_operator_api::{AuthenticationType, IpFamily, RingEncryptionType};
use std::collections::BTreeMap;

/// The ConfigMap that pods mount. Its name stays; its content is not part of the pods.
pub(super) fn ring_config_map(
    facts: &Facts<'_>,
    decision: &Decision,
    families: &[IpFamily],
) -> Result<ConfigMap, RenderError> {
    let names = Names::of(facts.cluster);
    let ring = &decision.ring;
    let mut metadata = meta(facts, names.ring(ring.number));
    metadata.annotations = annotations([
        (SLOTS_ANNOTATION, ring.slots.to_string()),
        (FROZEN_IMAGE_ANNOTATION, ring.frozen_image.clone()),
    ]);
    let mut data = vec![(CONF_KEY.to_owned(), ring_conf(facts, decision, families)?)];
    let authentication = &facts.cluster.spec.clients.authentication;
    if authentication.r#type == AuthenticationType::IP {
        let lines: String = authentication.allow.iter().map(|entry| format!("{entry}\n")).collect();
        data.push((ACCESS_IP_KEY.to_owned(), lines));
    }
    Ok(ConfigMap { metadata, data: Some(data.into_iter().collect()), ..ConfigMap::default() })
}

/// spread.conf: the same for all daemons of the ring.
pub fn ring_conf(
    facts: &Facts<'_>,
    decision: &Decision,
    families: &[IpFamily],
) -> Result<String, RenderError> {
    let names = Names::of(facts.cluster);
    let ring = &decision.ring;
    let place = |ordinal: u32| SlotPlace {
        name: slot_name(ordinal),
        host: names.slot_host(ring.number, ordinal),
        port: SPREAD_PORT,
    };
    let places: Vec<SlotPlace> = (0..ring.slots).map(place).collect();
    // An IPv6 socket takes IPv4 as well; a pod without IPv6 may have no such socket.
    let any = if families.contains(&IpFamily::IPv6) { "[::]" } else { "0.0.0.0" };
    let spec = &facts.cluster.spec;
    let encrypted = spec.security.ring_encryption.r#type != RingEncryptionType::None;
    let key_file = format!("{KEYS_DIRECTORY}/{RING_KEY}");
    let access = match spec.clients.authentication.r#type {
        AuthenticationType::None => Access::Everybody,
        AuthenticationType::IP => Access::Addresses { file: ACCESS_IP_KEY.to_owned() },
        AuthenticationType::Secret => {
            Access::Passwords { file: format!("{ACCESS_DIRECTORY}/{ACCESS_PWORD_KEY}") }
        }
    };
    RingConfig {
        cluster: facts.cluster,
        ring_number: ring.number,
        places: &places,
        key_file: encrypted.then_some(&*key_file),
        admin_endpoint: Some(&format!("{any}:{ADMIN_PORT}")),
        admin_tls_directory: Some(TLS_DIRECTORY),
        health_endpoint: Some(&format!("{any}:{HEALTH_PORT}")),
        socket_directory: SOCKET_DIRECTORY,
        access,
        json_log: true,
    }
    .render()
}

/// What a client needs: mounted, or read as environment.
pub(super) fn client_config_map(facts: &Facts<'_>) -> ConfigMap {
    let names = Names::of(facts.cluster);
    ConfigMap {
        metadata: meta(facts, names.client()),
        data: Some(client_data(facts)),
        ..ConfigMap::default()
    }
}

pub(super) fn client_data(facts: &Facts<'_>) -> BTreeMap<String, String> {
    let names = Names::of(facts.cluster);
    let mut data: BTreeMap<String, String> =
        [("host".to_owned(), names.client_host()), ("port".to_owned(), SPREAD_PORT.to_string())]
            .into();
    if let Some(certificate) = &facts.ca_certificate {
        data.insert("ca.crt".to_owned(), certificate.clone());
    }
    data
}
