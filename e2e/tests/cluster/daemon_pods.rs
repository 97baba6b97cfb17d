//! Daemons in pods of a plain StatefulSet, with host names in their configuration, without the operator.

use crate::bench::{Bench, Flood, TIMEOUT, restricted, restricted_pod};
use serde_json::json;

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

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn daemons_fill_and_free_spare_slots_under_traffic_and_nothing_is_lost() {
    let bench = Bench::new("daemon-pods");
    ring(&bench, 3);
    scale(&bench, 3);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));

    let servers: Vec<String> = named("ring-", 3)
        .iter()
        .map(|pod| format!("4803@{pod}.ring.{}.svc.cluster.local", bench.namespace))
        .collect();
    let flood = Flood::start(&bench, "flood", &servers, 40);
    let uids = |count| -> Vec<String> {
        let list = bench.get(&["pods", "--selector=app=ring"]);
        let pods = list["items"].as_array().unwrap().iter();
        pods.map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned()).take(count).collect()
    };
    let before = uids(3);
    scale(&bench, 5);
    bench.wait_ring(&named("ring-", 5), &named("d", 5));
    scale(&bench, 3);
    bench.wait_ring(&named("ring-", 3), &named("d", 3));
    assert!(flood.runs(), "the messages ended before the scaling did");
    let report = flood.judge();
    assert_eq!(before, uids(3), "no other pod was touched");
    println!(
        "{} messages, longest gap {} ms at {} s, {} network views",
        report["sent"],
        report["longest_gap_milliseconds"],
        report["longest_gap_at_seconds"],
        report["network_views"]
    );
}
