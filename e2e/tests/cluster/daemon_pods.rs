//! Daemons in pods of a plain StatefulSet, with host names in their configuration, without the operator.

use crate::bench::{Bench, Flood, TIMEOUT, restricted, restricted_pod};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Slots in the configuration.
const SLOTS: usize = 8;

fn configuration(namespace: &str) -> String {
    let mut text = String::from(
        "RingEncryption = off\nAdminEndpoint = 0.0.0.0:4805\nUnixSocketDirectory = /run/spread\n",
    );
    for slot in 0..SLOTS {
        let host = format!("ring-{slot}.ring.{namespace}.svc.cluster.local");
        text += &format!("Spread_Segment {host}:4803 {{\n    d{slot} {host}\n}}\n");
    }
    text
}

/// A ring as the operator would make it: every slot listed, some without a pod.
fn ring(bench: &Bench, replicas: usize) {
    let labels = json!({"app": "ring"});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "ring", "namespace": bench.namespace},
        "spec": {
            "clusterIP": "None", "publishNotReadyAddresses": true, "selector": labels,
            "ports": [{"name": "ring", "port": 4803, "protocol": "UDP"}],
        },
    });
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "ring", "namespace": bench.namespace},
        "data": {"spread.conf": configuration(&bench.namespace)},
    });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "ring", "namespace": bench.namespace},
        "spec": {
            "replicas": replicas, "serviceName": "ring", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "terminationGracePeriodSeconds": 30,
                "securityContext": restricted_pod(),
                "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": labels},
                }],
                "containers": [{
                    "name": "spreadd",
                    "image": spread_e2e::product::image_name("spreadd"),
                    "imagePullPolicy": "Never",
                    "args": ["-c", "/etc/spread/spread.conf", "-n", "d$(SLOT)"],
                    "env": [{"name": "SLOT", "valueFrom": {"fieldRef": {
                        "fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}}],
                    "securityContext": restricted(),
                    "readinessProbe": {"httpGet": {"path": "/readyz", "port": 4805}, "periodSeconds": 1},
                    "volumeMounts": [
                        {"name": "configuration", "mountPath": "/etc/spread", "readOnly": true},
                        {"name": "sockets", "mountPath": "/run/spread"},
                    ],
                }],
                "volumes": [
                    {"name": "configuration", "configMap": {"name": "ring"}},
                    {"name": "sockets", "emptyDir": {}},
                ],
            }},
        },
    });
    for object in [service, map, set] {
        bench.kubectl().apply(&object.to_string()).unwrap();
    }
}

fn named(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

fn scale(bench: &Bench, replicas: usize) {
    bench.run(&["scale", "statefulset", "ring", &format!("--replicas={replicas}")]);
    bench
        .kubectl()
        .wait(&format!("{replicas} pods to be ready"), TIMEOUT, |_| {
            let status = &bench.get(&["statefulset", "ring"])["status"];
            let all = ["replicas", "readyReplicas"].iter().all(|field| status[field] == replicas);
            Ok(all.then_some(()))
        })
        .unwrap();
}

/// Uids of the daemons' pods by name.
fn uids(bench: &Bench) -> BTreeMap<String, String> {
    let list = bench.get(&["pods", "--selector=app=ring"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = list["items"].as_array().unwrap().iter();
    pods.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect()
}

/// The node of a daemon's pod, and the number of that node.
fn node(bench: &Bench, pod: &str) -> (String, usize) {
    let name = bench.get(&["pod", pod])["spec"]["nodeName"].as_str().unwrap().to_owned();
    let number = name.trim_start_matches("node").parse().unwrap();
    (name, number)
}

/// Three daemons, on as many nodes as there are.
fn three(namespace: &str) -> Bench {
    let bench = Bench::new(namespace);
    ring(&bench, 3);
    scale(&bench, 3);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));
    bench
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn daemons_fill_and_free_spare_slots_under_traffic_and_nothing_is_lost() {
    let bench = three("spare-slots");
    let flood = Flood::start(&bench, &named("ring-", 3), None);
    let before = uids(&bench);
    scale(&bench, 5);
    bench.wait_ring(&named("ring-", 5), &named("d", 5));
    scale(&bench, 3);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));
    let report = flood.judge();
    assert_eq!(before, uids(&bench), "no other pod was touched");
    assert_eq!(report["network_views"], 0, "no member of the group came or went");
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_killed_daemon_comes_back_under_another_address_and_the_others_lose_nothing() {
    let bench = three("killed-daemon");
    let flood = Flood::start(&bench, &named("ring-", 2), None);
    let before = uids(&bench);
    bench.run(&["delete", "pod", "ring-2", "--force", "--grace-period=0"]);
    bench
        .kubectl()
        .wait("another pod in the slot", TIMEOUT, |_| {
            let now = uids(&bench);
            Ok(now.get("ring-2").is_some_and(|uid| *uid != before["ring-2"]).then_some(()))
        })
        .unwrap();
    scale(&bench, 3);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));
    flood.judge();
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_node_that_is_cut_off_and_comes_back_costs_the_others_nothing() {
    let bench = three("cut-node");
    if bench.cluster.nodes() < 2 {
        return println!("left out: it needs two nodes");
    }
    // What is not on the node of the last daemon goes on.
    let (cut, number) = node(&bench, "ring-2");
    let (stay, go): (Vec<String>, Vec<String>) =
        named("ring-", 3).into_iter().partition(|pod| node(&bench, pod).0 != cut);
    assert!(!stay.is_empty(), "all daemons are on {cut}");
    let slots =
        |pods: &[String]| pods.iter().map(|pod| pod.replace("ring-", "d")).collect::<Vec<_>>();
    let flood = Flood::start(&bench, &stay, Some(&node(&bench, &stay[0]).0));
    bench.cluster.cut(number).unwrap();
    bench.wait_ring(&stay, &slots(&stay));
    bench.cluster.mend(number).unwrap();
    bench.wait_ring(&[stay, go].concat(), &named("d", 3));
    flood.judge();
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_drained_nodes_daemon_moves_and_the_others_lose_nothing() {
    let bench = three("drained-node");
    if bench.cluster.nodes() < 2 {
        return println!("left out: it needs two nodes");
    }
    let (drained, _) = node(&bench, "ring-2");
    let stay: Vec<String> =
        named("ring-", 3).into_iter().filter(|pod| node(&bench, pod).0 != drained).collect();
    let flood = Flood::start(&bench, &stay, Some(&node(&bench, &stay[0]).0));
    let selector = "--pod-selector=app=ring";
    bench.run(&["drain", &drained, "--delete-emptydir-data", "--ignore-daemonsets", selector]);
    scale(&bench, 3);
    assert_ne!(node(&bench, "ring-2").0, drained);
    bench.run(&["uncordon", &drained]);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));
    flood.judge();
}
