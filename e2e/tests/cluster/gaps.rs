//! How long clients wait for the next message while daemons come and go, beside how long they wait on this machine when
//! pods of the same size come and go that have nothing to do with them.

use crate::bench::Bench;
use crate::flood::Flood;
use crate::ring::{NAME, Ring, pod};
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::Duration;

/// A ring beside the one that is measured.
const APART: &str = "apart";
/// How often each is measured; the environment may ask for more.
const REPEATS: &str = spread_e2e::product::GAPS_REPEATS;
/// As long as the others take.
const NOTHING: Duration = Duration::from_secs(15);

/// The objects of a ring that knows nothing of the operator's and has everything else as it has: pods of the same
/// template, a configuration of the same size, the same key. No pods at first.
fn make_apart(bench: &Bench) {
    let daemons = format!("{NAME}-r1");
    let renamed = |kind: &str| -> Value {
        let text = bench.get(&[kind, &daemons]).to_string();
        // The operator finds its own by this label.
        let text = text.replace("spread-operator.dev/cluster", "apart.test/cluster");
        serde_json::from_str(&text.replace(&daemons, APART)).unwrap()
    };
    for kind in ["configmap", "service", "statefulset"] {
        let mut object = renamed(kind);
        object.as_object_mut().unwrap().remove("status");
        object["metadata"] = json!({"name": APART, "namespace": bench.namespace});
        if kind == "statefulset" {
            object["spec"]["replicas"] = json!(0);
        }
        if kind == "service" {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
            spec.insert("clusterIP".into(), json!("None"));
        }
        bench.kubectl().apply(&object.to_string()).unwrap();
    }
}

/// Waits until so many of its pods are ready, and no more are there.
fn scale_apart(bench: &Bench, replicas: usize) {
    bench.run(&["scale", "statefulset", APART, &format!("--replicas={replicas}")]);
    bench.wait(&format!("{replicas} pods apart to be ready"), || {
        let found = bench.try_get(&["statefulset", APART])?;
        let status = |field: &str| found["status"][field].as_u64().unwrap_or(0);
        let now = [status("replicas"), status("readyReplicas")];
        ensure!(now == [replicas as u64; 2], "there and ready: {now:?}");
        let pods = bench.run(&["get", "pods", "--selector=apart.test/cluster", "--output=name"]);
        ensure!(pods.lines().count() == replicas, "{pods}");
        Ok(())
    });
}

/// Longest time that a client of one of the three daemons waited, while something happened. Nothing may be lost.
fn longest_gap(bench: &Bench, ring: &Ring<'_>, event: impl FnOnce()) -> f64 {
    let node = ring.daemons()[&pod(0)].node.clone();
    let flood = Flood::start(bench, &ring.addresses(&[0, 1, 2]), Some(&node));
    event();
    let report = flood.judge();
    assert_eq!(report["network_views"], 0, "no daemon was taken for crashed");
    bench.wait("the flood to be gone", || {
        let left = bench.run(&["get", "pod", "flood", "--ignore-not-found"]);
        ensure!(left.is_empty(), "{left}");
        Ok(())
    });
    report["longest_gap_milliseconds"].as_f64().unwrap()
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn daemons_come_and_go_within_the_slots_about_as_unnoticed_as_pods_of_others() {
    let bench = Bench::with_operator("gaps");
    let ring = Ring::make(&bench);
    make_apart(&bench);
    let repeats = std::env::var(REPEATS).map_or(1, |text| text.parse().unwrap());
    let names = ["nothing", "two pods of others come and go", "3 to 5", "5 to 3"];
    let mut gaps: [Vec<f64>; 4] = Default::default();
    for _ in 0..repeats {
        gaps[0].push(longest_gap(&bench, &ring, || std::thread::sleep(NOTHING)));
        gaps[1].push(longest_gap(&bench, &ring, || {
            scale_apart(&bench, 2);
            scale_apart(&bench, 0);
        }));
        for (index, replicas) in [(2, 5), (3, 3)] {
            gaps[index].push(longest_gap(&bench, &ring, || {
                ring.scale(replicas);
                ring.ready(replicas);
            }));
        }
    }
    println!("longest gap in ms, {repeats} time(s) each:");
    for (name, gaps) in names.iter().zip(&mut gaps) {
        gaps.sort_by(f64::total_cmp);
        println!("  {name:32} median {:.1}, all {gaps:.1?}", gaps[gaps.len() / 2]);
    }
}
