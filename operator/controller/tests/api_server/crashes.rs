//! Killed before and after every write: the next one goes on and converges. A kind of write that no run
//! here passes fails the test.

use crate::daemons::Kubelet;
use crate::handover;
use crate::world::{Operator, Start, World, wait};
use futures::FutureExt as _;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use spread_operator::points::{Moment, Point, Points};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A hook that stops at one point for ever, and says when it is there.
fn die_at(point: Point, moment: Moment) -> (Points, Arc<Notify>) {
    let reached = Arc::new(Notify::new());
    let told = Arc::clone(&reached);
    let points = Points::hooked(move |at, when| {
        let told = Arc::clone(&told);
        async move {
            if (at, when) == (point, moment) {
                told.notify_one();
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    });
    (points, reached)
}

fn spec(tls: &Value, image: &str, budget: &str) -> Value {
    json!({
        "replicas": 2,
        "slots": {"initial": 4},
        "image": image,
        "security": {"tls": tls},
        "podDisruptionBudget": {"type": budget},
    })
}

/// A run in which every kind of write happens: two clusters are made, then one is given another image
/// and loses its budget, and the other one has its certificate from cert-manager no more.
async fn change(world: &World) {
    let managed = json!({"type": "Managed"});
    let issued = json!({"type": "CertManager", "issuerRef": {"name": "ca"}});
    handover::issue(world, "issued").await;
    world.apply("orders", &spec(&managed, "spreadd:1", "Managed")).await;
    world.apply("issued", &spec(&issued, "spreadd:1", "Managed")).await;
}

async fn change_again(world: &World) {
    let managed = json!({"type": "Managed"});
    world.apply("orders", &spec(&managed, "spreadd:2", "None")).await;
    world.apply("issued", &spec(&managed, "spreadd:1", "Managed")).await;
}

/// Everything is as asked for.
async fn converged(world: &World) {
    for kind in ["NetworkPolicy", "StatefulSet", "Service", "ConfigMap"] {
        world.child(kind, "orders-r1").await;
        world.child(kind, "issued-r1").await;
    }
    for secret in ["orders-ring", "orders-tls", "orders-ca", "issued-ring", "issued-ca"] {
        world.child("Secret", secret).await;
    }
    world.gone("Certificate", "issued-tls").await;
    handover::taken_over(world, "issued").await;
    world.child("PodDisruptionBudget", "issued-r1").await;
    world.gone("PodDisruptionBudget", "orders-r1").await;
    wait("all daemons have the new image, and the status says so", async || {
        let pods = Kubelet::pods(world, "orders").await;
        let images: Vec<String> = pods
            .iter()
            .map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap())
            .collect();
        let (_, reason, message) = world.condition("orders", "Stalled").await;
        let pending = world.clusters().get("orders").await.unwrap().status.unwrap().pending_change;
        let new = images.len() == 2 && images.iter().all(|image| image == "spreadd:2");
        if new && reason == "Progressing" && format!("{pending:?}") == "None" {
            Ok(())
        } else {
            Err(format!("{images:?} {reason} {message} {pending:?}"))
        }
    })
    .await;
}

async fn dies_and_another_goes_on(point: Point, moment: Moment) {
    let name = format!("{point:?}-{moment:?}").to_lowercase();
    let world = World::new(&name).await;
    let (points, reached) = die_at(point, moment);
    // Pods that were never ready may be replaced without waiting for a ring.
    let start = Start { points, election: Some("first"), ..Start::default() };
    let operator = Operator::start_with(&world, start);
    change(&world).await;
    let second_change = async {
        for cluster in ["orders", "issued"] {
            world.child("StatefulSet", &format!("{cluster}-r1")).await;
        }
        wait("pods exist", async || {
            let pods = Kubelet::pods(&world, "orders").await.len();
            if pods == 2 { Ok(()) } else { Err(pods) }
        })
        .await;
        change_again(&world).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reached.notified() => {}
        () = second_change => {}
        () = tokio::time::sleep(crate::world::TIMEOUT) => panic!("{point:?} is not passed"),
    }
    drop(operator);
    let _operator = Operator::start(&world);
    change_again(&world).await;
    converged(&world).await;
}

/// Every moment of every kind of write, a namespace each, four at a time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn killed_before_and_after_each_write_the_next_one_converges() {
    use futures::StreamExt as _;
    let moments =
        Point::ALL.iter().flat_map(|point| [(*point, Moment::Before), (*point, Moment::After)]);
    futures::stream::iter(moments)
        .for_each_concurrent(4, |(point, moment)| async move {
            dies_and_another_goes_on(point, moment).await;
            println!("killed {moment:?} {point:?}: the next one converged");
        })
        .await;
}

/// Killed after its first write, again and again: each life goes on where the one before stopped.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn killed_after_one_write_again_and_again_it_still_gets_there() {
    let world = World::new("every-write").await;
    world.apply("orders", &json!({"replicas": 1})).await;
    let passed = Arc::new(Mutex::new(BTreeSet::new()));
    for _ in 1..=14 {
        let died = Arc::new(Notify::new());
        let (told, seen) = (Arc::clone(&died), Arc::clone(&passed));
        let points = Points::hooked(move |at, when| {
            let (told, seen) = (Arc::clone(&told), Arc::clone(&seen));
            async move {
                if when == Moment::After {
                    seen.lock().unwrap().insert(at);
                    told.notify_one();
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        });
        let operator = Operator::start_with(&world, Start { points, ..Start::default() });
        // Late runs find nothing more to write.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), died.notified()).await;
        drop(operator);
    }
    let set = world.made("orders").await;
    assert_eq!(set.annotations()["spread-operator.dev/slots"], "8");
    assert!(passed.lock().unwrap().len() >= 9, "{passed:?}");
}
