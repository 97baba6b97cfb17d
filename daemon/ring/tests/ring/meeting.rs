//! Daemons outside a ring: how they find it, and that they disturb it only once they can come in.

use crate::network::Network;
use crate::{MS, pour, started};
use spread_ring::Phase;

/// Configurations that each of these daemons has installed.
fn installed(network: &Network, places: &[u16]) -> Vec<usize> {
    places.iter().map(|place| network.nodes[place].seen.len()).collect()
}

/// Names as a name server gives them that remembers absence: each daemon finds the next one only.
#[test]
fn daemons_that_know_one_another_in_a_chain_become_one_ring() {
    let slots: Vec<u16> = (0..6).collect();
    for seed in 50..60 {
        let mut network = Network::new(seed, 8);
        for (from, to) in slots.iter().flat_map(|from| slots.iter().map(move |to| (*from, *to))) {
            if to != from + 1 {
                network.unnamed.insert((from, to));
            }
        }
        slots.iter().for_each(|slot| network.start(*slot));
        let took = network.form(&slots);
        assert!(took < MS * 1500, "{took:?}");
        network.check();
    }
}

/// The ring knows nothing of the newcomer, and the newcomer one member only.
#[test]
fn one_known_member_is_enough_to_join_at_once() {
    let mut network = started(61, 5, &[0, 1, 2, 3]);
    for member in 0..4 {
        network.unnamed.insert((member, 4));
        network.unnamed.insert((4, member));
    }
    network.unnamed.remove(&(4, 2));
    network.start(4);
    let took = network.form(&[0, 1, 2, 3, 4]);
    assert!(took < MS * 20, "{took:?}");
    let gathered: u64 =
        network.nodes[&0].ring.as_ref().expect("it runs").counters().gatherings.values().sum();
    assert_eq!(gathered, 2, "at its start and for the newcomer: {}", network.states());
    network.check();
}

#[test]
fn an_outsider_that_not_all_members_reach_disturbs_nobody() {
    for (seed, ways) in [(70, vec![(0, 3), (3, 0)]), (71, vec![(0, 3)]), (72, vec![(3, 1)])] {
        let members = [0, 1, 2];
        let mut network = started(seed, 4, &members);
        let before = installed(&network, &members);
        network.cut.extend(&ways);
        network.start(3);
        for step in 0..40 {
            pour(&mut network, &members, 5, &format!("step {step}"));
            network.run(MS * 100);
        }
        let longest = 1 + 40 * 5 * members.len();
        for (member, before) in members.iter().zip(before) {
            let seen = &network.nodes[member].seen;
            assert!(seen.len() - before < longest, "no configuration: {}", network.states());
        }
        assert!(network.formed(&members) && network.members(3) == [3], "{}", network.states());
        network.cut.clear();
        let took = network.form(&[0, 1, 2, 3]);
        assert!(took < MS * 2000, "{took:?} with {ways:?} cut");
        network.check();
    }
}

#[test]
fn the_smaller_ring_comes_to_the_larger_or_leaves_it_alone() {
    let (large, small) = ([0, 1, 4], [2, 3]);
    let mut network = started(73, 5, &[0, 1, 2, 3, 4]);
    network.partition(&[&large, &small]);
    network.form(&large);
    network.form(&small);
    network.run(MS * 1500);
    let before = installed(&network, &large);
    network.cut.extend([(1, 2), (2, 1), (1, 3), (3, 1)]);
    network.heal();
    network.run(MS * 5000);
    assert_eq!(installed(&network, &large), before, "{}", network.states());
    assert!(network.formed(&large));
    network.cut.clear();
    let took = network.form(&[0, 1, 2, 3, 4]);
    assert!(took < MS * 2000, "{took:?}");
    network.check();
}

#[test]
fn an_outsider_that_stays_outside_has_a_ring_of_its_own_and_others_may_join_it() {
    let mut network = started(74, 5, &[0, 1, 2]);
    network.cut.extend([(0, 3), (3, 0), (0, 4), (4, 0)]);
    network.start(3);
    network.start(4);
    network.run(MS * 5000);
    assert!(network.formed(&[0, 1, 2]), "{}", network.states());
    let status = network.nodes[&3].ring.as_ref().expect("it runs").status();
    assert!(matches!(status.phase, Phase::Operational | Phase::Gather), "{}", network.states());
    assert_eq!(network.members(3), [3, 4], "{}", network.states());
    network.check();
}
