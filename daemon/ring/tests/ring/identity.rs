//! Two daemons that want one slot, and daemons that change their address.

use crate::network::{ELSEWHERE, Network};
use crate::{MS, pour, started};
use spread_ring::Phase;
use spread_wire::ids::Slot;
use spread_wire::service::Guarantee::Safe;

fn phase(network: &Network, place: u16) -> Option<Phase> {
    Some(network.nodes.get(&place)?.ring.as_ref()?.status().phase)
}

/// The daemon at `place` and the others are one ring in which it has its slot.
fn has_slot(network: &Network, place: u16, others: &[u16]) -> bool {
    let (slot, boot) = (place % ELSEWHERE, network.nodes[&place].boot);
    let mut members: Vec<u16> = others.iter().copied().chain([slot]).collect();
    members.sort_unstable();
    others.iter().chain([&place]).all(|other| {
        phase(network, *other) == Some(Phase::Operational)
            && network.members(*other) == members
            && network.occupant(*other, slot).is_some_and(|occupant| occupant.boot == boot)
    })
}

fn wait_slot(network: &mut Network, place: u16, others: &[u16]) -> core::time::Duration {
    let done = |network: &Network| has_slot(network, place, others);
    network
        .run_until(MS * 20_000, done)
        .unwrap_or_else(|| panic!("{place} never got its slot:\n{}", network.states()))
}

#[test]
fn a_newcomer_waits_as_long_as_the_member_answers() {
    // An idle ring: most members do not hear each other by themselves.
    let slots: Vec<u16> = (0..6).collect();
    for (seed, slot) in [(31, 0), (32, 3), (33, 5)] {
        let mut network = started(seed, 7, &slots);
        let before = network.occupant(1, slot);
        network.run(MS * 2000);
        let seen = |network: &Network| -> Vec<usize> {
            slots.iter().map(|place| network.nodes[place].seen.len()).collect()
        };
        let undisturbed = seen(&network);
        let elsewhere = slot + ELSEWHERE;
        network.start(elsewhere);
        network.run(MS * 10_000);
        assert_eq!(phase(&network, elsewhere), Some(Phase::Waiting));
        let waiting = network.nodes[&elsewhere].ring.as_ref().expect("it runs").status();
        let occupant = waiting.occupant.expect("it knows whom it waits for");
        assert_eq!(Some(occupant.daemon), before);
        assert!(network.nodes[&elsewhere].waited);
        assert!(network.nodes[&elsewhere].seen.is_empty(), "no configuration of its own");
        assert!(network.formed(&slots), "{}", network.states());
        for place in &slots {
            assert_eq!(network.occupant(*place, slot), before, "nobody gave the slot away");
        }
        assert_eq!(seen(&network), undisturbed, "nobody installs anything");

        network.crash(slot);
        let rest: Vec<u16> = slots.iter().copied().filter(|other| *other != slot).collect();
        wait_slot(&mut network, elsewhere, &rest);
        assert!(network.occupant(elsewhere, slot) > before, "the claim rises");
        pour(&mut network, &rest, 10, "after");
        network.run(MS * 300);
        network.check();
    }
}

#[test]
fn a_newcomer_elsewhere_takes_the_slot_of_a_crashed_member_before_the_crash_is_found() {
    let mut network = started(34, 5, &[0, 1, 2, 3]);
    pour(&mut network, &[0, 1, 2, 3], 20, "before");
    network.crash(2);
    network.start(2 + ELSEWHERE);
    let took = wait_slot(&mut network, 2 + ELSEWHERE, &[0, 1, 3]);
    assert!(took < MS * 600, "{took:?}");
    network.run(MS * 300);
    network.check();
}

#[test]
fn of_two_daemons_of_one_slot_that_meet_the_higher_claim_stays() {
    for (seed, slot) in [(35, 0), (36, 1), (37, 2)] {
        let mut network = started(seed, 3, &[0, 1, 2]);
        let elsewhere = slot + ELSEWHERE;
        let others: Vec<u16> = (0..3).filter(|other| *other != slot).collect();
        let (stays, goes_over) = (others[0], others[1]);
        network.partition(&[&[slot, stays], &[elsewhere, goes_over]]);
        network.run(MS * 1500);
        network.start(elsewhere);
        wait_slot(&mut network, elsewhere, &[goes_over]);
        pour(&mut network, &[slot, stays, elsewhere, goes_over], 20, "apart");
        network.run(MS * 500);
        network.heal();
        wait_slot(&mut network, elsewhere, &others);
        assert!(network.nodes[&slot].superseded, "the other ends");
        assert!(!network.nodes[&elsewhere].superseded);
        pour(&mut network, &others, 20, "together");
        network.run(MS * 300);
        network.check();
    }
}

/// Nobody else is there to tell them: the slot's name leads the one to the other.
#[test]
fn a_lone_daemon_finds_its_namesake_by_the_name_of_its_slot() {
    let mut network = started(38, 2, &[0]);
    network.resolve(0, 0, &[ELSEWHERE]);
    network.start(ELSEWHERE);
    network.run(MS * 5000);
    assert_eq!(phase(&network, ELSEWHERE), Some(Phase::Waiting));
    assert!(network.formed(&[0]) && network.nodes[&ELSEWHERE].seen.is_empty());
    network.crash(0);
    wait_slot(&mut network, ELSEWHERE, &[]);
    network.check();
}

