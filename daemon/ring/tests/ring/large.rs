//! Rings of more slots than the few in which everybody writes to everybody.

use crate::network::Network;
use crate::{MS, pour, started};

const SIZE: u16 = 24;

fn all_but_last() -> Vec<u16> {
    (0..SIZE - 1).collect()
}

fn whole() -> Vec<u16> {
    (0..SIZE).collect()
}

/// A ring of all slots but the last, in which messages have passed.
fn large(seed: u64) -> Network {
    let mut network = started(seed, SIZE, &all_but_last());
    pour(&mut network, &[0, 7], 20, "before");
    network.run(MS * 200);
    network
}

#[test]
fn a_join_costs_packets_for_each_member_and_not_for_each_pair() {
    let mut network = large(31);
    let before = network.posted();
    network.start(SIZE - 1);
    let took = network.form(&whole());
    let packets = network.posted() - before;
    assert!(took < MS * 20, "{took:?}");
    // When all wrote to all these were 834.
    assert!(packets < u64::from(SIZE) * 20, "{packets} packets");
    network.run(MS * 300);
    network.check();
}

#[test]
fn a_leave_costs_packets_for_each_member_and_not_for_each_pair() {
    let mut network = large(32);
    let before = network.posted();
    network.leave(11);
    let rest: Vec<u16> = all_but_last().into_iter().filter(|slot| *slot != 11).collect();
    let took = network.form(&rest);
    let packets = network.posted() - before;
    assert!(took < MS * 20, "{took:?}");
    assert!(packets < u64::from(SIZE) * 20, "{packets} packets");
    network.check();
}

#[test]
fn a_join_ends_well_when_the_one_who_proposes_dies_or_packets_are_lost() {
    for seed in 40..60 {
        let mut network = large(seed);
        network.loss = 100;
        network.start(SIZE - 1);
        let rest: Vec<u16> = if seed % 2 == 0 {
            // While the newcomer is heard of, before it is in: at another moment for each seed.
            network.run(MS / 10 * (seed as u32 - 39));
            network.crash(0);
            (1..SIZE).collect()
        } else {
            whole()
        };
        network.form(&rest);
        network.loss = 0;
        pour(&mut network, &[1, 9], 20, "after");
        network.run(MS * 500);
        network.check();
    }
}
