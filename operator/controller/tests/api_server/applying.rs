//! From an object to its children, and on: scale, requests, refusals, the end.

use crate::world::{CHILDREN, Operator, World, wait};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use spread_operator_api::CONDITIONS;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn an_object_gets_its_children_and_a_status() {
    let world = World::new("apply").await;
    let _operator = Operator::start(&world);
    let cluster = world.apply("orders", &json!({"replicas": 3})).await;
    let set = world.made("orders").await;
    assert_eq!(set.data["spec"]["replicas"], 3);
    assert_eq!(set.owner_references()[0].uid, cluster.uid().unwrap());
    world.reason("orders", "Ready", "RingForming").await;
    let status = world.clusters().get("orders").await.unwrap().status.unwrap();
    let types: Vec<&str> = status.conditions.iter().map(|one| one.type_.as_str()).collect();
    let expected: Vec<&str> = CONDITIONS.iter().map(|info| info.r#type).collect();
    assert_eq!(types, expected);
    assert!(status.conditions.iter().all(|one| one.observed_generation == Some(1)));
    assert_eq!(status.observed_generation, 1);
    assert_eq!(status.client.host, format!("orders-client.{}.svc", world.namespace));
    for (kind, _) in CHILDREN {
        for child in
            world.all(kind).await.iter().filter(|child| child.name_any().starts_with("orders-"))
        {
            assert!(child.finalizers().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn the_spec_is_the_users_alone() {
    let world = World::new("spec").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 3})).await;
    let differs = async || {
        let manifest = world.manifest("orders", &json!({"replicas": 3}));
        let parameters = PatchParams { dry_run: true, ..PatchParams::apply("user") };
        let before = world.clusters().get("orders").await.unwrap();
        let after =
            world.clusters().patch("orders", &parameters, &Patch::Apply(&manifest)).await.unwrap();
        before.spec != after.spec || before.metadata.generation != after.metadata.generation
    };
    world.made("orders").await;
    assert!(!differs().await);
    world.annotate("orders", "spread-operator.dev/restart", "a").await;
    wait("the restart is answered", async || {
        let status = world.clusters().get("orders").await.unwrap().status.unwrap();
        let handled = status.last_handled_requests.get("spread-operator.dev/restart").cloned();
        if handled.as_deref() == Some("a") { Ok(()) } else { Err(handled) }
    })
    .await;
    assert!(!differs().await);
    let cluster = world.clusters().get("orders").await.unwrap();
    for fields in cluster.metadata.managed_fields.into_iter().flatten() {
        let owned = fields.fields_v1.map(|owned| owned.0).unwrap_or_default();
        if fields.manager.as_deref() == Some("spread-operator") {
            assert!(owned.get("f:spec").is_none() && owned.get("f:metadata").is_none(), "{owned}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn scale_changes_the_size_and_nothing_else() {
    let world = World::new("scale").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 3, "slots": {"initial": 5}})).await;
    let before = world.made("orders").await;
    let conf = world.child("ConfigMap", "orders-r1").await;
    for (replicas, expected) in [(5, 5), (2, 2), (7, 5)] {
        let patch = json!({"spec": {"replicas": replicas}});
        world
            .clusters()
            .patch_scale("orders", &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .unwrap();
        wait(&format!("the set has {expected}"), async || {
            let set = world.child("StatefulSet", "orders-r1").await;
            let found = set.data["spec"]["replicas"].clone();
            if found == json!(expected) { Ok(()) } else { Err(found) }
        })
        .await;
    }
    let message = world.reason("orders", "Stalled", "NewRingUnsupported").await;
    assert!(message.contains("5 slots"), "{message}");
    let after = world.child("StatefulSet", "orders-r1").await;
    assert_eq!(before.data["spec"]["template"], after.data["spec"]["template"]);
    let conf_after = world.child("ConfigMap", "orders-r1").await;
    assert_eq!(conf.resource_version(), conf_after.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn foreign_objects_with_our_names_are_refused_and_left_alone() {
    let world = World::new("foreign").await;
    let services = world.children("Service");
    let foreign = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "orders-client"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "other"}},
    }))
    .unwrap();
    services.create(&PostParams::default(), &foreign).await.unwrap();
    let before = services.get("orders-client").await.unwrap();
    // The same with our label, by somebody else.
    let secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "orders-ring", "labels": {"spread-operator.dev/cluster": "orders"}},
    }))
    .unwrap();
    world.children("Secret").create(&PostParams::default(), &secret).await.unwrap();
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 3})).await;
    let message = world.reason("orders", "Stalled", "ForeignObject").await;
    assert!(message.contains("orders-") && message.contains("delete or rename"), "{message}");
    assert_eq!(
        services.get("orders-client").await.unwrap().resource_version(),
        before.resource_version()
    );
    services.delete("orders-client", &DeleteParams::default()).await.unwrap();
    world.children("Secret").delete("orders-ring", &DeleteParams::default()).await.unwrap();
    // The next pass is at most a minute away.
    world.annotate("orders", "example.org/look", "now").await;
    world.made("orders").await;
    world.reason("orders", "Stalled", "Progressing").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_full_quota_is_one_condition_and_stops_nobody_else() {
    let world = World::new("quota").await;
    let quota: k8s_openapi::api::core::v1::ResourceQuota = serde_json::from_value(json!({
        "metadata": {"name": "q"}, "spec": {"hard": {"count/statefulsets.apps": "1"}},
    }))
    .unwrap();
    let quotas: kube::Api<k8s_openapi::api::core::v1::ResourceQuota> =
        kube::Api::namespaced(world.client.clone(), &world.namespace);
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    wait("the quota is in force", async || {
        let status = quotas.get("q").await.unwrap().status;
        if status.as_ref().is_some_and(|status| status.used.is_some()) {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
    let _operator = Operator::start(&world);
    world.apply("first", &json!({"replicas": 1})).await;
    world.made("first").await;
    world.apply("second", &json!({"replicas": 1})).await;
    let message = world.reason("second", "Stalled", "QuotaExceeded").await;
    assert!(message.contains("raise the quota"), "{message}");
    world.apply("first", &json!({"replicas": 2})).await;
    wait("the first cluster is scaled", async || {
        let set = world.child("StatefulSet", "first-r1").await;
        if set.data["spec"]["replicas"] == 2 {
            Ok(())
        } else {
            Err(set.data["spec"]["replicas"].clone())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_secret_that_is_not_there_is_named() {
    let world = World::new("secret").await;
    let _operator = Operator::start(&world);
    let spec =
        json!({"replicas": 1, "security": {"ringEncryption": {"type": "Secret", "name": "mine"}}});
    world.apply("orders", &spec).await;
    let message = world.reason("orders", "Stalled", "SecretMissing").await;
    assert!(
        message.contains("spec.security.ringEncryption.name") && message.contains("ring.key"),
        "{message}"
    );
    let secret = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"},
        "stringData": {"ring.key": format!("1 {}\n", "a".repeat(64))},
    }))
    .unwrap();
    world.children("Secret").create(&PostParams::default(), &secret).await.unwrap();
    world.annotate("orders", "example.org/look", "now").await;
    let set = world.child("StatefulSet", "orders-r1").await;
    assert!(set.data["spec"]["template"].to_string().contains("mine"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn paused_writes_nothing_and_goes_on_when_it_is_over() {
    let world = World::new("paused").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 1, "paused": true})).await;
    world.reason("orders", "ReconciliationPaused", "SpecPaused").await;
    assert_eq!(world.all("StatefulSet").await.len(), 0);
    world.apply("orders", &json!({"replicas": 1, "paused": false})).await;
    world.made("orders").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn what_is_no_longer_asked_for_is_deleted() {
    let world = World::new("orphans").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    let none = json!({"type": "None"});
    let spec = json!({"replicas": 1, "podDisruptionBudget": none, "networkPolicy": none});
    world.apply("orders", &spec).await;
    world.gone("PodDisruptionBudget", "orders-r1").await;
    world.gone("NetworkPolicy", "orders-r1").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn deleting_the_object_needs_no_operator() {
    let world = World::new("delete").await;
    let operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 2})).await;
    world.made("orders").await;
    operator.end().await;
    world.clusters().delete("orders", &DeleteParams::background()).await.unwrap();
    for (kind, child) in CHILDREN {
        world.gone(kind, &child.replace("CLUSTER", "orders")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_lost_status_and_lost_children_come_back_as_they_were() {
    let world = World::new("restore").await;
    let operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 2, "slots": {"initial": 4}})).await;
    world.made("orders").await;
    let keys = world.child("Secret", "orders-ring").await.data["data"].clone();
    operator.end().await;
    // Another default, another number of slots, and no status: the ring keeps what it was made with.
    world.apply("orders", &json!({"replicas": 2, "slots": {"initial": 6}})).await;
    let patch: Value = json!({"status": null});
    world
        .clusters()
        .patch_status("orders", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    world.children("StatefulSet").delete("orders-r1", &DeleteParams::background()).await.unwrap();
    world.gone("StatefulSet", "orders-r1").await;
    let _operator = Operator::start(&world);
    let set = world.made("orders").await;
    assert_eq!(set.annotations()["spread-operator.dev/slots"], "4");
    assert_eq!(world.child("Secret", "orders-ring").await.data["data"], keys);
}
