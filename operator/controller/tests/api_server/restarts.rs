//! A new process finds everything as it is to be: it writes nothing, and the status does not waver while it learns what
//! the one before knew.

use crate::daemons::{Kubelet, PORT};
use crate::world::{CHILDREN, Operator, Start, World, wait};
use futures::FutureExt as _;
use kube::ResourceExt as _;
use serde_json::json;
use spread_operator::points::{Moment, Points};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than a new operator needs to look at everything and to ask all daemons.
const QUIET: Duration = Duration::from_secs(15);

/// Versions of the object and all its children.
async fn versions(world: &World) -> Vec<(String, String)> {
    let cluster = world.clusters().get("orders").await.unwrap();
    let mut found = vec![("SpreadCluster".to_owned(), cluster.resource_version().unwrap())];
    for (kind, child) in CHILDREN {
        let child = world.child(kind, &child.replace("CLUSTER", "orders")).await;
        // Status is written by others.
        let version = match *kind {
            "StatefulSet" | "PodDisruptionBudget" => {
                child.metadata.generation.map(|it| it.to_string())
            }
            _ => child.resource_version(),
        };
        found.push((format!("{kind} {}", child.name_any()), version.unwrap()));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_new_operator_writes_nothing_where_everything_is_as_it_is_to_be() {
    let world = World::new("restart").await;
    let start = |points| Start { points, admin_port: Some(PORT), ..Start::default() };
    let operator = Operator::start_with(&world, start(Points::default()));
    world.apply("orders", &json!({"replicas": 2})).await;
    let mut kubelet = Kubelet::new(&world, "orders");
    kubelet.whole(&[0, 1], 1);
    kubelet.run(&[0, 1]).await;
    world.reason("orders", "Ready", "Ready").await;
    wait("nothing changes any more", async || {
        let before = versions(&world).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        if before == versions(&world).await { Ok(()) } else { Err(before) }
    })
    .await;
    operator.end().await;
    let before = versions(&world).await;

    let written = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&written);
    let points = Points::hooked(move |point, moment| {
        if moment == Moment::Before {
            seen.lock().unwrap().push(point);
        }
        std::future::ready(()).boxed()
    });
    let _operator = Operator::start_with(&world, start(points));
    tokio::time::sleep(QUIET).await;
    assert_eq!(*written.lock().unwrap(), []);
    assert_eq!(versions(&world).await, before);
    // It was there all the time.
    world.apply("orders", &json!({"replicas": 3})).await;
    wait("it scales", async || {
        let set = world.child("StatefulSet", "orders-r1").await;
        if set.data["spec"]["replicas"] == 3 { Ok(()) } else { Err(()) }
    })
    .await;
    assert!(!written.lock().unwrap().is_empty());
}
