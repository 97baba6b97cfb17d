//! A daemon whose clients read slowly.

use crate::network::Network;
use crate::{MS, started};
use spread_ring::SubmitError;
use spread_wire::service::Guarantee::{Agreed, Safe};

fn congest(network: &mut Network, place: u16, congested: bool) {
    let now = network.now;
    network.act(place, |ring| ring.set_congested(now, congested));
}

/// Payloads delivered at `place` within so many milliseconds, while `place` has more to send than goes.
fn trickle(network: &mut Network, place: u16, milliseconds: u32) -> usize {
    let before = network.delivered(place).len();
    network.run(MS * milliseconds);
    network.delivered(place).len() - before
}

#[test]
fn a_congested_daemon_slows_all_down_more_and_more_and_loses_nothing() {
    for (seed, slots) in [(51, vec![0]), (52, vec![0, 1, 2])] {
        let mut network = started(seed, 3, &slots);
        congest(&mut network, 0, true);
        for index in 0..2000 {
            network.submit(0, Agreed, format!("agreed {index}"));
        }
        let (first, later) = (trickle(&mut network, 0, 150), trickle(&mut network, 0, 1000));
        assert!((1..=25).contains(&first), "one at a visit: {first}");
        assert!((1..=100).contains(&later), "fewer and fewer, but never none: {later}");
        // Nobody takes the silence for a crash.
        assert!(network.formed(&slots), "{}", network.states());
        congest(&mut network, 0, false);
        network.submit(0, Safe, "safe end");
        network.run(MS * 200);
        for place in &slots {
            let delivered = network.delivered(*place).len();
            assert_eq!(delivered, 2001, "at once when d0 reads again");
        }
        network.check();
    }
}

#[test]
fn a_full_backlog_pushes_back_and_takes_more_when_it_has_room() {
    let mut network = started(53, 2, &[0, 1]);
    congest(&mut network, 0, true);
    let payload =
        |index: u32| bytes::Bytes::from([&index.to_le_bytes()[..], &[7; 100_000]].concat());
    let mut taken = 0;
    let mut refused = None;
    network.act(0, |ring| {
        while refused.is_none() {
            match ring.submit(Agreed, payload(taken)) {
                Ok(()) => taken += 1,
                Err(error) => refused = Some(error),
            }
        }
        assert!(ring.backlog_room() < 100_004);
    });
    assert_eq!(refused, Some(SubmitError::Full));
    assert!(taken > 50, "{taken}");
    congest(&mut network, 0, false);
    network.run(MS * 2000);
    for place in [0, 1] {
        let delivered = network.delivered(place);
        let numbers =
            delivered.iter().map(|one| u32::from_le_bytes([one[0], one[1], one[2], one[3]]));
        assert!(numbers.eq(0..taken), "all that was taken, in order, and nothing else");
    }
    network.act(0, |ring| assert_eq!(ring.submit(Agreed, payload(taken)), Ok(())));
}
