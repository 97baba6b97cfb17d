//! What is decided for a cluster on Kubernetes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use proptest::prelude::*;
use spread_operator_api::{PlacementType, requests};
use spread_plan::{Action, KeyStep, NodeFact, PodFact, RingKeys, key_step};
use world::{World, pod};

#[test]
fn a_new_object_gets_as_many_ordinals_as_it_asks_for() {
    let decision = World::new(3, 8).decide();
    assert_eq!((decision.replicas, decision.ring.slots, decision.ring.exists), (3, 8, false));
    assert_eq!(decision.action, Action::FillSlot { slot: 0 });
}

#[test]
fn a_ring_that_runs_is_left_alone() {
    let world = World::running(3, 8);
    let decision = world.decide();
    assert_eq!(decision.action, Action::Steady);
    assert!(decision.whole());
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.condition("Reconciling").0, "False");
}

#[test]
fn more_than_slots_fills_them_all_and_says_what_is_missing() {
    let mut world = World::running(3, 3);
    world.cluster.spec.replicas = Some(5);
    let decision = world.decide();
    assert_eq!((decision.replicas, decision.wanted), (3, 5));
    let (status, reason, message) = world.condition("Stalled");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "NewRingUnsupported"));
    assert!(message.contains("spec.replicas to 3") && message.contains("initial: 6"), "{message}");
}

#[test]
fn slots_and_image_are_those_that_the_ring_was_made_with() {
    let mut world = World::running(3, 8);
    world.cluster.spec.slots.initial = 5;
    world.defaults.image = "spreadd:2".to_owned();
    let decision = world.decide();
    assert_eq!(decision.ring.slots, 8);
    assert_eq!(decision.action, Action::Steady, "a newer operator restarts nothing");
    world.ring_records.clear();
    let facts = world.facts();
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
        k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
    );
    // Both ring objects lost: the status is what is left.
    let mut status = spread_plan::status(&facts, &decision, &now);
    status.rings = vec![spread_operator_api::RingStatus {
        number: 1,
        state: spread_operator_api::RingState::Active,
        stateful_set: "orders-r1".to_owned(),
        image: "spreadd:1".to_owned(),
        daemon_version: String::new(),
        configuration: Default::default(),
        key_id: 0,
        slots: 8,
        members: Default::default(),
        sessions: 0,
        endpoints: 0,
    }];
    world.cluster.status = Some(status);
    let ring = world.facts().ring();
    assert_eq!((ring.slots, ring.frozen_image.as_str()), (8, "spreadd:1"));
}

#[test]
fn a_new_image_rolls_one_daemon_at_a_time_the_highest_first() {
    let mut world = World::running(3, 5);
    world.cluster.spec.image = "spreadd:2".to_owned();
    let template = world.decide().template;
    for slot in [2, 1, 0] {
        assert_eq!(world.decide().action, Action::Roll { slot });
        let index = slot as usize;
        world.pods[index].terminating = true;
        assert_ne!(world.decide().action, Action::Roll { slot: slot.saturating_sub(1) });
        // It is back, and starts.
        world.pods[index] = PodFact { ready: false, ..pod(slot, &template) };
        assert_eq!(world.decide().action, Action::Steady, "the ring is not whole yet");
        world.see_each_other();
    }
    assert_eq!(world.decide().action, Action::Steady);
}

/// The ring was whole before the kubelet's probes had said so of any pod.
#[test]
fn daemons_in_the_ring_are_rolled_in_turn_though_their_probes_lag() {
    let mut world = World::running(3, 5);
    world.cluster.spec.image = "spreadd:2".to_owned();
    world.pods.iter_mut().for_each(|pod| pod.ready = false);
    assert_eq!(world.decide().action, Action::Roll { slot: 2 });
    world.pods[2].terminating = true;
    assert_eq!(
        world.decide().action,
        Action::Steady,
        "the others serve, and are not replaced with it"
    );
}

#[test]
fn a_split_ring_is_not_rolled() {
    let mut world = World::running(3, 5);
    world.cluster.spec.image = "spreadd:2".to_owned();
    world.component(&[0, 1]);
    world.component(&[2]);
    assert_eq!(world.decide().action, Action::Steady);
    assert_eq!(world.condition("Degraded").1, "MembershipSplit");
    assert_eq!(world.condition("MembershipConsistent").1, "Split");
}

