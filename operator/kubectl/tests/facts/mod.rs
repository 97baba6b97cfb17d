//! A cluster as an API server has it.

use k8s_openapi::jiff::Timestamp;
use kubectl_spread::Facts;
use serde_json::{Value, json};
use spread_operator_api::SpreadCluster;

fn now() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().expect("a time")
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-24T14:50:00Z", "observedGeneration": 7})
}

fn object() -> Value {
    json!({
        "apiVersion": "spread-operator.dev/v1alpha1", "kind": "SpreadCluster",
        "metadata": {"name": "orders", "namespace": "shop", "generation": 7,
            "creationTimestamp": "2026-11-24T12:00:00Z"},
        "spec": {"replicas": 3, "slots": {"initial": 8}},
    })
}

fn pod(slot: u32, node: &str, created: &str) -> Value {
    json!({
        "metadata": {"name": format!("orders-r1-{slot}"), "namespace": "shop", "creationTimestamp": created,
            "labels": {"spread-operator.dev/cluster": "orders", "spread-operator.dev/ring": "1"}},
        "spec": {"nodeName": node, "containers": [{"name": "spreadd"}]},
        "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "spreadd", "image": "spreadd:0.1.0", "imageID": "", "ready": true,
                "restartCount": slot, "state": {"running": {"startedAt": created}}}]},
    })
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it fits the type")
}

/// Before anybody wrote a status.
#[allow(dead_code, reason = "not every test needs it")]
pub fn new_object() -> Facts {
    Facts {
        cluster: read(object()),
        pods: Vec::new(),
        events: Vec::new(),
        now: now(),
        missing: Vec::new(),
    }
}

/// Three daemons in a ring of eight slots.
pub fn facts() -> Facts {
    let mut cluster = object();
    cluster["status"] = json!({
        "observedGeneration": 7, "replicas": 3, "readyReplicas": 3, "activeRing": 1,
        "selector": "spread-operator.dev/cluster=orders",
        "slots": {"total": 8, "used": 3, "free": 5},
        "rings": [{"number": 1, "state": "Active", "slots": 8, "sessions": 42, "keyId": 2,
            "image": "spreadd:0.1.0", "daemonVersion": "0.1.0", "members": {"wanted": 3, "ready": 3, "inRing": 3}}],
        "client": {"host": "orders-client.shop.svc", "port": 4803, "configMap": "orders-client"},
        "conditions": [
            condition("Ready", "True", "Ready", "3 of 3 daemons are in the ring"),
            condition("Available", "True", "MembersPresent", "3 daemons serve"),
            condition("Stalled", "False", "Progressing", "no help is needed"),
            condition("SlotsAvailable", "True", "EnoughSpare", "5 of 8 slots are free, 1 wanted"),
            condition("MembershipConsistent", "True", "Consistent", "3 of 3 running daemons see all of them"),
        ],
    });
    let event = json!({
        "metadata": {"name": "orders.1"}, "involvedObject": {"kind": "SpreadCluster", "name": "orders"},
        "type": "Normal", "reason": "Ready", "message": "3 of 3 daemons are in the ring",
        "lastTimestamp": "2026-11-24T14:50:00Z",
    });
    let pods = [
        (0, "n1", "2026-11-24T14:58:30Z"),
        (1, "n2", "2026-11-24T12:00:00Z"),
        (2, "n3", "2026-11-20T12:00:00Z"),
    ];
    let cluster: SpreadCluster = read(cluster);
    Facts {
        cluster,
        pods: pods
            .into_iter()
            .map(|(slot, node, created)| read(pod(slot, node, created)))
            .collect(),
        events: vec![read(event)],
        now: now(),
        missing: Vec::new(),
    }
}
