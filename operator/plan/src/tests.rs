use crate::{
    Access, Action, RingConfig, SlotFact, SlotPlace, Snapshot, plan, restart_backoff_millis,
};
use proptest::prelude::*;
use spread_operator_api::SpreadCluster;

const UP: SlotFact = SlotFact::running(true);

fn cluster(replicas: u32, slots: u32) -> SpreadCluster {
    let mut cluster = SpreadCluster::new("orders", Default::default());
    cluster.spec.replicas = Some(replicas);
    cluster.spec.slots.initial = slots;
    cluster
}

fn decide(replicas: u32, slots: &[SlotFact], now_millis: u64) -> Action {
    let cluster = cluster(replicas, 5);
    let slots = slots.to_vec();
    plan(&Snapshot { cluster: &cluster, now_millis, slots, eligible_nodes: 0 }).action
}

#[test]
fn each_state_has_its_next_action() {
    use SlotFact::{Died, Leaving, Vacant};
    let died = Died { at_millis: 1000, times: 1 };
    let cases = [
        (3, vec![], 0, Action::FillSlot { slot: 0 }),
        (3, vec![UP, Vacant, UP, Vacant, Vacant], 0, Action::FillSlot { slot: 1 }),
        (3, vec![UP, UP, UP, Vacant, Vacant], 0, Action::Steady),
        (3, vec![UP, UP, UP, UP, UP], 0, Action::FreeSlot { slot: 4 }),
        (3, vec![UP, UP, UP, UP, Leaving], 0, Action::FreeSlot { slot: 3 }),
        (3, vec![UP, UP, UP, Leaving, Leaving], 0, Action::Steady),
        (3, vec![UP, UP, UP, Vacant, died], 9000, Action::Steady),
        (2, vec![UP, died], 1100, Action::WaitToRestart { slot: 1, at_millis: 1200 }),
        (2, vec![UP, died], 1200, Action::Restart { slot: 1 }),
        (1, vec![died, UP], 1100, Action::FreeSlot { slot: 1 }),
        (7, vec![UP; 5], 0, Action::NewRingNeeded { slots: 5, wanted: 7, next_slots: 10 }),
        (7, vec![UP, Vacant, UP, UP, UP], 0, Action::FillSlot { slot: 1 }),
    ];
    for (replicas, slots, now, expected) in cases {
        assert_eq!(decide(replicas, &slots, now), expected, "{replicas} wanted, {slots:?}");
    }
}

#[test]
fn a_broken_rule_stops_every_action_and_is_told() {
    let cluster = cluster(65, 5);
    let snapshot = Snapshot { cluster: &cluster, now_millis: 0, slots: vec![], eligible_nodes: 0 };
    let plan = plan(&snapshot);
    let Action::Invalid(violations) = plan.action else { panic!("{:?}", plan.action) };
    assert_eq!(violations[0].field, "spec.replicas");
}

#[test]
fn paused_observes_only() {
    let mut cluster = cluster(3, 5);
    cluster.spec.paused = true;
    let snapshot = Snapshot { cluster: &cluster, now_millis: 0, slots: vec![], eligible_nodes: 0 };
    assert_eq!(plan(&snapshot).action, Action::Steady);
}

#[test]
fn waits_double_up_to_a_bound() {
    let waits: Vec<u64> = [1, 2, 3, 6, 7, 99].map(restart_backoff_millis).into();
    assert_eq!(waits, [200, 400, 800, 6400, 10_000, 10_000]);
}

#[test]
fn the_configuration_lists_every_slot_in_order() {
    let cluster = cluster(3, 5);
    let place = |slot: u16| SlotPlace {
        name: format!("d{slot}"),
        host: "127.0.0.1".to_owned(),
        port: 4803 + 10 * slot,
    };
    let places: Vec<SlotPlace> = (0..2).map(place).collect();
    let config = RingConfig {
        cluster: &cluster,
        ring_number: 1,
        places: &places,
        key_file: Some("ring.key"),
        admin_endpoint: Some("127.0.0.1:4805"),
        admin_tls_directory: None,
        health_endpoint: None,
        socket_directory: "sockets",
        access: Access::Everybody,
        json_log: false,
    };
    let text = config.render().unwrap();
    for line in [
        "RingEncryption = on",
        "RingKeyFile = \"ring.key\"",
        "AdminEndpoint = \"127.0.0.1:4805\"",
        "MaxMessageBytes = 16777216",
        "Spread_Segment 127.0.0.1:4813 {",
        "    d1 127.0.0.1:4813",
    ] {
        assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
    }
    assert!(text.find("d0 ") < text.find("d1 "));
}

