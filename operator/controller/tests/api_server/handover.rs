//! The daemons' certificate changes hands. The test plays cert-manager; its stub daemons keep the certificate that they were
//! started with until they are shown another one, as by a kubelet.

use crate::daemons::{Kubelet, start};
use crate::world::{World, wait};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use spread_operator::certificates::{authority, daemon_certificate};
use std::time::Duration;

/// Until a daemon that does not answer is told as missing, and longer.
const SILENCE: Duration = Duration::from_secs(12);
const ISSUED_FOR: &str = "cert-manager.io/certificate-name";

fn spec(tls: &Value) -> Value {
    json!({"replicas": 2, "security": {"tls": tls}})
}

fn cert_manager() -> Value {
    spec(&json!({"type": "CertManager", "issuerRef": {"name": "ca"}}))
}

fn managed() -> Value {
    spec(&json!({"type": "Managed"}))
}

fn own() -> Value {
    spec(&json!({"type": "Secret", "name": "mine"}))
}

/// A certificate for a cluster's daemons, of an authority that nobody knows yet.
fn material(world: &World, cluster: &str) -> Value {
    let ca = authority("somebody").unwrap();
    let names = [format!("*.{cluster}-r1.{}.svc", world.namespace)];
    let issued = daemon_certificate("somebody", &ca.key, &names).unwrap();
    json!({"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": ca.certificate})
}

/// Writes what cert-manager writes for the Certificate of a cluster.
pub async fn issue(world: &World, cluster: &str) {
    let name = format!("{cluster}-tls");
    let secrets = world.children("Secret");
    let there = secrets.get_opt(&name).await.unwrap();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        // What is there keeps its type, which cannot be changed.
        "type": there.map_or(json!("kubernetes.io/tls"), |secret| secret.data["type"].clone()),
        "metadata": {
            "name": name,
            "labels": {
                "controller.cert-manager.io/fao": "true", "spread-operator.dev/cluster": cluster,
            },
            "annotations": {ISSUED_FOR: name, "cert-manager.io/issuer-name": "ca"},
        },
        "stringData": material(world, cluster),
    });
    let parameters = PatchParams::apply("cert-manager-certificates-issuing").force();
    secrets.patch(&name, &parameters, &Patch::Apply(&secret)).await.unwrap();
}

async fn create(world: &World, kind: &str, object: &Value) -> DynamicObject {
    let object = serde_json::from_value(object.clone()).unwrap();
    world.children(kind).create(&PostParams::default(), &object).await.unwrap()
}

async fn secret_of_the_user(world: &World, name: &str, annotations: &Value) -> DynamicObject {
    let labels = json!({"spread-operator.dev/cluster": "orders"});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": material(world, "orders"),
        "metadata": {"name": name, "labels": labels, "annotations": annotations},
    });
    create(world, "Secret", &secret).await
}

/// Waits until the operator has written its own certificate into the Secret that was cert-manager's.
pub async fn taken_over(world: &World, cluster: &str) -> DynamicObject {
    let uid = world.clusters().get(cluster).await.unwrap().uid();
    wait(&format!("the Secret of {cluster} is taken over"), async || {
        let secret = world.child("Secret", &format!("{cluster}-tls")).await;
        let noted: Vec<&String> = secret.annotations().keys().collect();
        let owner = secret.owner_references().first().map(|owner| owner.uid.clone());
        let made = noted.iter().any(|name| name.ends_with("/not-after"));
        let issued = noted.iter().any(|name| name.starts_with("cert-manager.io/"));
        if owner == uid && made && !issued { Ok(secret) } else { Err(format!("{noted:?}")) }
    })
    .await
}

/// Since when it is ready.
async fn ready_since(world: &World) -> String {
    let status = world.clusters().get("orders").await.unwrap().status.unwrap();
    let ready = status.conditions.into_iter().find(|one| one.type_ == "Ready").unwrap();
    assert_eq!(ready.status, "True", "{}", ready.message);
    format!("{:?}", ready.last_transition_time)
}

/// The daemons say something new, and the operator hears it from all of them.
async fn hears(world: &World, kubelet: &Kubelet, key_id: u32) {
    kubelet.whole(&[0, 1], key_id);
    wait(&format!("all daemons are heard to seal with {key_id}"), async || {
        let status = world.clusters().get("orders").await.unwrap().status.unwrap();
        let heard = status.rings[0].key_id;
        if heard == key_id { Ok(()) } else { Err(heard) }
    })
    .await;
}

