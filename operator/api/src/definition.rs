//! The CustomResourceDefinition as it is installed: what the types give, with the edges that the
//! generator leaves.

use crate::SpreadCluster;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;
use serde_json::{Map, Value, json};

/// Bounds of what Kubernetes' own types leave open, such as tolerations and affinities.
const TEXT_MAX_CHARACTERS: u64 = 4096;
const LIST_MAX_ITEMS: u64 = 64;
const MAP_MAX_PROPERTIES: u64 = 64;

/// Annotation with the revision of the definition: the operator compares it with its own.
pub const DEFINITION_REVISION_ANNOTATION: &str = "spread-operator.dev/definition-revision";

/// Revision of the definition; rises with each change of a field.
pub const DEFINITION_REVISION: u32 = 1;

/// The definition of `SpreadCluster`.
///
/// # Panics
/// Never: the types' own schema is read back; a test holds it.
#[allow(clippy::unwrap_used, reason = "what was just serialized reads back, and a test does so")]
pub fn definition() -> CustomResourceDefinition {
    let mut value = serde_json::to_value(SpreadCluster::crd()).unwrap();
    value["metadata"]["annotations"] =
        json!({ DEFINITION_REVISION_ANNOTATION: DEFINITION_REVISION.to_string() });
    let schema = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    schema["description"] =
        json!("A cluster of daemons that gives its clients ordered group communication.");
    schema["properties"]["spec"]["description"] = json!("What is asked for.");
    schema["properties"]["status"]["description"] = json!("What is so. The operator writes it.");
    finish(schema);
    serde_json::from_value(value).unwrap()
}

/// Walks a schema: formats that API servers know, a bound for everything.
fn finish(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    match object.get("format").and_then(Value::as_str) {
        Some("uint16") => set(object, "format", json!("int32")),
        Some("uint32") => set(object, "format", json!("int64")),
        _ => {}
    }
    let bound = match object.get("type").and_then(Value::as_str) {
        Some("string") if !object.contains_key("enum") && object.get("format").is_none() => {
            Some(("maxLength", TEXT_MAX_CHARACTERS))
        }
        Some("array") => Some(("maxItems", LIST_MAX_ITEMS)),
        Some("object") if object.contains_key("additionalProperties") => {
            Some(("maxProperties", MAP_MAX_PROPERTIES))
        }
        _ => None,
    };
    if let Some((name, value)) = bound
        && !object.contains_key(name)
    {
        set(object, name, json!(value));
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(finish);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(inner) {
            finish(inner);
        }
    }
}

fn set(object: &mut Map<String, Value>, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}
