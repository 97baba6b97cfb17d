//! Sessions that do not read: slowed down for, or ended.

use crate::client::{Closed, HEADER_BYTES, World, settings};
use core::time::Duration;
use spread_front::{FrontSettings, SlowReader};
use spread_wire::ids::SessionId;
use spread_wire::link::RequestBody;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes of a delivered message to one group, without its body.
const HEAD_BYTES: usize = HEADER_BYTES + 32;

fn world(slow_reader: SlowReader) -> (World, SessionId) {
    let mut world = World::new(FrontSettings { slow_reader, ..settings() });
    let session = world.open(1, "a");
    world.read(1, 1000);
    (world, session)
}

fn is_ended(world: &World, session: SessionId) -> bool {
    let close = RequestBody::Close { session, broken: true };
    let asked = world.requests.contains(&close);
    assert_eq!(asked, world.closed.get(&1) == Some(&Closed { flush: false }));
    assert_eq!(asked, world.front.counters().slow_readers == 1);
    asked
}

#[test]
fn disconnect_ends_a_session_when_another_message_comes() {
    let (mut world, session) = world(SlowReader::Disconnect { messages: 3 });
    for _ in 0..3 {
        world.deliver(session, b"x");
    }
    assert!(!is_ended(&world, session));
    world.pass(SECOND * 3600);
    assert!(!world.front.congested(world.now), "it never pushes back");
    assert!(!is_ended(&world, session), "time alone does not end it");
    world.deliver(session, b"x");
    assert!(is_ended(&world, session));
    world.deliver(session, b"x");
    assert_eq!(world.front.counters().messages_delivered, 3);
}

#[test]
fn disconnect_does_not_count_a_message_that_left_in_part() {
    let (mut world, session) = world(SlowReader::Disconnect { messages: 3 });
    for _ in 0..3 {
        world.deliver(session, b"xy");
    }
    world.read(1, 1);
    world.deliver(session, b"xy");
    assert!(!is_ended(&world, session));
    world.read(1, HEAD_BYTES + 2 - 1);
    world.deliver(session, b"xy");
    assert!(is_ended(&world, session));
}

#[test]
fn block_pushes_back_while_the_session_reads() {
    let (mut world, session) = world(SlowReader::Block { timeout: SECOND * 10 });
    world.deliver(session, &[0; 8000]);
    assert!(!world.front.congested(world.now), "it fits");
    world.deliver(session, &[0; 8000]);
    assert!(world.front.congested(world.now), "at once: only one message is more than fits");
    for _ in 0..40 {
        world.pass(SECOND / 2);
        world.read(1, 10);
        assert!(world.front.congested(world.now), "slow, but it reads");
        if is_ended(&world, session) {
            panic!("a session that reads was ended after {:?}", world.now);
        }
        if world.now.since(spread_wire::time::Instant(1)) >= SECOND * 9 {
            break;
        }
    }
    world.read(1, 20_000);
    assert!(!world.front.congested(world.now));
    world.pass(SECOND * 100);
    assert!(!is_ended(&world, session), "it caught up");
}

#[test]
fn block_stops_pushing_back_for_who_reads_nothing_and_ends_it_in_time() {
    let (mut world, session) = world(SlowReader::Block { timeout: SECOND * 10 });
    for _ in 0..3 {
        world.deliver(session, &[0; 8000]);
    }
    assert!(world.front.congested(world.now));
    world.pass(SECOND);
    assert!(!world.front.congested(world.now), "others need not wait for it");
    world.pass(SECOND * 9 - Duration::from_nanos(1));
    assert!(!is_ended(&world, session));
    world.pass(Duration::from_nanos(1));
    assert!(is_ended(&world, session));
    assert_eq!(world.front.poll_timeout(), None);
}

#[test]
fn a_slow_session_does_not_hold_up_the_others_bytes() {
    let (mut world, slow) = world(SlowReader::Disconnect { messages: 1 });
    let quick = world.open(2, "b");
    world.read(2, 1000);
    for _ in 0..5 {
        world.deliver(slow, b"x");
        world.deliver(quick, b"x");
        let written = world.take_written(2);
        assert_eq!(written.len(), HEAD_BYTES + 1);
        world.read(2, 1000);
    }
    assert!(is_ended(&world, slow));
    assert!(!world.closed.contains_key(&2));
}
