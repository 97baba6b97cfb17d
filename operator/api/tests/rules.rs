//! Wrong manifests, each refused with its field and what to do: by the schema's rules, evaluated in
//! process, and by `validate`, which the local run and the reconcile use.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use kube::core::cel::Validator;
use serde::Deserialize;
use serde_json::{Value, json};
use spread_operator_api::{GROUP, SpreadCluster, VERSION, Violation, definition, validate_new};

#[derive(Deserialize)]
struct Wrong {
    #[serde(default = "orders")]
    name: String,
    spec: Value,
    field: String,
    says: String,
    by: By,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum By {
    Rule,
    Schema,
}

fn orders() -> String {
    "orders".to_owned()
}

fn table() -> Vec<Wrong> {
    serde_saphyr::from_str(include_str!("wrong.yaml")).unwrap()
}

/// The object as an API server has it: with its defaults.
fn object(name: &str, spec: &Value) -> SpreadCluster {
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "SpreadCluster",
        "metadata": {"name": name},
        "spec": spec,
    });
    serde_json::from_value(object).unwrap_or_else(|error| panic!("{spec}: {error}"))
}

/// What the schema's rules say: field and message.
fn by_the_rules(new: &SpreadCluster, old: Option<&SpreadCluster>) -> Vec<(String, String)> {
    // The evaluator gives an absent old object as null, where API servers give an optional.
    let crd = serde_json::to_string(&definition()).unwrap();
    let crd = crd.replace("oldSelf.hasValue()", "oldSelf != null");
    let crd: Value = serde_json::from_str(&crd).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let new = serde_json::to_value(new).unwrap();
    let old = old.map(|old| serde_json::to_value(old).unwrap());
    match Validator::new().validate(schema, &new, old.as_ref()) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .iter()
            .map(|error| {
                (error.field_path.trim_start_matches('.').to_owned(), error.message.clone())
            })
            .collect(),
    }
}

#[test]
fn every_wrong_manifest_is_refused_with_field_and_remedy() {
    let table = table();
    assert!(table.len() >= 30);
    for Wrong { name, spec, field, says, by } in table {
        let object = object(&name, &spec);
        let found = validate_new(&object);
        let told = |violation: &Violation| {
            violation.field.starts_with(&field) && violation.to_string().contains(&says)
        };
        assert!(found.iter().any(told), "{spec}: {field} and {says:?} are not in {found:?}");
        let refused = by_the_rules(&object, None);
        let told = |(path, message): &(String, String)| {
            // A rule at the root cannot name a field of the metadata but in its text.
            (path.starts_with(&field) || message.contains(&field)) && message.contains(&says)
        };
        match by {
            By::Rule => assert!(refused.iter().any(told), "{spec}: {field}, {says:?}: {refused:?}"),
            // A list of lists' kinds and bounds is the schema's own: no rule repeats it.
            By::Schema => assert!(!refused.iter().any(told), "{spec} is refused twice"),
        }
    }
}

#[test]
fn good_manifests_break_no_rule() {
    for spec in [
        json!({"replicas": 3}),
        json!({"replicas": 8, "slots": {"initial": 8, "minSpare": 0, "max": 8}}),
        json!({"placement": {"type": "PerNode", "nodeSelector": {"a": "b"}}}),
        json!({"replicas": 1, "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}),
        json!({"replicas": 1, "clients": {"authentication": {"type": "IP", "allow": ["fd00::/8", "10.1.2.3"]}}}),
        json!({"replicas": 1, "security": {"tls": {"type": "CertManager", "issuerRef": {"name": "ca"}}}}),
        json!({"replicas": 1, "limits": {"slowReader": {"type": "Block", "timeoutSeconds": 5}}}),
    ] {
        let object = object("orders", &spec);
        assert_eq!(validate_new(&object), [], "{spec}");
        assert_eq!(by_the_rules(&object, None), [], "{spec}");
    }
}

#[test]
fn growth_beyond_the_first_ring_is_refused_at_creation_only() {
    let grown = object("orders", &json!({"replicas": 9}));
    assert_eq!(by_the_rules(&grown, None)[0].0, "spec.slots.initial");
    assert_eq!(by_the_rules(&grown, Some(&object("orders", &json!({"replicas": 3})))), []);
    assert_eq!(spread_operator_api::validate(&grown), []);
}

#[test]
fn a_small_object_has_the_documented_defaults() {
    let cluster = object("orders", &json!({"replicas": 3}));
    assert_eq!((cluster.spec.slots.initial, cluster.spec.slots.max), (8, 64));
    assert_eq!(cluster.spec.limits.max_message_bytes, 16_777_216);
    assert_eq!(cluster.spec.switchover.retain_old_ring_seconds, 300);
}

#[test]
fn a_misspelt_field_is_an_error_with_its_name() {
    let text = format!(
        "apiVersion: {GROUP}/{VERSION}\nkind: SpreadCluster\nmetadata: {{name: a}}\nspec:\n  replica: 3\n"
    );
    let error = serde_saphyr::from_str::<SpreadCluster>(&text).unwrap_err().to_string();
    assert!(error.contains("replica"), "{error}");
}
