//! Daemons in pods of a plain StatefulSet, with host names in their configuration, without the operator.

use crate::bench::{Bench, node_number, restricted, restricted_pod};
use crate::flood::Flood;
use anyhow::ensure;
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
    bench.wait(&format!("{replicas} pods to be ready"), || {
        let found = bench.try_get(&["statefulset", "ring"])?;
        let fields = ["replicas", "readyReplicas"].map(|field| &found["status"][field]);
        ensure!(
            fields.iter().all(|field| **field == replicas),
            "replicas and ready are {fields:?}"
        );
        Ok(())
    });
}

/// What a daemon's admin endpoint says of itself.
fn daemon_status(bench: &Bench, pod: &str) -> anyhow::Result<Value> {
    let path = format!("--raw=/api/v1/namespaces/{}/pods/{pod}:4805/proxy/status", bench.namespace);
    Ok(serde_json::from_str(&bench.kubectl().run(&["get", &path])?)?)
}

/// Waits until each of the pods says that exactly these daemons are in its ring.
fn wait_ring(bench: &Bench, pods: &[String], members: &[String]) {
    bench.wait(&format!("{pods:?} to be in a ring of {members:?}"), || {
        for pod in pods {
            let status = daemon_status(bench, pod)?;
            let list = status["members"].as_array().cloned().unwrap_or_default();
            let names: Vec<&str> = list.iter().filter_map(|one| one["name"].as_str()).collect();
            ensure!(names == *members, "{pod} says {names:?}");
        }
        Ok(())
    });
}

/// Uids of the daemons' pods by name.
fn uids(bench: &Bench) -> BTreeMap<String, String> {
    let list = bench.get(&["pods", "--selector=app=ring"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pods = list["items"].as_array().unwrap().iter();
    pods.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect()
}

/// The node of a daemon's pod.
fn node(bench: &Bench, pod: &str) -> String {
    bench.get(&["pod", pod])["spec"]["nodeName"].as_str().unwrap().to_owned()
}

/// A flood through the daemons of these pods, on the node of the first. By address: name servers remember for half a
/// minute that a pod had no name.
fn flood<'a>(bench: &'a Bench, pods: &[String]) -> Flood<'a> {
    let address =
        |pod: &String| bench.get(&["pod", pod])["status"]["podIP"].as_str().unwrap().to_owned();
    let addresses: Vec<String> = pods.iter().map(address).collect();
    Flood::start(bench, &addresses, Some(&node(bench, &pods[0])))
}

/// Three daemons, on as many nodes as there are.
fn three(namespace: &str) -> Bench {
    let bench = Bench::new(namespace);
    ring(&bench, 3);
    scale(&bench, 3);
    wait_ring(&bench, &named("ring-", 3), &named("d", 3));
    bench
}

/// The pods that are not on the node of the last, and that node.
fn apart_from_the_last(bench: &Bench) -> (Vec<String>, String) {
    let last = node(bench, "ring-2");
    let apart = named("ring-", 3).into_iter().filter(|pod| node(bench, pod) != last);
    (apart.collect(), last)
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn daemons_fill_and_free_spare_slots_under_traffic_and_nothing_is_lost() {
    let bench = three("spare-slots");
    let flood = flood(&bench, &named("ring-", 3));
    let before = uids(&bench);
    scale(&bench, 5);
    wait_ring(&bench, &named("ring-", 5), &named("d", 5));
    scale(&bench, 3);
    wait_ring(&bench, &named("ring-", 3), &named("d", 3));
    let report = flood.judge();
    assert_eq!(before, uids(&bench), "no other pod was touched");
    assert_eq!(report["network_views"], 0, "no member of the group came or went");
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_killed_daemon_comes_back_under_another_address_and_the_others_lose_nothing() {
    let bench = three("killed-daemon");
    let flood = flood(&bench, &named("ring-", 2));
    let before = uids(&bench);
    bench.run(&["delete", "pod", "ring-2", "--force", "--grace-period=0"]);
    bench.wait("another pod in the slot", || {
        let now = uids(&bench);
        ensure!(now.get("ring-2").is_some_and(|uid| *uid != before["ring-2"]), "it is {now:?}");
        Ok(())
    });
    scale(&bench, 3);
    wait_ring(&bench, &named("ring-", 3), &named("d", 3));
    flood.judge();
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_node_that_is_cut_off_and_comes_back_costs_the_others_nothing() {
    let bench = three("cut-node");
    let Some(cluster) = bench.own_cluster(2) else { return };
    // What is not on the node of the last daemon goes on.
    let (stay, cut) = apart_from_the_last(&bench);
    assert!(!stay.is_empty(), "all daemons are on {cut}");
    let slots: Vec<String> = stay.iter().map(|pod| pod.replace("ring-", "d")).collect();
    let flood = flood(&bench, &stay);
    cluster.cut(node_number(&cut)).unwrap();
    wait_ring(&bench, &stay, &slots);
    cluster.mend(node_number(&cut)).unwrap();
    wait_ring(&bench, &named("ring-", 3), &named("d", 3));
    flood.judge();
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_drained_nodes_daemon_moves_and_the_others_lose_nothing() {
    let bench = three("drained-node");
    if bench.own_cluster(2).is_none() {
        return;
    }
    let (stay, drained) = apart_from_the_last(&bench);
    let flood = flood(&bench, &stay);
    let selector = "--pod-selector=app=ring";
    let drain = ["drain", &drained, "--delete-emptydir-data", "--ignore-daemonsets", selector];
    bench.kubectl().run(&drain).unwrap();
    scale(&bench, 3);
    assert_ne!(node(&bench, "ring-2"), drained);
    bench.kubectl().run(&["uncordon", &drained]).unwrap();
    wait_ring(&bench, &named("ring-", 3), &named("d", 3));
    flood.judge();
}