/// Two rings of one daemon each, both of slot d0, that find each other: the one admitted later stays.
#[test]
fn two_lone_daemons_of_one_slot_end_as_one() {
    let mut network = started(39, 2, &[0]);
    network.partition(&[&[0], &[ELSEWHERE]]);
    network.start(ELSEWHERE);
    wait_slot(&mut network, ELSEWHERE, &[]);
    network.heal();
    network.resolve(ELSEWHERE, 0, &[0]);
    network.run(MS * 2000);
    assert!(network.nodes[&0].superseded && has_slot(&network, ELSEWHERE, &[]));
    network.check();
}

#[test]
fn claims_rise_though_the_wall_clock_does_not() {
    let mut network = started(40, 3, &[0, 1]);
    let before = network.occupant(1, 0).expect("it is a member").claim;
    network.crash(0);
    network.form(&[1]);
    network.wall_clock = 0;
    // It is the first of its ring, and admits itself.
    network.start(0);
    network.form(&[0, 1]);
    let after = network.occupant(0, 0).expect("it is a member").claim;
    assert!(after > before, "{after:?} after {before:?}");
}

#[test]
fn a_member_that_changes_its_address_stays_a_member() {
    let mut network = started(41, 3, &[0, 1, 2]);
    let before = network.nodes[&0].ring.as_ref().expect("it runs").status().configuration;
    for place in [0, 1, 2] {
        network.relocate(place, place + 100);
        pour(&mut network, &[0, 1, 2], 20, &format!("from {place}"));
        network.run(MS * 500);
        let states = network.states();
        assert!(network.formed(&[0, 1, 2]), "after {place} moved:\n{states}{}", network.tails());
    }
    let after = network.nodes[&0].ring.as_ref().expect("it runs").status().configuration;
    assert_eq!(before, after, "without any membership change");
    assert_eq!(network.delivered(2).len(), 180);
    network.check();
}

/// Random partitions, crashes and second daemons: in the end each slot has one, and the promises were kept.
#[test]
fn second_daemons_end_well_whatever_happens() {
    for seed in 0..40 {
        eprintln!("seed {seed}");
        let mut network = started(1000 + seed, 4, &[0, 1, 2, 3]);
        for step in 0..25_u64 {
            let victim = (network.random() % 4) as u16;
            let place = victim + if network.random().is_multiple_of(2) { ELSEWHERE } else { 0 };
            match network.random() % 8 {
                0 => network.crash(place),
                1 | 2 if !network.nodes.contains_key(&place) => network.start(place),
                3 => network.partition(&[&[0, 1, ELSEWHERE + 2], &[2, 3, ELSEWHERE]]),
                4 => network.partition(&[&[0, ELSEWHERE + 1, 3], &[1, 2, ELSEWHERE + 3]]),
                5 | 6 => network.heal(),
                _ => network.pause(place, step.is_multiple_of(2)),
            }
            for place in [0, 1, 2, 3, ELSEWHERE, ELSEWHERE + 1] {
                network.submit(place, Safe, format!("safe {place} {step}"));
            }
            let time = core::time::Duration::from_micros(network.random() % 400_000);
            network.run(time);
        }
        network.heal();
        // Names lead to where daemons run, as those of pods do.
        let running: Vec<u16> = network.nodes.keys().copied().collect();
        for (place, slot) in running.iter().flat_map(|place| (0..4).map(move |slot| (*place, slot)))
        {
            network.resolve(place, slot, &[slot, slot + ELSEWHERE]);
        }
        let places: Vec<u16> = network.nodes.keys().copied().collect();
        places.iter().for_each(|place| network.pause(*place, false));
        // One may end for another that has crashed meanwhile: then nobody has the slot, and it is started again.
        for _ in 0..2 {
            network.run(MS * 4000);
            for slot in 0..4 {
                let runs =
                    |place: u16| network.nodes.get(&place).is_some_and(|node| node.ring.is_some());
                if !runs(slot) && !runs(slot + ELSEWHERE) {
                    network.crash(slot);
                    network.start(slot);
                }
            }
        }
        network.run(MS * 4000);
        let mut owners = Vec::new();
        for (place, node) in &network.nodes {
            let Some(ring) = &node.ring else { continue };
            let status = ring.status();
            match status.phase {
                Phase::Operational => {
                    assert_eq!(status.members.len(), 4, "seed {seed}\n{}", network.states());
                    owners.push(Slot(place % ELSEWHERE));
                }
                Phase::Waiting => assert!(status.occupant.is_some()),
                other => panic!("d{place} is in {other:?}, seed {seed}\n{}", network.states()),
            }
        }
        owners.sort();
        assert_eq!(owners, [0, 1, 2, 3].map(Slot), "seed {seed}\n{}", network.states());
        network.check();
    }
}
