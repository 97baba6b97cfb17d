//! A daemon on each node: nodes come, are cordoned and go, and the operator sees it without asking again and again.

use crate::world::{Operator, World, wait};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use std::time::{Duration, Instant};

/// Passes that nothing starts are further apart: what is quicker was seen.
const SEEN: Duration = Duration::from_secs(20);

/// Nodes of one test; nobody else's objects are to run on them.
struct Nodes {
    api: Api<Node>,
    label: String,
}

impl Nodes {
    fn name(&self, number: u32) -> String {
        format!("{}-{number}", self.label)
    }

    async fn add(&self, number: u32) {
        let manifest = json!({
            "metadata": {"name": self.name(number), "labels": {"test": self.label}},
            "spec": {},
        });
        let node = serde_json::from_value(manifest).unwrap();
        self.api.create(&PostParams::default(), &node).await.unwrap();
    }

    async fn cordon(&self, number: u32, cordoned: bool) {
        let patch = json!({"spec": {"unschedulable": cordoned}});
        let parameters = PatchParams::default();
        self.api.patch(&self.name(number), &parameters, &Patch::Merge(&patch)).await.unwrap();
    }

    async fn remove(&self, number: u32) {
        self.api.delete(&self.name(number), &DeleteParams::default()).await.unwrap();
    }
}

async fn daemons(world: &World, expected: u64) {
    let began = Instant::now();
    wait(&format!("{expected} daemons are asked for"), async || {
        let set = world.child("StatefulSet", "orders-r1").await;
        match set.data["spec"]["replicas"].as_u64() {
            Some(found) if found == expected => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert!(began.elapsed() < SEEN, "it took {:?}: nobody saw it", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn daemons_follow_nodes_as_they_come_are_cordoned_and_go() {
    let world = World::new("per-node").await;
    let client: Client = world.client.clone();
    let nodes = Nodes { api: Api::all(client), label: world.namespace.clone() };
    nodes.add(0).await;
    nodes.add(1).await;
    let _operator = Operator::start(&world);
    let spec = json!({
        "placement": {"type": "PerNode", "nodeSelector": {"test": nodes.label}},
        // Nobody runs these nodes, so they are tainted as not ready.
        "podTemplate": {"tolerations": [{"operator": "Exists"}]},
    });
    world.apply("orders", &spec).await;
    world.made("orders").await;
    daemons(&world, 2).await;
    nodes.add(2).await;
    daemons(&world, 3).await;
    // Pods are bound to no node here, so a cordoned node has no daemon that it could keep.
    nodes.cordon(2, true).await;
    daemons(&world, 2).await;
    nodes.cordon(2, false).await;
    daemons(&world, 3).await;
    nodes.remove(2).await;
    daemons(&world, 2).await;
    nodes.remove(1).await;
    nodes.remove(0).await;
}
