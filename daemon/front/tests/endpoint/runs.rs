//! Messages in a row: their bytes are shared by all who get them, and nothing changes places.

use crate::client::{AGREED, SELF_DISCARD, World, frame, message, settings, somewhere};
use bytes::Bytes;
use spread_front::{ConnectionId, FrontOutput, FrontSettings, SlowReader};
use spread_wire::ids::{EndpointUid, GroupId, GroupName, SessionId};
use spread_wire::link::LinkEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

const OTHER: (EndpointUid, SessionId) = (EndpointUid(8), SessionId(1));

/// Chunks written to each connection.
fn chunks(world: &mut World) -> BTreeMap<u64, Vec<Bytes>> {
    let mut chunks: BTreeMap<u64, Vec<Bytes>> = BTreeMap::new();
    while let Some(output) = world.front.poll_output() {
        if let FrontOutput::Write { connection: ConnectionId(id), chunk } = output {
            chunks.entry(id).or_default().push(chunk);
        }
    }
    chunks
}

fn hand_over(
    world: &mut World,
    bodies: &[&[u8]],
    receivers: &Arc<[SessionId]>,
    (sender, extra_bits): ((EndpointUid, SessionId), u32),
) {
    for body in bodies {
        let delivered = message(body, sender, extra_bits, None);
        world.front.link_event(world.now, &LinkEvent::Message(delivered, Arc::clone(receivers)));
    }
}

fn as_written(bodies: &[&[u8]], word: u32) -> Vec<u8> {
    bodies.iter().flat_map(|body| frame(word, "#other#d1", &["g"], body)).collect()
}

fn two() -> (World, Arc<[SessionId]>) {
    let mut world = World::new(FrontSettings { session_queue_bytes: 1 << 20, ..settings() });
    let receivers = [world.open(1, "a"), world.open(2, "b")].into();
    (world, receivers)
}

#[test]
fn small_messages_in_a_row_are_one_chunk_that_all_share() {
    let (mut world, receivers) = two();
    let bodies: [&[u8]; 4] = [b"one", b"", b"two", &[7; 500]];
    hand_over(&mut world, &bodies, &receivers, (OTHER, 0));
    let chunks = chunks(&mut world);
    assert_eq!(chunks[&1].len(), 1);
    assert_eq!(chunks[&1][0], as_written(&bodies, AGREED));
    assert_eq!(chunks[&1][0].as_ptr(), chunks[&2][0].as_ptr(), "both get the same bytes");
    assert_eq!(world.front.counters().messages_delivered, 8);
}

#[test]
fn a_large_body_is_never_copied() {
    let (mut world, receivers) = two();
    let large = vec![9; 5000];
    let delivered = message(&large, OTHER, 0, None);
    let body = delivered.message.payload.clone();
    hand_over(&mut world, &[b"before"], &receivers, (OTHER, 0));
    let event = LinkEvent::Message(delivered, Arc::clone(&receivers));
    world.front.link_event(world.now, &event);
    hand_over(&mut world, &[b"after"], &receivers, (OTHER, 0));
    let chunks = chunks(&mut world);
    for id in [1, 2] {
        assert_eq!(chunks[&id].concat(), as_written(&[b"before", &large, b"after"], AGREED));
        assert!(chunks[&id].iter().any(|chunk| chunk.as_ptr() == body.as_ptr()));
    }
}

#[test]
fn what_is_no_message_comes_at_its_place() {
    let (mut world, receivers) = two();
    hand_over(&mut world, &[b"before"], &receivers, (OTHER, 0));
    let group = GroupName::from("g");
    let (id, position) = (GroupId([3; 12]), somewhere());
    let receivers_of_it = Arc::clone(&receivers);
    let event = LinkEvent::Transition { group, receivers: receivers_of_it, id, position };
    world.front.link_event(world.now, &event);
    hand_over(&mut world, &[b"after"], &receivers, (OTHER, 0));
    let written = chunks(&mut world)[&2].concat();
    let (before, after) = (as_written(&[b"before"], AGREED), as_written(&[b"after"], AGREED));
    assert!(written.starts_with(&before) && written.ends_with(&after));
    assert!(written.len() > before.len() + after.len(), "the signal stands between them");
}

#[test]
fn a_session_that_is_gone_gets_no_more_and_the_others_go_on() {
    let (mut world, receivers) = two();
    hand_over(&mut world, &[b"one"], &receivers, (OTHER, 0));
    world.front.closed(world.now, ConnectionId(1));
    hand_over(&mut world, &[b"two"], &receivers, (OTHER, 0));
    let chunks = chunks(&mut world);
    assert_eq!(chunks[&1].concat(), as_written(&[b"one"], AGREED));
    assert_eq!(chunks[&2].concat(), as_written(&[b"one", b"two"], AGREED));
}

#[test]
fn self_discard_leaves_out_its_sender_between_others() {
    let (mut world, receivers) = two();
    let own = (settings().uid, receivers[0]);
    hand_over(&mut world, &[b"one"], &receivers, (OTHER, 0));
    hand_over(&mut world, &[b"not to me"], &receivers, (own, SELF_DISCARD));
    hand_over(&mut world, &[b"two"], &receivers, (OTHER, 0));
    let chunks = chunks(&mut world);
    assert_eq!(chunks[&1].concat(), as_written(&[b"one", b"two"], AGREED));
    let all = [
        as_written(&[b"one"], AGREED),
        as_written(&[b"not to me"], AGREED | SELF_DISCARD),
        as_written(&[b"two"], AGREED),
    ];
    assert_eq!(chunks[&2].concat(), all.concat());
}

#[test]
fn where_messages_are_counted_each_counts() {
    let slow_reader = SlowReader::Disconnect { messages: 3 };
    let mut world = World::new(FrontSettings { slow_reader, ..settings() });
    let receivers = [world.open(1, "a")].into();
    world.front.written(world.now, ConnectionId(1), usize::MAX);
    hand_over(&mut world, &[b"1", b"2", b"3"], &receivers, (OTHER, 0));
    assert_eq!(world.front.counters().slow_readers, 0);
    hand_over(&mut world, &[b"4"], &receivers, (OTHER, 0));
    assert_eq!(world.front.counters().slow_readers, 1);
}
