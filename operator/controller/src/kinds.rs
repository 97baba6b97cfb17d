//! The kinds of children, as the API server names them.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use spread_plan::Child;
use spread_plan::names::Names;

/// How a kind is asked for.
pub fn resource(kind: &str) -> ApiResource {
    match kind {
        "Service" => ApiResource::erase::<Service>(&()),
        "ConfigMap" => ApiResource::erase::<ConfigMap>(&()),
        "Secret" => ApiResource::erase::<Secret>(&()),
        "PodDisruptionBudget" => ApiResource::erase::<PodDisruptionBudget>(&()),
        "NetworkPolicy" => ApiResource::erase::<NetworkPolicy>(&()),
        "StatefulSet" => ApiResource::erase::<StatefulSet>(&()),
        other => ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", other)),
    }
}

/// A child as JSON, with its kind.
pub fn to_json(child: &Child) -> serde_json::Result<Value> {
    let mut value = match child {
        Child::Service(child) => serde_json::to_value(child)?,
        Child::ConfigMap(child) => serde_json::to_value(child)?,
        Child::Secret(child) => serde_json::to_value(child)?,
        Child::PodDisruptionBudget(child) => serde_json::to_value(child)?,
        Child::NetworkPolicy(child) => serde_json::to_value(child)?,
        Child::StatefulSet(child) => serde_json::to_value(child)?,
        Child::Certificate(child) => child.clone(),
    };
    let resource = resource(child.kind());
    value["apiVersion"] = resource.api_version.into();
    value["kind"] = resource.kind.into();
    Ok(value)
}

/// A text of a Secret as the API server has it.
pub fn secret_text(secret: &DynamicObject, key: &str) -> Option<String> {
    let encoded = secret.data.get("data")?.get(key)?;
    let bytes: k8s_openapi::ByteString = serde_json::from_value(encoded.clone()).ok()?;
    String::from_utf8(bytes.0).ok()
}

/// Whether this name is one of the Secrets that are made once and never overwritten unseen.
pub fn is_kept_secret(names: &Names, name: &str) -> bool {
    [names.ring_secret(), names.ca_secret(), names.tls_secret()].iter().any(|kept| kept == name)
}
