//! The control plane on loopback. `cargo e2e test` runs these; alone:
//! `cargo test -p spread-e2e --test control_plane -- --ignored`.

#![allow(clippy::unwrap_used, reason = "helpers of a test fail it")]

use spread_e2e::ControlPlane;
use std::path::PathBuf;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(60);

/// Processes whose arguments name a folder.
fn processes(folder: &std::path::Path) -> Vec<PathBuf> {
    let folder = folder.display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    all.filter(|process| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&folder)
    })
    .collect()
}

#[test]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
fn it_serves_survives_its_api_server_and_leaves_nothing() {
    let plane = ControlPlane::start().unwrap();
    let kubectl = plane.kubectl();
    kubectl.apply(r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"kept","namespace":"default"}}"#).unwrap();
    plane.stop_api_server().unwrap();
    assert!(kubectl.run(&["get", "--raw=/readyz", "--request-timeout=2s"]).is_err());
    plane.start_api_server().unwrap();
    assert_eq!(kubectl.get(&["configmap", "kept"]).unwrap()["metadata"]["name"], "kept");

    let folder = plane.folder().to_owned();
    assert_eq!(processes(&folder).len(), 2, "etcd and the API server");
    drop(plane);
    assert!(processes(&folder).is_empty());
    assert!(!folder.exists());
}

#[test]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
fn with_controllers_dependents_and_namespaces_go() {
    let plane = ControlPlane::start_with_controllers().unwrap();
    let kubectl = plane.kubectl();
    kubectl.run(&["create", "namespace", "short"]).unwrap();
    kubectl.run(&["create", "configmap", "owner", "--namespace=short"]).unwrap();
    let owner = kubectl.get(&["configmap", "owner", "--namespace=short"]).unwrap();
    let uid = owner["metadata"]["uid"].as_str().unwrap();
    kubectl
        .apply(&format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"dependent","namespace":"short",
            "ownerReferences":[{{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"{uid}"}}]}}}}"#
        ))
        .unwrap();
    kubectl.run(&["delete", "configmap", "owner", "--namespace=short"]).unwrap();
    kubectl
        .wait("the dependent to go", TIMEOUT, |kubectl| {
            let left = kubectl.run(&["get", "configmap", "dependent", "--namespace=short"]);
            Ok(left.is_err().then_some(()))
        })
        .unwrap();
    kubectl.run(&["delete", "namespace", "short", "--wait=false"]).unwrap();
    kubectl
        .wait("the namespace to go", TIMEOUT, |kubectl| {
            Ok(kubectl.run(&["get", "namespace", "short"]).is_err().then_some(()))
        })
        .unwrap();
}