#[test]
fn daemons_that_do_not_answer_are_not_rolled() {
    let mut world = World::running(3, 5);
    world.cluster.spec.image = "spreadd:2".to_owned();
    for pod in &mut world.pods {
        pod.report = None;
    }
    assert_eq!(world.decide().action, Action::Steady);
    let (_, reason, message) = world.condition("Degraded");
    assert_eq!(reason, "MembersMissing");
    assert!(message.contains("no answer from d0, d1, d2"), "{message}");
}

#[test]
fn a_bad_image_does_not_wait_for_itself() {
    let mut world = World::running(3, 5);
    // d2 was made from a bad image; the good one is asked for again.
    world.pods[2] = PodFact { ready: false, template: "bad".to_owned(), ..pod(2, "") };
    world.component(&[0, 1]);
    assert_eq!(world.decide().action, Action::Roll { slot: 2 });
}

#[test]
fn a_restart_request_rolls_once_and_taking_it_away_does_nothing() {
    let mut world = World::running(2, 5);
    let annotate = |world: &mut World, value: Option<&str>| {
        world.cluster.metadata.annotations =
            value.map(|value| [(requests::RESTART.to_owned(), value.to_owned())].into());
    };
    annotate(&mut world, Some("a"));
    assert_eq!(world.decide().action, Action::Roll { slot: 1 });
    world.restart_in_force = Some("a".to_owned());
    let template = world.decide().template;
    world.pods = (0..2).map(|slot| pod(slot, &template)).collect();
    world.see_each_other();
    assert_eq!(world.decide().action, Action::Steady);
    annotate(&mut world, None);
    assert_eq!(world.decide().action, Action::Steady);
}

#[test]
fn slots_max_below_the_ring_is_a_condition_with_field_and_remedy() {
    let mut world = World::running(2, 8);
    world.cluster.spec.slots.max = 4;
    world.cluster.spec.slots.initial = 4;
    assert!(world.decide().hands_off);
    let (_, reason, message) = world.condition("Stalled");
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("spec.slots.max") && message.contains("raise it"), "{message}");
}

#[test]
fn paused_observes_only() {
    let mut world = World::running(3, 5);
    world.cluster.spec.paused = true;
    world.cluster.spec.replicas = Some(5);
    assert!(world.decide().hands_off);
    assert_eq!(world.condition("ReconciliationPaused").0, "True");
    assert_eq!(world.condition("Reconciling").1, "Paused");
}

fn per_node(nodes: &[&str]) -> World {
    let mut world = World::new(1, 8);
    world.cluster.spec.replicas = None;
    world.cluster.spec.placement.r#type = PlacementType::PerNode;
    let node = |name: &&str| NodeFact { name: (*name).to_owned(), ..NodeFact::default() };
    world.nodes = Some(nodes.iter().map(node).collect());
    world.make_ring();
    let template = world.decide().template;
    world.pods =
        (0..u32::try_from(nodes.len()).unwrap()).map(|slot| pod(slot, &template)).collect();
    world.see_each_other();
    world
}

#[test]
fn with_a_daemon_on_each_node_none_moves_because_a_node_went() {
    let mut world = per_node(&["n0", "n1", "n2", "n3", "n4"]);
    assert_eq!((world.decide().replicas, world.decide().action), (5, Action::Steady));
    // Of five nodes two stay, and not the first.
    world.nodes.as_mut().unwrap().retain(|node| ["n1", "n3"].contains(&node.name.as_str()));
    for slot in [0, 2, 4] {
        world.pods[slot] =
            PodFact { node: None, ready: false, report: None, ..world.pods[slot].clone() };
    }
    world.component(&[1, 3]);
    let decision = world.decide();
    assert_eq!((decision.replicas, decision.wanted, decision.slots.used), (4, 2, 2));
    assert_eq!(decision.action, Action::Steady);
    assert!(decision.whole());
    assert_eq!(world.condition("Ready").0, "True");
    assert_eq!(world.condition("Stalled").0, "False");
}

