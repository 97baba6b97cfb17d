//! The checked-in CustomResourceDefinition is the one that the types give.
//! `UPDATE_CRDS=1 cargo test -p spread-operator-api` writes it.

use kube::CustomResourceExt as _;
use spread_operator_api::{GROUP, SpreadCluster, VERSION};
use std::{env, fs, path::PathBuf};

#[test]
fn the_checked_in_definition_is_current() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds/spreadclusters.yaml");
    let text = format!(
        "# Generated from operator/api; `UPDATE_CRDS=1 cargo test -p spread-operator-api` writes it.\n{}",
        serde_saphyr::to_string(&SpreadCluster::crd()).unwrap()
    );
    if env::var_os("UPDATE_CRDS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let current = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == text,
        "crds/spreadclusters.yaml is not what the types give: UPDATE_CRDS=1 cargo test -p spread-operator-api"
    );
}

#[test]
fn the_definition_has_our_group_and_its_rules_have_fields_and_remedies() {
    let crd = serde_json::to_value(SpreadCluster::crd()).unwrap();
    assert_eq!(crd["spec"]["group"], GROUP);
    assert_eq!(crd["spec"]["versions"][0]["name"], VERSION);
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["properties"]["slots"]["properties"]["initial"]["default"], 8);
    let rules = spec["x-kubernetes-validations"].as_array().unwrap();
    assert_eq!(rules.len(), 5);
    for rule in rules {
        assert!(rule["fieldPath"].is_string() && rule["reason"].is_string(), "{rule}");
        assert!(rule["message"].as_str().unwrap().contains([':', ';']), "{rule}");
    }
}