#[test]
fn every_choice_of_the_object_reads_back_from_the_file() {
    use spread_operator_api::{ProfileType, SlowReaderType};
    let mut cluster = cluster(3, 5);
    cluster.metadata.uid = Some("5f0c".to_owned());
    cluster.spec.limits.slow_reader.r#type = SlowReaderType::Disconnect;
    cluster.spec.profile.r#type = ProfileType::Custom;
    cluster.spec.profile.token_timeout_milliseconds = Some(300);
    cluster.spec.profile.hurry_timeout_milliseconds = Some(100);
    cluster.spec.profile.gather_timeout_milliseconds = Some(200);
    cluster.spec.profile.lookup_timeout_milliseconds = Some(1000);
    let places = [SlotPlace { name: "d0".to_owned(), host: "127.0.0.1".to_owned(), port: 4803 }];
    let config = RingConfig {
        cluster: &cluster,
        ring_number: 7,
        places: &places,
        key_file: None,
        admin_endpoint: None,
        admin_tls_directory: None,
        health_endpoint: None,
        socket_directory: "sockets",
        access: Access::Everybody,
        json_log: false,
    };
    let text = config.render().unwrap();
    let (read, _) = spread_conf::parse(&text).unwrap();
    assert_eq!((read.ring_number, read.cluster_uid.as_str()), (7, "5f0c"));
    assert_eq!(read.profile, spread_conf::Profile::Custom);
    assert_eq!(read.timeouts.map(|timeouts| (timeouts.token, timeouts.alive)), Some((300, 40)));
    assert_eq!(read.slow_reader, spread_conf::SlowReader::Disconnect { messages: 1000 });
}

#[test]
fn a_value_that_cannot_be_written_is_an_error() {
    let cluster = cluster(3, 5);
    let places = [SlotPlace { name: "d0".to_owned(), host: "127.0.0.1".to_owned(), port: 4803 }];
    let config = RingConfig {
        cluster: &cluster,
        ring_number: 1,
        places: &places,
        key_file: Some("a\"b'c d"),
        admin_endpoint: None,
        admin_tls_directory: None,
        health_endpoint: None,
        socket_directory: "sockets",
        access: Access::Everybody,
        json_log: false,
    };
    assert!(config.render().is_err());
}

fn any_fact() -> impl Strategy<Value = SlotFact> {
    prop_oneof![
        Just(SlotFact::Vacant),
        any::<bool>().prop_map(SlotFact::running),
        Just(SlotFact::Leaving),
        (0..5000u64, 1..9u32).prop_map(|(at_millis, times)| SlotFact::Died { at_millis, times }),
    ]
}

proptest! {
    /// Whatever the facts: carrying out actions ends with the wanted daemons in the lowest slots.
    #[test]
    fn actions_converge(
        replicas in 1..12u32,
        mut slots in prop::collection::vec(any_fact(), 1..10),
    ) {
        let cluster = cluster(replicas, 5);
        let mut now_millis = 0;
        for _ in 0..100 {
            let facts = slots.clone();
            let snapshot = Snapshot { cluster: &cluster, now_millis, slots: facts, eligible_nodes: 0 };
            match plan(&snapshot).action {
                Action::FillSlot { slot } | Action::Restart { slot } | Action::Roll { slot } => slots[slot as usize] = UP,
                Action::FreeSlot { slot } => slots[slot as usize] = SlotFact::Leaving,
                Action::WaitToRestart { at_millis, .. } => {
                    prop_assert!(at_millis > now_millis);
                    now_millis = at_millis;
                }
                Action::Invalid(violations) => prop_assert!(false, "{violations:?}"),
                Action::Steady | Action::NewRingNeeded { .. } => {
                    let done = slots.iter().all(|fact| *fact != SlotFact::Leaving);
                    slots.iter_mut().filter(|fact| **fact == SlotFact::Leaving).for_each(|fact| *fact = SlotFact::Vacant);
                    if done { break }
                }
            }
        }
        for (ordinal, fact) in slots.iter().enumerate() {
            let running = matches!(fact, SlotFact::Running { .. });
            prop_assert_eq!(running, ordinal < replicas as usize, "slot {} {:?}", ordinal, fact);
        }
    }
}
