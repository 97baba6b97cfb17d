//! Daemons that get no processor for a while, as in a container of little weight while others start.

use crate::network::{Network, Seen};
use crate::{MS, started};
use core::time::Duration;
use spread_ring::{ConfigurationKind, Phase};
use spread_wire::service::Guarantee::Agreed;

/// Regular configurations that a daemon installed.
fn configurations(network: &Network, place: u16) -> usize {
    let regular =
        |seen: &&Seen| matches!(seen, Seen::Install(one) if one.kind == ConfigurationKind::Regular);
    network.nodes[&place].seen.iter().filter(regular).count()
}

/// Messages of all for a while.
fn talk(network: &mut Network, places: &[u16], time: Duration) {
    let end = network.now + time;
    while network.now < end {
        places
            .iter()
            .for_each(|place| network.submit(*place, Agreed, format!("{place} {:?}", network.now)));
        // Often enough that the token does not rest.
        network.run(Duration::from_micros(300));
    }
}

/// One daemon gets no processor for so long, while the others talk.
fn starve(network: &mut Network, place: u16, others: &[u16], time: Duration) {
    network.pause(place, true);
    talk(network, others, time);
    network.pause(place, false);
}

#[test]
fn a_member_without_a_processor_while_another_joins_stays_a_member() {
    for victim in 0..3 {
        let mut network = started(71, 4, &[0, 1, 2]);
        let others: Vec<u16> = (0..3).filter(|place| *place != victim).collect();
        let before = configurations(&network, others[0]);
        network.start(3);
        let gathers = |network: &Network| {
            let ring = network.nodes[&others[0]].ring.as_ref();
            ring.is_some_and(|ring| ring.status().phase == Phase::Gather)
        };
        network.run_until(MS * 50, gathers).expect("it gathers for the one that comes");
        starve(&mut network, victim, &others, MS * 220);
        network.run(MS * 500);
        assert!(network.formed(&[0, 1, 2, 3]), "{}", network.states());
        assert_eq!(configurations(&network, others[0]), before + 1, "only for the one that came");
        network.check();
    }
}

#[test]
fn who_came_back_late_once_is_waited_for_longer_the_next_time() {
    let mut network = started(72, 3, &[0, 1, 2]);
    let before = configurations(&network, 0);
    talk(&mut network, &[0, 1, 2], MS * 50);
    starve(&mut network, 1, &[0, 2], MS * 200);
    talk(&mut network, &[0, 1, 2], MS * 1000);
    starve(&mut network, 1, &[0, 2], MS * 400);
    talk(&mut network, &[0, 1, 2], MS * 500);
    assert_eq!(configurations(&network, 0), before, "{}", network.states());
    network.check();
}

#[test]
fn after_a_quiet_minute_a_crash_is_found_as_fast_as_ever() {
    let mut network = started(73, 3, &[0, 1, 2]);
    talk(&mut network, &[0, 1, 2], MS * 50);
    starve(&mut network, 1, &[0, 2], MS * 200);
    network.run(Duration::from_secs(61));
    talk(&mut network, &[0, 1, 2], MS * 50);
    network.crash(1);
    talk(&mut network, &[0, 2], MS * 320);
    assert!(network.formed(&[0, 2]), "{}", network.states());
}
