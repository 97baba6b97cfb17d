//! Limits are what the settings say.

use crate::client::{AGREED, Closed, HEADER_BYTES, World, frame, hello, settings, tcp};
use spread_front::FrontSettings;
use spread_wire::frame::Layout;
use spread_wire::ids::RequestNumber;
use spread_wire::link::{LinkEvent, RequestBody};

fn send(world: &mut World, body: usize) -> bool {
    let before = world.requests.len();
    world.send(1, &frame(AGREED, "#a#d0", &["g"], &vec![7; body]));
    world.requests.len() > before && world.closed.is_empty()
}

#[test]
fn one_session_too_many_is_refused_at_once() {
    let mut world = World::new(FrontSettings { sessions: 2, ..settings() });
    let session = world.open(1, "a");
    world.connect(2, tcp(1));
    world.requests.clear();
    world.connect(3, tcp(1));
    world.expect_refusal(3, b"", -3);
    world.send(2, &hello("b"));
    world.hang_up(2);
    world.hang_up(1);
    world.requests.clear();
    world.connect(4, tcp(1));
    assert!(!world.closed.contains_key(&4));
    world.connect(5, tcp(1));
    world.expect_refusal(5, b"", -3);
    world.hang_up(4);
    world.event(LinkEvent::SessionClosed { session });
    assert!(world.front.status().sessions.is_empty());
}

#[test]
fn a_message_may_be_as_large_as_the_setting_with_its_header_and_groups() {
    let layout = Layout { message_bytes: 2000, ..Layout::default() };
    let most = 2000 - HEADER_BYTES - 32;
    let mut world = World::new(FrontSettings { layout, ..settings() });
    world.open(1, "a");
    assert!(send(&mut world, most));
    assert!(!send(&mut world, most + 1));
    assert_eq!(world.closed.get(&1), Some(&Closed { flush: false }));
    assert_eq!(world.front.counters().malformed, 1);
    assert!(matches!(world.requests.last(), Some(RequestBody::Close { broken: true, .. })));
}

#[test]
fn a_malformed_header_ends_its_session_before_the_rest_came() {
    let good = frame(AGREED, "#a#d0", &["g"], &[0; 1000]);
    let edit = |at: usize, bytes: &[u8]| {
        let mut bad = good[..HEADER_BYTES].to_vec();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    for bad in [
        edit(0, &[0x80, 0, 0, 0]),
        edit(0, &[0xb0, 0, 0, 0x80]),
        edit(2, &[0x40]),
        edit(4, b"#b#d0"),
        edit(36, &101_u32.to_le_bytes()),
        edit(44, &u32::MAX.to_le_bytes()),
        edit(40, &[0x81]),
    ] {
        let mut world = World::new(settings());
        world.open(1, "a");
        world.open(2, "b");
        world.send(1, &bad);
        assert!(world.closed.contains_key(&1), "{bad:x?}");
        assert!(!world.closed.contains_key(&2));
    }
}

#[test]
fn wider_names_need_wider_frames() {
    let layout = Layout { name_bytes: 64, ..Layout::default() };
    let mut world = World::new(FrontSettings { layout, ..settings() });
    world.open(1, "a");
    let narrow = frame(AGREED, "#a#d0", &["g"], b"x");
    let long = "n".repeat(63);
    let mut wide = narrow[..4].to_vec();
    wide.extend(b"#a#d0");
    wide.resize(4 + 64, 0);
    wide.extend(&narrow[36..48]);
    wide.extend(long.as_bytes());
    wide.extend(b"\0x");
    world.send(1, &wide);
    let Some(RequestBody::Multicast { message, .. }) = world.requests.last() else {
        panic!("{:?}", world.requests)
    };
    assert_eq!(&message.groups[0].0[..], long.as_bytes());
    assert_eq!(&message.payload[..], b"x");
}

#[test]
fn clients_are_not_read_while_too_much_waits_for_the_order() {
    let mut world = World::new(FrontSettings { request_bytes: 5000, ..settings() });
    world.open(1, "a");
    assert!(send(&mut world, 4000));
    assert!(world.front.reads());
    assert!(send(&mut world, 4000));
    assert!(!world.front.reads());
    world.event(LinkEvent::Acknowledged { number: RequestNumber(2) });
    assert!(!world.front.reads(), "more than half is left");
    world.event(LinkEvent::Acknowledged { number: RequestNumber(3) });
    assert!(world.front.reads());
    assert_eq!(world.front.unacknowledged(), 0);
}
