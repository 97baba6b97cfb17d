//! No secret gets into a bundle, wherever it was.

mod facts;

use facts::facts;
use kubectl_spread::{bundle, redact, write_tar};
use serde_json::{Value, json};

/// What must not get out: a ring key, a certificate's key, a password, and how the API server writes them.
const KEY: &str = "8f1d3c5b7a9e0f2d4c6b8a9e1f3d5c7b8f1d3c5b7a9e0f2d4c6b8a9e1f3d5c7b";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH\n-----END PRIVATE KEY-----\n";
const PASSWORD: &str = "correct-horse";
const BASE64: &str = "MSA4ZjFkM2M1YjdhOWUwZjJkNGM2YjhhOWUxZjNkNWM3Yg==";

fn canaries() -> Vec<String> {
    let pem = PEM.lines().nth(1).expect("a line").to_owned();
    vec![KEY.to_owned(), pem, PASSWORD.to_owned(), BASE64.to_owned()]
}

/// A Secret with everything in every place, as if it had been fetched whole.
fn secret() -> Value {
    let applied =
        json!({"data": {"ring.key": BASE64}, "stringData": {"password": PASSWORD}}).to_string();
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "orders-ring", "namespace": "shop",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied, "note": "kept"},
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": {}}}]},
        "data": {"ring.key": BASE64, "tls.key": BASE64},
        "stringData": {"password": PASSWORD},
    })
}

fn objects() -> Vec<Value> {
    vec![
        secret(),
        json!({"kind": "ConfigMap", "metadata": {"name": "orders-r1"},
            "data": {"spread.conf": format!("# 1 {KEY}\nRingKeyFile = \"ring.key\"\n"), "key.pem": PEM}}),
        json!({"kind": "StatefulSet", "metadata": {"name": "orders-r1",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"x\": \"{PASSWORD}\"}}")}},
            "spec": {"template": {"spec": {"containers": [{"name": "spreadd",
                "env": [{"name": "SPREAD_PASSWORD", "value": PASSWORD}, {"name": "SPREADD_LOG", "value": "info"}]}]}}}}),
    ]
}

fn text_of_bundle() -> String {
    let mut facts = facts();
    facts.pods[0].metadata.annotations = Some(
        [("kubectl.kubernetes.io/last-applied-configuration".to_owned(), PASSWORD.to_owned())]
            .into(),
    );
    facts.events[0].message = Some(format!("token={PASSWORD} was refused"));
    facts.missing.push(format!("Pod: bearer token: {PASSWORD}"));
    let logs = [(
        "orders-r1-0".to_owned(),
        format!(
            "in a ring of 3\nkey 1 {KEY}\n{PEM}login password={PASSWORD}\nring.key is {BASE64}\n"
        ),
    )];
    let files =
        bundle(&facts, &objects(), &logs, &[format!("secret: {PASSWORD}")]).expect("a bundle");
    let mut archive = Vec::new();
    write_tar("orders-report", &files, &mut archive).expect("an archive");
    String::from_utf8_lossy(&archive).into_owned()
}

#[test]
fn no_secret_gets_into_a_bundle() {
    let text = text_of_bundle();
    for canary in canaries() {
        let at = text.find(&canary);
        let around = at.map(|at| &text[at.saturating_sub(200)..at]);
        assert!(at.is_none(), "{canary} got out, behind: {around:?}");
    }
}

#[test]
fn what_explains_stays() {
    let text = text_of_bundle();
    for kept in [
        "orders-report/objects/secret-orders-ring.yaml",
        "orders-report/objects/spreadcluster-orders.yaml",
        "orders-report/objects/pod-orders-r1-2.yaml",
        "orders-report/logs/orders-r1-0.log",
        "orders-report/status.txt",
        "in a ring of 3",
        "RingKeyFile = \"ring.key\"",
        "SPREADD_LOG",
        "3 of 3 daemons are in the ring",
        "note: kept",
    ] {
        assert!(text.contains(kept), "{kept} is missing");
    }
}

#[test]
fn of_a_secret_stay_names_and_sizes() {
    let redacted = redact(secret());
    assert_eq!(redacted["data"]["ring.key"], format!("(removed): {} characters", BASE64.len()));
    assert_eq!(redacted["metadata"]["name"], "orders-ring");
    assert!(redacted["metadata"]["managedFields"].is_null());
}

#[test]
fn a_secret_inside_a_list_is_a_secret() {
    let list = json!({"kind": "List", "items": [secret()]});
    let text = redact(list).to_string();
    for canary in canaries() {
        assert!(!text.contains(&canary), "{canary}: {text}");
    }
}
