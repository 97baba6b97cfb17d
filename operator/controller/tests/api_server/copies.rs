//! Copies of client ConfigMaps in other namespaces. An operator that looks everywhere would act on the objects of all
//! other tests, so this one has an API server of its own.

use crate::world::{Operator, Start, World, config_of, define, wait};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use spread_e2e::ControlPlane;

const CLIENTS: &str = "spread-operator.dev/clients";

struct Everywhere {
    client: Client,
    shop: World,
}

impl Everywhere {
    async fn new(plane: &ControlPlane) -> Self {
        let client = Client::try_from(config_of(plane.kubeconfig()).await).unwrap();
        let shop = World { client: client.clone(), namespace: "shop".to_owned() };
        let all = Self { client, shop };
        all.add("shop", &json!({})).await;
        all.add("web", &json!({CLIENTS: "true", "team": "orders"})).await;
        all.add("billing", &json!({CLIENTS: "true", "team": "money"})).await;
        all.add("silent", &json!({"team": "orders"})).await;
        all
    }

    async fn add(&self, name: &str, labels: &Value) {
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        let namespace = serde_json::from_value(namespace).unwrap();
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.create(&PostParams::default(), &namespace).await.unwrap();
    }

    async fn label(&self, name: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"labels": {CLIENTS: value}}});
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    fn maps(&self, namespace: &str) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn copy(&self, namespace: &str) -> Option<ConfigMap> {
        self.maps(namespace).get_opt("orders-client").await.unwrap()
    }

    /// Waits until there is a copy with the certificate, as the original has it.
    async fn copied_to(&self, namespace: &str) {
        wait(&format!("a copy is in {namespace}"), async || {
            let original = self.copy("shop").await.and_then(|map| map.data);
            let copy = self.copy(namespace).await.and_then(|map| map.data);
            let complete = original.as_ref().is_some_and(|data| data.contains_key("ca.crt"));
            if complete && copy == original { Ok(()) } else { Err(copy) }
        })
        .await;
    }

    async fn not_in(&self, namespace: &str) {
        wait(&format!("no copy is in {namespace}"), async || match self.copy(namespace).await {
            None => Ok(()),
            Some(copy) => Err(copy),
        })
        .await;
    }

    async fn allow(&self, allowed: &Value) {
        let spec = json!({"replicas": 1, "clients": {"allowedNamespaces": allowed}});
        self.shop.apply("orders", &spec).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn copies_follow_what_is_allowed_and_who_has_clients() {
    let plane = tokio::task::spawn_blocking(|| {
        let plane = ControlPlane::start().unwrap();
        define(&plane);
        plane
    });
    let plane = plane.await.unwrap();
    let all = Everywhere::new(&plane).await;
    let start = || Start { everywhere: true, ..Start::default() };
    let operator = Operator::start_with(&all.shop, start());
    all.allow(&json!({"from": "All"})).await;
    all.copied_to("web").await;
    all.copied_to("billing").await;
    assert!(all.copy("silent").await.is_none(), "it does not say that it has clients");
    // Edited and deleted, it comes back.
    let edit = json!({"data": {"host": "elsewhere"}});
    let maps = all.maps("web");
    maps.patch("orders-client", &PatchParams::default(), &Patch::Merge(&edit)).await.unwrap();
    all.copied_to("web").await;
    maps.delete("orders-client", &DeleteParams::default()).await.unwrap();
    all.copied_to("web").await;

    all.allow(&json!({"from": "Selector", "selector": {"team": "orders"}})).await;
    all.not_in("billing").await;
    all.label("silent", Some("true")).await;
    all.copied_to("silent").await;
    all.label("silent", None).await;
    all.not_in("silent").await;
    all.copied_to("web").await;
    leaves_foreign_objects_alone(&all).await;

    // Nobody is there when the object goes.
    operator.end().await;
    all.shop.clusters().delete("orders", &DeleteParams::default()).await.unwrap();
    let _operator = Operator::start_with(&all.shop, start());
    all.not_in("web").await;
}

async fn leaves_foreign_objects_alone(all: &Everywhere) {
    all.add("taken", &json!({"team": "orders"})).await;
    let theirs = json!({"metadata": {"name": "orders-client"}, "data": {"host": "theirs"}});
    let theirs = serde_json::from_value(theirs).unwrap();
    let theirs = all.maps("taken").create(&PostParams::default(), &theirs).await.unwrap();
    all.label("taken", Some("true")).await;
    let message = all.shop.reason("orders", "Stalled", "ForeignObject").await;
    assert!(message.contains("in namespace taken"), "{message}");
    all.label("taken", None).await;
    all.shop.reason("orders", "Stalled", "Progressing").await;
    let after = all.copy("taken").await.unwrap();
    assert_eq!(after.resource_version(), theirs.resource_version());
}
