//! Rings that the operator runs, under what people and machines do to them, while numbered messages flow.

use crate::bench::{Bench, TIMEOUT, node_number};
use crate::flood::Flood;
use crate::ring::{Daemon, NAME, Ring, pod};
use anyhow::ensure;
use serde_json::json;
use spread_e2e::Family;
use spread_e2e::helm::{OPERATOR, SYSTEM};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// UDP port of ring packets.
const RING_PORT: u16 = 4803;
/// How long the operator is away.
const ABSENCE: Duration = Duration::from_secs(60);
/// Longest time until nothing is left of a deleted object.
const GONE: Duration = Duration::from_secs(30);

/// A flood through the daemons of these slots.
fn flood<'a>(bench: &'a Bench, ring: &Ring<'_>, slots: &[usize]) -> Flood<'a> {
    let node = ring.daemons()[&pod(slots[0])].node.clone();
    Flood::start(bench, &ring.addresses(slots), Some(&node))
}

/// Waits until a slot has another pod than before.
fn wait_replaced(bench: &Bench, ring: &Ring<'_>, slot: usize, before: &BTreeMap<String, Daemon>) {
    let name = pod(slot);
    bench.wait(&format!("another pod in slot {slot}"), || {
        let now = ring.try_daemons()?;
        let other = now.get(&name).is_some_and(|daemon| daemon.uid != before[&name].uid);
        ensure!(other, "pods are {now:?}");
        Ok(())
    });
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn scaling_into_spare_slots_and_back_restarts_nobody_and_loses_nothing() {
    let bench = Bench::with_operator("scaling");
    let ring = Ring::make(&bench);
    if let Some(family) = bench.family() {
        for address in ring.addresses(&[0, 1, 2]) {
            // With both, a pod's first address is the one of IPv4.
            assert_eq!(address.contains(':'), family == Family::Ipv6, "{address}");
        }
    }
    let flood = flood(&bench, &ring, &[0, 1, 2]);
    let before = ring.daemons();
    ring.scale(5);
    ring.ready(5);
    assert_eq!(ring.condition("SlotsAvailable").unwrap()["reason"], "Exhausted");
    ring.scale(3);
    ring.ready(3);
    let report = flood.judge();
    assert_eq!(before, ring.daemons(), "no other pod was touched, no container restarted");
    assert_eq!(report["network_views"], 0, "no member of the group came or went");
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn operators_are_killed_while_daemons_are_deleted_and_it_converges() {
    let bench = Bench::with_operator("operator-killed");
    let ring = Ring::make(&bench);
    let flood = flood(&bench, &ring, &[0, 1]);
    let first = ring.daemons();
    let kill_operators = || {
        let selector = format!("--selector=app.kubernetes.io/name={OPERATOR}");
        let kill = ["delete", "pod", &selector, "--grace-period=0", "--force", "--namespace"];
        bench.kubectl().run(&[&kill[..], &[SYSTEM]].concat()).unwrap();
    };
    ring.scale(5);
    kill_operators();
    ring.ready(5);
    let before = ring.daemons();
    bench.run(&["delete", "pod", &pod(2), &pod(3), "--force", "--grace-period=0"]);
    kill_operators();
    wait_replaced(&bench, &ring, 2, &before);
    wait_replaced(&bench, &ring, 3, &before);
    ring.ready(5);
    ring.scale(3);
    kill_operators();
    ring.ready(3);
    flood.judge();
    let last = ring.daemons();
    for slot in [0, 1] {
        assert_eq!(first[&pod(slot)], last[&pod(slot)], "nobody touched it");
    }
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn without_an_operator_for_a_minute_messages_flow_and_daemons_come_back() {
    let bench = Bench::with_operator("operator-gone");
    let ring = Ring::make(&bench);
    let flood = flood(&bench, &ring, &[0, 1]);
    let before = ring.daemons();
    bench.helm().uninstall_operator().unwrap();
    let gone = Instant::now();
    bench.run(&["delete", "pod", &pod(2), "--wait=false"]);
    bench.run(&["delete", "service", &format!("{NAME}-client")]);
    wait_replaced(&bench, &ring, 2, &before);
    // Nobody may do anything for as long as that.
    std::thread::sleep(ABSENCE.saturating_sub(gone.elapsed()));
    bench.helm().install_operator().unwrap();
    ring.ready(3);
    bench.wait("the Service to be back", || {
        bench.try_get(&["service", &format!("{NAME}-client")]).map(drop)
    });
    flood.judge();
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn the_api_server_stops_and_comes_back_and_messages_flow() {
    let bench = Bench::with_operator("no-api-server");
    let Some(cluster) = bench.own_cluster(1) else { return };
    let ring = Ring::make(&bench);
    let flood = flood(&bench, &ring, &[0, 1, 2]);
    let before = ring.daemons();
    cluster.stop_service("kube-apiserver").unwrap();
    std::thread::sleep(Duration::from_secs(20));
    cluster.start_api_server().unwrap();
    ring.scale(5);
    ring.ready(5);
    ring.scale(3);
    ring.ready(3);
    flood.judge();
    assert_eq!(before, ring.daemons());
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn two_pods_in_one_slot_end_as_one_and_the_others_lose_nothing() {
    let bench = Bench::with_operator("two-pods");
    let Some(cluster) = bench.own_cluster(3) else { return };
    let ring = Ring::make(&bench);
    let before = ring.daemons();
    let cut = before[&pod(2)].node.clone();
    let stay: Vec<usize> =
        [0, 1].into_iter().filter(|slot| before[&pod(*slot)].node != cut).collect();
    let flood = flood(&bench, &ring, &stay);
    let number = node_number(&cut);
    cluster.cut(number).unwrap();
    // Nobody knows yet that it is.
    bench.kubectl().run(&["cordon", &cut]).unwrap();
    // Its daemon goes on, and its kubelet hears nothing of this.
    bench.run(&["delete", "pod", &pod(2), "--force", "--grace-period=0"]);
    wait_replaced(&bench, &ring, 2, &before);
    ring.ready(3);
    let second = ring.daemons()[&pod(2)].clone();
    cluster.mend(number).unwrap();
    bench.kubectl().run(&["uncordon", &cut]).unwrap();
    bench.wait("the node to be back", || {
        let node = bench.kubectl().get(&["node", &cut])?;
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
        ensure!(ready, "{conditions:?}");
        Ok(())
    });
    ring.ready(3);
    flood.judge();
    assert_eq!(ring.daemons()[&pod(2)], second, "who came later stays, and is not disturbed");
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn each_node_is_drained_in_turn_and_the_daemons_elsewhere_lose_nothing() {
    let bench = Bench::with_operator("drained");
    let Some(cluster) = bench.own_cluster(2) else { return };
    let ring = Ring::make(&bench);
    for number in 1..=cluster.nodes() {
        let node = format!("node{number}");
        let daemons = ring.daemons();
        let stay: Vec<usize> = (0..3).filter(|slot| daemons[&pod(*slot)].node != node).collect();
        // The scheduler spreads where it can: after two drains all may be on the third node.
        let flood = (!stay.is_empty()).then(|| flood(&bench, &ring, &stay));
        let selector = format!("--pod-selector=spread-operator.dev/cluster={NAME}");
        let drain = ["drain", &node, "--delete-emptydir-data", "--timeout=120s", &selector];
        bench.kubectl().run(&drain).unwrap();
        ring.ready(3);
        bench.kubectl().run(&["uncordon", &node]).unwrap();
        if let Some(flood) = flood {
            flood.judge();
        }
        assert!(ring.daemons().values().all(|daemon| daemon.node != node), "{node} was drained");
        bench.wait("the flood to be gone", || {
            let left = bench.run(&["get", "pod", "flood", "--ignore-not-found"]);
            ensure!(left.is_empty(), "{left}");
            Ok(())
        });
    }
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn a_changed_template_rolls_one_daemon_at_a_time_from_a_whole_ring() {
    let bench = Bench::with_operator("rolling");
    let ring = Ring::make(&bench);
    let before = ring.daemons();
    let spec = json!({
        "replicas": 3, "slots": {"initial": 5}, "podTemplate": {"labels": {"team": "b"}},
    });
    ring.apply(&spec);
    // At any time at most one is not there: each look finds at least two that serve.
    let deadline = Instant::now() + TIMEOUT;
    let mut seen = BTreeSet::new();
    loop {
        assert!(Instant::now() < deadline, "it does not end: {:?}", ring.is_ready(3));
        let list = bench.get(&["pods", &format!("--selector=spread-operator.dev/cluster={NAME}")]);
        let pods = list["items"].as_array().unwrap();
        let serves = |pod: &&serde_json::Value| {
            let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
            pod["metadata"]["deletionTimestamp"].is_null()
                && conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        let serving = pods.iter().filter(serves).count();
        assert!(serving >= 2, "only {serving} serve: {list}");
        let new = |pod: &&serde_json::Value| pod["metadata"]["labels"]["team"] == "b";
        seen.insert(pods.iter().filter(new).count());
        if pods.iter().filter(new).count() == 3 && ring.is_ready(3).is_ok() {
            break;
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3], "one after the other");
    let after = ring.daemons();
    assert!(before.iter().all(|(name, daemon)| after[name].uid != daemon.uid), "{after:?}");
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn without_the_operator_rings_serve_and_their_deletion_leaves_nothing() {
    let bench = Bench::with_operator("uninstalled");
    let ring = Ring::make(&bench);
    let flood = flood(&bench, &ring, &[0, 1, 2]);
    let before = ring.daemons();
    bench.helm().uninstall_operator().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    flood.judge();
    assert_eq!(before, ring.daemons());
    let deleted = Instant::now();
    bench.run(&["delete", "spreadcluster", NAME, "--wait=false"]);
    let kinds = "pods,statefulsets,services,configmaps,secrets,poddisruptionbudgets,networkpolicies,\
                 endpointslices,controllerrevisions";
    let left = bench.kubectl().wait("nothing to be left", GONE, |_| {
        let left = bench.run(&["get", kinds, "--output=name"]);
        let left: Vec<&str> =
            left.lines().filter(|name| *name != "configmap/kube-root-ca.crt").collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(Some(()))
    });
    left.unwrap();
    println!("all of it was gone after {:.1} s", deleted.elapsed().as_secs_f64());
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn helm_test_passes_where_daemons_reach_each_other_and_fails_where_they_do_not() {
    let bench = Bench::with_operator("helm-test");
    let test = || bench.helm().run(&["test", OPERATOR, "--namespace", SYSTEM, "--timeout=5m"]);
    println!("{}", test().unwrap());
    let Some(cluster) = bench.own_cluster(1) else { return };
    // Its clients need not wait as long as usual to find out; but name servers remember for half a minute where the
    // daemons of the first run were.
    let set = ["--namespace", SYSTEM, "--reuse-values", "--set", "test.timeoutSeconds=60"];
    let upgrade = ["upgrade", OPERATOR, "charts/spread-operator"];
    bench.helm().run(&[&upgrade[..], &set].concat()).unwrap();
    cluster.drop_udp(RING_PORT, true).unwrap();
    let failed = test();
    cluster.drop_udp(RING_PORT, false).unwrap();
    assert!(failed.is_err(), "{failed:?}");
    let job = format!("job/{OPERATOR}-test");
    let said = ["logs", "--namespace", SYSTEM, &job, "--all-pods"];
    let said = bench.kubectl().run(&said).unwrap();
    assert!(said.contains("are their daemons in one ring?"), "{said}");
    for left in [job.as_str(), "spreadcluster/spread-operator-test"] {
        let delete = ["delete", "--namespace", SYSTEM, "--ignore-not-found", left];
        bench.kubectl().run(&delete).unwrap();
    }
}
