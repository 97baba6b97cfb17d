//! The definition on a real API server: rules, defaults, what is refused and with which words.

use crate::world::World;
use kube::api::{Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Wrong {
    #[serde(default = "orders")]
    name: String,
    spec: Value,
    field: String,
    says: String,
    by: String,
}

fn orders() -> String {
    "orders".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn every_wrong_manifest_is_refused_with_field_and_remedy() {
    let world = World::new("wrong").await;
    let table: Vec<Wrong> =
        serde_saphyr::from_str(include_str!("../../../api/tests/wrong.yaml")).unwrap();
    assert!(table.len() >= 30);
    for Wrong { name, spec, field, says, by } in table {
        let manifest = world.manifest(&name, &spec);
        // As JSON: our own types would refuse some of it before it is sent.
        let clusters: kube::Api<kube::api::DynamicObject> = kube::Api::namespaced_with(
            world.client.clone(),
            &world.namespace,
            &kube::core::ApiResource::erase::<spread_operator_api::SpreadCluster>(&()),
        );
        let object = serde_json::from_value(manifest).unwrap();
        let parameters = PostParams { dry_run: true, field_manager: None };
        let refused = clusters.create(&parameters, &object).await;
        let Err(kube::Error::Api(status)) = refused else { panic!("{spec} is accepted") };
        assert!(status.message.contains(&field), "{spec}: no {field} in {}", status.message);
        if by == "rule" {
            assert!(status.message.contains(&says), "{spec}: no {says:?} in {}", status.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_misspelt_field_is_refused_by_strict_validation() {
    let world = World::new("misspelt").await;
    let manifest = world.manifest("orders", &json!({"replicas": 3, "replica": 3}));
    let parameters = PatchParams {
        field_validation: Some(kube::api::ValidationDirective::Strict),
        dry_run: true,
        ..PatchParams::apply("user")
    };
    let refused = world.clusters().patch("orders", &parameters, &Patch::Apply(&manifest)).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("it is accepted") };
    assert!(status.message.contains("replica"), "{}", status.message);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn scale_goes_as_far_as_slots_max() {
    let world = World::new("scale-rule").await;
    // More than slots.initial is refused at creation only.
    world.apply("orders", &json!({"replicas": 3, "slots": {"initial": 5, "max": 8}})).await;
    let scale = async |replicas: u32| {
        let patch = json!({"spec": {"replicas": replicas}});
        world.clusters().patch_scale("orders", &PatchParams::default(), &Patch::Merge(&patch)).await
    };
    scale(8).await.unwrap();
    let Err(kube::Error::Api(status)) = scale(9).await else { panic!("9 is accepted") };
    assert!(status.message.contains("raise slots.max"), "{}", status.message);
}