#[test]
fn with_a_daemon_on_each_node_a_new_node_gets_one() {
    let mut world = per_node(&["n0", "n1", "n2"]);
    let node = NodeFact { name: "n3".to_owned(), ..NodeFact::default() };
    world.nodes.as_mut().unwrap().push(node);
    let decision = world.decide();
    assert_eq!((decision.replicas, decision.action), (4, Action::FillSlot { slot: 3 }));
}

#[test]
fn a_daemon_on_a_node_that_is_no_longer_chosen_leaves_it() {
    let mut world = per_node(&["n0", "n1", "n2"]);
    world.nodes.as_mut().unwrap().retain(|node| node.name != "n1");
    assert_eq!(world.decide().action, Action::Roll { slot: 1 });
}

#[test]
fn nodes_that_may_not_be_read_are_named_and_nothing_moves() {
    let mut world = per_node(&["n0", "n1", "n2"]);
    world.nodes = None;
    let decision = world.decide();
    assert_eq!((decision.replicas, decision.action), (3, Action::Steady));
    let (_, reason, message) = world.condition("Stalled");
    assert_eq!(reason, "MissingPermission");
    assert!(message.contains("nodes"), "{message}");
}

#[test]
fn a_cordoned_node_keeps_its_daemon_and_gets_no_new_one() {
    let mut world = per_node(&["n0", "n1", "n2"]);
    let cordoned =
        |name: &str| NodeFact { name: name.to_owned(), cordoned: true, ..NodeFact::default() };
    let nodes = world.nodes.as_mut().unwrap();
    nodes[2] = cordoned("n2");
    nodes.push(cordoned("n3"));
    assert_eq!(world.decide().wanted, 3);
}

const FRESH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

fn keys(ids: &[u32], handled: Option<&str>) -> RingKeys {
    let text = ids.iter().map(|id| format!("{id} {}\n", "1".repeat(64))).collect();
    RingKeys { text, handled_request: handled.map(str::to_owned) }
}

#[test]
fn keys_are_made_once_and_rotated_on_request_without_a_gap() {
    let world = World::running(2, 5);
    let pods: Vec<&PodFact> = world.pods.iter().collect();
    let step = |held: Option<&RingKeys>, request| key_step(held, request, FRESH, &pods, 2);
    let written = |step| match step {
        KeyStep::Write(keys) => spread_plan::key_ids(&keys.text),
        KeyStep::Keep => panic!("nothing is written"),
    };
    assert_eq!(written(step(None, None)), [1]);
    assert_eq!(step(Some(&keys(&[1], None)), None), KeyStep::Keep);
    assert_eq!(written(step(Some(&keys(&[1], None)), Some("a"))), [1, 2]);
    // Daemons report key 1: the old one is still needed.
    assert_eq!(step(Some(&keys(&[1, 2], Some("a"))), Some("a")), KeyStep::Keep);
    // The same request again, after everything.
    assert_eq!(step(Some(&keys(&[2], Some("a"))), Some("a")), KeyStep::Keep);
    assert_eq!(
        written(step(Some(&RingKeys { text: "spoilt".into(), ..RingKeys::default() }), None)),
        [1]
    );
}

#[test]
fn the_old_key_goes_when_all_use_the_new_one() {
    let mut world = World::running(2, 5);
    let held = keys(&[1, 2], Some("a"));
    for (used, dropped) in [([2, 1], false), ([2, 2], true)] {
        for (pod, key_id) in world.pods.iter_mut().zip(used) {
            pod.report.as_mut().unwrap().key_id = key_id;
        }
        let pods: Vec<&PodFact> = world.pods.iter().collect();
        let step = key_step(Some(&held), Some("a"), FRESH, &pods, 2);
        assert_eq!(step == KeyStep::Write(keys(&[2], Some("a"))), dropped, "{used:?}");
    }
}

