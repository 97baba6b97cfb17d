//! An operator that may act in some namespaces only, by the API server's own authorization.

use crate::bench::Bench;
use crate::ring::{self, NAME, Ring};
use anyhow::ensure;
use spread_e2e::helm::{OPERATOR, SYSTEM};
use std::time::Duration;

/// Longer than between two passes over an object that nothing happens to, so that one would be noticed.
const WATCHED: Duration = Duration::from_secs(35);

/// What all replicas of the operator have said.
fn operator_log(bench: &Bench) -> String {
    let selector = format!("--selector=app.kubernetes.io/name={OPERATOR}");
    let logs = ["logs", "--namespace", SYSTEM, &selector, "--tail=-1", "--prefix"];
    bench.kubectl().run(&logs).unwrap()
}

/// Whether the operator's account may do something.
fn may(bench: &Bench, what: &[&str]) -> bool {
    let account = format!("--as=system:serviceaccount:{SYSTEM}:{OPERATOR}");
    // It answers `no` with an exit status of 1.
    bench.kubectl().run(&[&["auth", "can-i", &account], what].concat()).is_ok()
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn with_roles_alone_rings_run_where_it_watches_and_nothing_is_touched_elsewhere() {
    let bench = Bench::new("watched");
    let elsewhere = Bench::new("elsewhere");
    bench.helm().install_operator_with(&["watchNamespaces={watched}"]).unwrap();
    let installed = format!("--selector=app.kubernetes.io/instance={OPERATOR}");
    let wide = bench.run(&["get", "clusterroles,clusterrolebindings", &installed, "--output=name"]);
    assert_eq!(wide, "", "Roles are enough");
    let create = ["create", "statefulsets.apps"];
    assert!(may(&bench, &[&create[..], &["--namespace=watched"]].concat()));
    assert!(!may(&bench, &[&create[..], &["--namespace=elsewhere"]].concat()));

    ring::apply(&elsewhere, &ring::spec());
    let ring = Ring::make(&bench);
    ring.scale(5);
    ring.ready(5);
    bench.run(&["delete", "pod", &ring::pod(1)]);
    ring.ready(5);
    std::thread::sleep(WATCHED);
    ring.is_ready(5).unwrap();

    let untouched = elsewhere.get(&["spreadcluster", NAME]);
    assert!(untouched["status"].is_null(), "{untouched}");
    let children = format!("--selector=spread-operator.dev/cluster={NAME}");
    let kinds =
        "pods,statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies";
    let made = elsewhere.run(&["get", kinds, &children, "--output=name"]);
    assert_eq!(made, "");

    let log = operator_log(&bench);
    assert!(log.contains("pod/"), "replicas have said something: {log}");
    let refused: Vec<&str> =
        log.lines().filter(|line| line.to_lowercase().contains("forbidden")).collect();
    assert!(refused.is_empty(), "{refused:#?}");

    // The object's owner asks for it: it is seen as soon as its namespace is watched.
    bench.helm().install_operator_with(&["watchNamespaces={watched,elsewhere}"]).unwrap();
    bench.wait("the other object to be Ready, too", || {
        let found = elsewhere.try_get(&["spreadcluster", NAME])?;
        let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        ensure!(ready, "{conditions:?}");
        Ok(())
    });
}