async fn ready(world: &World, spec: &Value) -> Kubelet {
    world.apply("orders", spec).await;
    let mut kubelet = Kubelet::new(world, "orders");
    kubelet.whole(&[0, 1], 1);
    kubelet.run(&[0, 1]).await;
    world.reason("orders", "Ready", "Ready").await;
    kubelet
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn from_cert_manager_to_managed_and_back_daemons_stay_reachable() {
    let world = World::new("handover").await;
    let _operator = start(&world);
    issue(&world, "orders").await;
    let mut kubelet = ready(&world, &cert_manager()).await;
    world.child("Certificate", "orders-tls").await;
    let (uids, since) = (kubelet.uids().await, ready_since(&world).await);

    world.apply("orders", &managed()).await;
    world.gone("Certificate", "orders-tls").await;
    taken_over(&world, "orders").await;
    world.child("Secret", "orders-ca").await;
    tokio::time::sleep(SILENCE).await;
    assert_eq!(ready_since(&world).await, since, "it was Ready all the time");
    hears(&world, &kubelet, 2).await;
    kubelet.refresh(&[0, 1]).await;
    hears(&world, &kubelet, 3).await;

    world.apply("orders", &cert_manager()).await;
    world.child("Certificate", "orders-tls").await;
    world.gone("Secret", "orders-ca").await;
    issue(&world, "orders").await;
    tokio::time::sleep(SILENCE).await;
    hears(&world, &kubelet, 4).await;
    kubelet.refresh(&[0, 1]).await;
    hears(&world, &kubelet, 5).await;

    world.apply("orders", &managed()).await;
    taken_over(&world, "orders").await;
    kubelet.refresh(&[0, 1]).await;
    hears(&world, &kubelet, 6).await;
    assert_eq!(ready_since(&world).await, since, "it was Ready all the time");
    assert_eq!(kubelet.uids().await, uids, "nobody was restarted");
}

/// Daemons are replaced, the highest slot first; each is asked with what it mounts.
async fn replaced_one_by_one(world: &World, kubelet: &mut Kubelet) {
    let before = kubelet.uids().await;
    let issued = world.children("Certificate").get_opt("orders-tls").await.unwrap().is_some();
    kubelet.secret = "mine".to_owned();
    for slot in [1, 0] {
        let pod = format!("orders-r1-{slot}");
        wait(&format!("{pod} is replaced"), async || {
            let now = kubelet.uids().await;
            let new = now.get(&pod).is_some_and(|uid| *uid != before[&pod]);
            if new { Ok(()) } else { Err(now) }
        })
        .await;
        // One still mounts it.
        if slot == 1 {
            world.child("Secret", "orders-tls").await;
            assert_eq!(
                world.children("Certificate").get_opt("orders-tls").await.unwrap().is_some(),
                issued
            );
        }
        kubelet.run(&[slot]).await;
        kubelet.refresh(&[slot]).await;
    }
    hears(world, kubelet, 2).await;
    world.reason("orders", "Ready", "Ready").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn from_cert_manager_to_a_secret_of_the_users_the_certificate_goes_last() {
    let world = World::new("handover-secret").await;
    let _operator = start(&world);
    secret_of_the_user(&world, "mine", &json!({})).await;
    issue(&world, "orders").await;
    let mut kubelet = ready(&world, &cert_manager()).await;
    world.child("Certificate", "orders-tls").await;
    world.apply("orders", &own()).await;
    replaced_one_by_one(&world, &mut kubelet).await;
    world.gone("Certificate", "orders-tls").await;
    let left = world.child("Secret", "orders-tls").await;
    assert!(left.annotations().contains_key(ISSUED_FOR), "what cert-manager wrote stays");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn from_managed_to_a_secret_of_the_users_and_back_every_daemon_is_asked() {
    let world = World::new("handover-own").await;
    let _operator = start(&world);
    let mine = secret_of_the_user(&world, "mine", &json!({})).await;
    let mut kubelet = ready(&world, &managed()).await;
    world.apply("orders", &own()).await;
    replaced_one_by_one(&world, &mut kubelet).await;
    for secret in ["orders-tls", "orders-ca"] {
        world.gone("Secret", secret).await;
    }
    let now = world.child("Secret", "mine").await;
    assert_eq!(now.resource_version(), mine.resource_version());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn what_cert_manager_did_not_make_for_this_cluster_is_left_alone() {
    let cases = [
        ("by nobody", json!({}), false),
        ("for another Certificate", json!({ISSUED_FOR: "other"}), false),
        ("for a Certificate of the user's", json!({ISSUED_FOR: "orders-tls"}), true),
    ];
    for (what, annotations, with_certificate) in cases {
        let world = World::new("handover-foreign").await;
        let _operator = start(&world);
        let certificate = json!({
            "apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": "orders-tls"}, "spec": {"secretName": "orders-tls"},
        });
        if with_certificate {
            create(&world, "Certificate", &certificate).await;
        }
        let secret = secret_of_the_user(&world, "orders-tls", &annotations).await;
        world.apply("orders", &managed()).await;
        let message = world.reason("orders", "Stalled", "ForeignObject").await;
        assert!(message.contains("orders-tls"), "{what}: {message}");
        let now = world.child("Secret", "orders-tls").await;
        assert_eq!(now.resource_version(), secret.resource_version(), "{what}");
        let there = world.children("Certificate").get_opt("orders-tls").await.unwrap();
        assert_eq!(there.is_some(), with_certificate, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn cert_manager_is_not_asked_to_write_over_a_secret_of_the_users() {
    let world = World::new("handover-asked").await;
    let _operator = start(&world);
    secret_of_the_user(&world, "orders-tls", &json!({})).await;
    world.apply("orders", &cert_manager()).await;
    let message = world.reason("orders", "Stalled", "ForeignObject").await;
    assert!(message.contains("Secret orders-tls"), "{message}");
    assert_eq!(world.all("Certificate").await.len(), 0);
    world.children("Secret").delete("orders-tls", &DeleteParams::default()).await.unwrap();
    world.annotate("orders", "example.org/look", "now").await;
    world.child("Certificate", "orders-tls").await;
}
