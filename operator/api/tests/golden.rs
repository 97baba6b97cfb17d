//! Objects that were written once stay readable, and say the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::Value;
use spread_operator_api::{SpreadCluster, definition, validate};
use std::{fs, path::Path};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Whether all that the first says is said by the second too.
fn says(written: &Value, read: &Value, path: &str) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written {
                let inner = read.get(name).unwrap_or_else(|| panic!("{path}.{name} is lost"));
                says(value, inner, &format!("{path}.{name}"));
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            assert_eq!(written.len(), read.len(), "{path}");
            for (index, (value, inner)) in written.iter().zip(read).enumerate() {
                says(value, inner, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(written, read, "{path}"),
    }
}

#[test]
fn golden_objects_stay_readable() {
    let files: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let written: Value = serde_saphyr::from_str(&text).unwrap();
        let cluster: SpreadCluster = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(validate(&cluster), [], "{}", file.display());
        says(&written, &serde_json::to_value(&cluster).unwrap(), "");
    }
}

/// A new field without a line in the golden object would not be held.
#[test]
fn the_full_object_has_every_field() {
    let text = fs::read_to_string(folder().join("full.yaml")).unwrap();
    let object: Value = serde_saphyr::from_str(&text).unwrap();
    let crd = serde_json::to_value(definition()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    for part in ["spec", "status"] {
        complete(&schema["properties"][part], &object[part], part);
    }
}

/// The other branch of a union, and what is Kubernetes' own.
const LEFT_OUT: &[&str] = &[
    "spec.placement.nodeSelector",
    "spec.limits.slowReader.timeoutSeconds",
    "spec.clients.authentication.name",
    "spec.security.tls.name",
    "spec.podTemplate.",
];

fn complete(schema: &Value, object: &Value, path: &str) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let own = path.starts_with("spec.podTemplate.") && path.matches('.').count() > 2;
        if LEFT_OUT.contains(&path.as_str()) || own || path.starts_with("status.conditions.") {
            continue;
        }
        assert!(!object[name].is_null(), "{path} is not in full.yaml");
        complete(field, &object[name], &path);
        if field["items"].is_object() && object[name].is_array() && name != "conditions" {
            complete(&field["items"], &object[name][0], &path);
        }
    }
}