#[test]
fn every_condition_and_reason_that_is_written_is_documented() {
    let documented = |kind: &str, reason: &str| {
        let info = spread_operator_api::CONDITIONS.iter().find(|info| info.r#type == kind);
        info.is_some_and(|info| info.reasons.iter().any(|(word, _)| *word == reason))
    };
    let mut worlds = vec![World::new(3, 8), World::running(3, 8), per_node(&["n0"])];
    let mut split = World::running(3, 5);
    split.component(&[2]);
    worlds.push(split);
    let mut grown = World::running(3, 3);
    grown.cluster.spec.replicas = Some(4);
    worlds.push(grown);
    let mut rolled = World::running(3, 5);
    rolled.cluster.spec.image = "x".to_owned();
    worlds.push(rolled);
    for world in worlds {
        for info in spread_operator_api::CONDITIONS {
            let (status, reason, message) = world.condition(info.r#type);
            assert!(documented(info.r#type, &reason), "{} {status} {reason}", info.r#type);
            assert!(!message.is_empty());
        }
    }
    for one in spread_plan::accepted() {
        assert!(documented(one.r#type, one.reason), "{} {}", one.r#type, one.reason);
    }
}

/// The ring as a toy: what the decision asks for happens, one thing at a time.
fn happen(world: &mut World, template: &str) -> bool {
    let decision = world.decide();
    let replicas = decision.replicas;
    let before = world.pods.len();
    world.pods.retain(|pod| pod.ordinal < replicas && !pod.terminating);
    let mut changed = world.pods.len() != before;
    for slot in 0..replicas {
        if !world.pods.iter().any(|pod| pod.ordinal == slot) {
            world.pods.push(PodFact { ready: false, ..pod(slot, template) });
            changed = true;
            break;
        }
    }
    if let Action::Roll { slot } = decision.action {
        for pod in world.pods.iter_mut().filter(|pod| pod.ordinal == slot) {
            pod.terminating = true;
        }
        return true;
    }
    world.pods.sort_by_key(|pod| pod.ordinal);
    if !changed {
        let unready = world.pods.iter().any(|pod| !pod.ready && !pod.terminating);
        let strangers = world.pods.iter().any(|pod| pod.report.is_none());
        if unready || strangers || decision.view.in_ring.len() != world.pods.len() {
            world.see_each_other();
            changed = true;
        }
    }
    changed
}

fn any_pod(slot: u32) -> impl Strategy<Value = Option<PodFact>> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(there, ready, terminating, current, reports)| {
            there.then(|| {
                let template = if current { "current" } else { "old" };
                let mut pod = pod(slot, template);
                (pod.ready, pod.terminating) = (ready, terminating);
                pod.report = reports.then(|| world::report(&[world::name(slot)]));
                pod
            })
        },
    )
}

proptest! {
    /// Whatever is there: it ends whole, with the daemons that are asked for, all made from the object.
    #[test]
    fn every_start_converges(
        replicas in 1..7_u32,
        pods in (any_pod(0), any_pod(1), any_pod(2), any_pod(3), any_pod(4)),
    ) {
        let mut world = World::new(replicas, 5);
        world.make_ring();
        let template = world.decide().template;
        let (a, b, c, d, e) = pods;
        world.pods = [a, b, c, d, e].into_iter().flatten().collect();
        for pod in &mut world.pods {
            if pod.template == "current" {
                pod.template.clone_from(&template);
            }
        }
        let mut steps = 0;
        while happen(&mut world, &template) {
            steps += 1;
            prop_assert!(steps < 200, "{:?}", world.decide());
        }
        let decision = world.decide();
        prop_assert!(decision.whole(), "{decision:?}");
        prop_assert_eq!(world.pods.len(), replicas.min(5) as usize);
        prop_assert!(world.pods.iter().all(|pod| pod.template == template));
    }

    /// A daemon that serves is never taken down for a roll while another one is missing.
    #[test]
    fn a_roll_never_takes_a_second_daemon(
        pods in (any_pod(0), any_pod(1), any_pod(2), any_pod(3), any_pod(4)),
    ) {
        let mut world = World::new(5, 5);
        world.make_ring();
        let (a, b, c, d, e) = pods;
        world.pods = [a, b, c, d, e].into_iter().flatten().collect();
        let decision = world.decide();
        if let Action::Roll { slot } = decision.action {
            let rolled = world.pods.iter().find(|pod| pod.ordinal == slot).unwrap();
            let others_serve = world.pods.iter().filter(|pod| pod.ordinal != slot).all(|pod| pod.ready && !pod.terminating);
            prop_assert!(!rolled.ready || others_serve, "{:?}", world.pods);
        }
    }
}
