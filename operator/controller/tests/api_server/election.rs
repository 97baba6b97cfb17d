//! Several replicas: one writes.

use crate::world::{Operator, Start, World, wait};
use futures::FutureExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use spread_operator::points::{Moment, Point, Points};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Counts the writes of a replica.
fn counted() -> (Points, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let points = Points::hooked(move |point, moment| {
        if point != Point::Lease && moment == Moment::After {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        std::future::ready(()).boxed()
    });
    (points, count)
}

async fn holder(world: &World) -> String {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let lease = leases.get_opt("spread-operator").await.unwrap();
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
}

async fn led_by(world: &World, name: &str) {
    wait(&format!("{name} leads"), async || {
        let found = holder(world).await;
        if found == name { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn one_replica_writes_and_the_next_takes_over() {
    let world = World::new("election").await;
    let (points, _) = counted();
    let first =
        Operator::start_with(&world, Start { points, election: Some("first"), ..Start::default() });
    led_by(&world, "first").await;
    let (points, by_second) = counted();
    let second = Operator::start_with(
        &world,
        Start { points, election: Some("second"), ..Start::default() },
    );
    world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    assert_eq!(by_second.load(Ordering::SeqCst), 0, "the second one does not lead");
    // Given back on SIGTERM: nobody waits for it to run out.
    first.end().await;
    led_by(&world, "second").await;
    world.apply("orders", &json!({"replicas": 2})).await;
    wait("the second one scales", async || {
        let set = world.child("StatefulSet", "orders-r1").await;
        if set.data["spec"]["replicas"] == 2 { Ok(()) } else { Err(()) }
    })
    .await;
    assert!(by_second.load(Ordering::SeqCst) > 0);
    // Killed: it runs out.
    drop(second);
    let third = Operator::start_with(&world, Start { election: Some("third"), ..Start::default() });
    led_by(&world, "third").await;
    third.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn one_that_lost_its_lease_in_the_middle_of_a_pass_writes_no_more() {
    let world = World::new("stale").await;
    // It stops before a write and goes on when another one leads.
    let (reached, go_on) =
        (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let wrote = Arc::new(AtomicBool::new(false));
    let points = {
        let (reached, go_on, wrote) =
            (Arc::clone(&reached), Arc::clone(&go_on), Arc::clone(&wrote));
        Points::hooked(move |point, moment| {
            let (reached, go_on, wrote) =
                (Arc::clone(&reached), Arc::clone(&go_on), Arc::clone(&wrote));
            async move {
                match (point, moment) {
                    (Point::StatefulSet, Moment::Before) => {
                        reached.notify_one();
                        go_on.notified().await;
                    }
                    (Point::StatefulSet, Moment::After) => wrote.store(true, Ordering::SeqCst),
                    _ => {}
                }
            }
            .boxed()
        })
    };
    let _stale =
        Operator::start_with(&world, Start { points, election: Some("stale"), ..Start::default() });
    world.apply("orders", &json!({"replicas": 1})).await;
    reached.notified().await;
    // Somebody else takes the Lease, as if this one had slept through it.
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let patch = json!({"spec": {"holderIdentity": "other"}});
    leases.patch("spread-operator", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    tokio::time::sleep(spread_operator::lease::RETRY_PERIOD * 2).await;
    go_on.notify_one();
    tokio::time::sleep(spread_operator::lease::RETRY_PERIOD).await;
    assert!(!wrote.load(Ordering::SeqCst), "a write without leadership");
    assert_eq!(world.all("StatefulSet").await.len(), 0);
}
