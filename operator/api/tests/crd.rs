//! The checked-in CustomResourceDefinition and the reference of fields are those that the types give.
//! `UPDATE_CRDS=1 cargo test -p spread-operator-api` writes both.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod reference;

use serde_json::Value;
use spread_operator_api::{CONDITIONS, GROUP, VERSION, definition};
use std::{env, fs, path::PathBuf};

fn compare(file: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    if env::var_os("UPDATE_CRDS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == text,
        "{file} is not what the types give: UPDATE_CRDS=1 cargo test -p spread-operator-api"
    );
}

fn schema() -> Value {
    let crd = serde_json::to_value(definition()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

#[test]
fn the_checked_in_definition_is_current() {
    let yaml = serde_saphyr::to_string(&definition()).unwrap();
    compare(
        "crds/spreadclusters.yaml",
        &format!(
            "# Generated from operator/api; `UPDATE_CRDS=1 cargo test -p spread-operator-api` writes it.\n{yaml}"
        ),
    );
}

#[test]
fn the_reference_of_fields_is_current() {
    compare("docs/api.md", &reference::render(&definition()));
}

#[test]
fn the_definition_has_our_group_and_its_defaults() {
    let crd = serde_json::to_value(definition()).unwrap();
    assert_eq!(crd["spec"]["group"], GROUP);
    assert_eq!(crd["spec"]["versions"][0]["name"], VERSION);
    let spec = &schema()["properties"]["spec"];
    assert_eq!(spec["properties"]["slots"]["properties"]["initial"]["default"], 8);
}

#[test]
fn every_rule_has_a_reason_a_field_and_a_remedy() {
    let mut rules = 0;
    each(&schema(), "", &mut |path, node| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules += 1;
            assert!(rule["reason"].is_string(), "{path}: {rule}");
            assert!(rule["fieldPath"].is_string() || path.is_empty(), "{path}: {rule}");
            assert!(rule["message"].as_str().unwrap().contains([':', ';']), "{path}: {rule}");
        }
    });
    assert!(rules >= 20, "{rules} rules");
}

#[test]
fn everything_is_bounded_and_of_a_format_that_api_servers_know() {
    each(&schema(), "", &mut |path, node| {
        let has = |name: &str| node.get(name).is_some();
        match node["type"].as_str() {
            Some("string") => {
                assert!(has("maxLength") || has("enum") || has("format"), "{path}: {node}");
            }
            Some("array") => assert!(has("maxItems"), "{path}"),
            Some("object") if has("additionalProperties") => {
                assert!(has("maxProperties"), "{path}");
            }
            _ => {}
        }
        let format = node["format"].as_str().unwrap_or("int32");
        assert!(["int32", "int64", "date-time"].contains(&format), "{path}: {format}");
    });
}

#[test]
fn every_condition_and_reason_is_told_once() {
    for condition in CONDITIONS {
        let mut words: Vec<&str> = condition.reasons.iter().map(|(word, _)| *word).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), condition.reasons.len(), "{}", condition.r#type);
        assert!(words.iter().all(|word| word.starts_with(|c: char| c.is_ascii_uppercase())));
    }
}

fn each(node: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, node);
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        each(inner, &format!("{path}.{name}"), visit);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = node.get(inner).filter(|inner| inner.is_object()) {
            each(inner, &format!("{path}[]"), visit);
        }
    }
}
