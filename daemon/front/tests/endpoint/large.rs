//! Large messages go in parts between which others' requests take their turn.

use crate::client::{AGREED, HEADER_BYTES, JOIN, World, frame, settings, somewhere};
use bytes::Bytes;
use spread_front::{ConnectionId, FrontOutput, FrontSettings};
use spread_wire::ids::{Epoch, RequestNumber, SessionId};
use spread_wire::link::{LinkEvent, Request, RequestBody};

const LARGE: [u8; 1000] = [7; 1000];

fn world() -> World {
    World::new(small(settings()))
}

/// Parts of 300 bytes; half of the window takes one of them.
fn small(settings: FrontSettings) -> FrontSettings {
    FrontSettings { large_bytes: 500, part_bytes: 300, request_bytes: 800, ..settings }
}

fn send(world: &mut World, id: u64, name: &str, body: &[u8]) {
    world.send(id, &frame(AGREED, &format!("#{name}#d0"), &["g"], body));
}

fn acknowledge(world: &mut World, number: u64) {
    world.event(LinkEvent::Acknowledged { number: RequestNumber(number) });
}

/// What was asked since the last call: the session, and what it is.
fn asked(world: &mut World) -> Vec<(u64, String)> {
    world.requests.drain(..).map(|body| show(&body)).collect()
}

fn show(body: &RequestBody) -> (u64, String) {
    match body {
        RequestBody::Open { session, .. } => (session.0, "open".into()),
        RequestBody::Close { session, broken } => (session.0, format!("close, broken {broken}")),
        RequestBody::Join { session, .. } => (session.0, "join".into()),
        RequestBody::Leave { session, .. } => (session.0, "leave".into()),
        RequestBody::Multicast { session, message } => {
            (session.0, format!("message of {}", message.payload.len()))
        }
        RequestBody::Part { session, index, bytes } => {
            (session.0, format!("part {index} of {}", bytes.len()))
        }
        RequestBody::Rest { session, parts, message } => {
            (session.0, format!("rest of {} after {parts}", message.payload.len()))
        }
    }
}

fn said(session: SessionId, what: &str) -> (u64, String) {
    (session.0, what.to_owned())
}

#[test]
fn what_others_send_goes_between_the_parts() {
    let mut world = world();
    let (a, b) = (world.open(1, "a"), world.open(2, "b"));
    acknowledge(&mut world, 2);
    asked(&mut world);
    send(&mut world, 1, "a", &LARGE);
    send(&mut world, 2, "b", b"small");
    assert_eq!(asked(&mut world), [said(a, "part 0 of 300"), said(b, "message of 5")]);
    acknowledge(&mut world, 3);
    send(&mut world, 2, "b", b"tiny");
    assert_eq!(asked(&mut world), [said(a, "part 1 of 300"), said(b, "message of 4")]);
    acknowledge(&mut world, 5);
    acknowledge(&mut world, 7);
    assert_eq!(asked(&mut world), [said(a, "part 2 of 300"), said(a, "rest of 100 after 3")]);
    assert!(world.front.sends_large());
    acknowledge(&mut world, 8);
    assert!(!world.front.sends_large());
}

#[test]
fn what_a_session_sends_after_it_waits_for_it() {
    let mut world = world();
    let a = world.open(1, "a");
    acknowledge(&mut world, 1);
    asked(&mut world);
    let id = ConnectionId(1);
    let large = frame(AGREED, "#a#d0", &["g"], &LARGE);
    let join = frame(JOIN, "#a#d0", &["h"], b"");
    world.send(1, &large);
    assert!(world.front.reads_from(id), "the next message is not there");
    world.send(1, &join[..HEADER_BYTES]);
    assert!(world.front.reads_from(id), "nor is it as a whole");
    world.send(1, &join[HEADER_BYTES..]);
    assert!(!world.front.reads_from(id) && world.front.reads(), "others are read");
    assert!(!world.front.has_resumed());
    for number in 2..=4 {
        acknowledge(&mut world, number);
    }
    let parts = ["part 0 of 300", "part 1 of 300", "part 2 of 300", "rest of 100 after 3"];
    assert_eq!(asked(&mut world), parts.map(|part| said(a, part)));
    acknowledge(&mut world, 5);
    assert_eq!(asked(&mut world), [said(a, "join")]);
    assert!(world.front.reads_from(id));
    assert!(world.front.has_resumed() && !world.front.has_resumed(), "it is said once");
}

#[test]
fn a_session_ends_after_its_large_message() {
    let mut world = world();
    let a = world.open(1, "a");
    acknowledge(&mut world, 1);
    asked(&mut world);
    send(&mut world, 1, "a", &LARGE);
    world.hang_up(1);
    for number in 2..=4 {
        acknowledge(&mut world, number);
    }
    assert_eq!(asked(&mut world).last(), Some(&said(a, "rest of 100 after 3")));
    acknowledge(&mut world, 5);
    assert_eq!(asked(&mut world), [said(a, "close, broken true")]);
}

#[test]
fn large_messages_go_one_after_the_other() {
    let mut world = world();
    let (a, b) = (world.open(1, "a"), world.open(2, "b"));
    acknowledge(&mut world, 2);
    asked(&mut world);
    send(&mut world, 1, "a", &LARGE);
    send(&mut world, 2, "b", &LARGE[..900]);
    for number in 3..=8 {
        acknowledge(&mut world, number);
    }
    let of_a = ["part 0 of 300", "part 1 of 300", "part 2 of 300", "rest of 100 after 3"];
    let of_b = ["part 0 of 300", "part 1 of 300", "rest of 300 after 2"];
    let all: Vec<_> =
        of_a.map(|part| said(a, part)).into_iter().chain(of_b.map(|part| said(b, part))).collect();
    assert_eq!(asked(&mut world), all);
}

#[test]
fn what_lost_its_parts_begins_anew() {
    let mut world = world();
    let a = world.open(1, "a");
    acknowledge(&mut world, 1);
    asked(&mut world);
    send(&mut world, 1, "a", &LARGE);
    let lost = |last| LinkEvent::PartsLost { last: RequestNumber(last) };
    // Nothing of it was applied: all of it is still to come.
    world.event(lost(1));
    assert_eq!(asked(&mut world), [said(a, "part 0 of 300")]);
    acknowledge(&mut world, 2);
    assert_eq!(asked(&mut world), [said(a, "part 1 of 300")]);
    world.event(lost(2));
    acknowledge(&mut world, 3);
    assert_eq!(asked(&mut world), [said(a, "part 0 of 300")]);
    for number in 4..=7 {
        acknowledge(&mut world, number);
    }
    let rest = ["part 1 of 300", "part 2 of 300", "rest of 100 after 3"];
    assert_eq!(asked(&mut world), rest.map(|part| said(a, part)));
    // Its end is in the order.
    world.event(lost(7));
    assert!(asked(&mut world).is_empty() && !world.front.sends_large());
}

/// At another daemon, where the first part was ordered: an end that was sent goes under its number, as some other component may have
/// ordered it; what was not sent to the end begins anew.
#[test]
fn at_another_daemon_it_goes_as_a_whole_if_its_end_was_sent() {
    for sent in [false, true] {
        let mut world = World::new(small(FrontSettings { reattaches: true, ..settings() }));
        attached(&mut world, 1, 0);
        let a = world.open(1, "a");
        acknowledge(&mut world, 1);
        send(&mut world, 1, "a", &LARGE);
        acknowledge(&mut world, 2);
        if sent {
            acknowledge(&mut world, 3);
            acknowledge(&mut world, 4);
            assert_eq!(world.requests.last().map(show), Some(said(a, "rest of 100 after 3")));
        }
        world.requests.clear();
        world.front.link_ended();
        let last = if sent { 4 } else { 2 };
        world.front.link_event(world.now, &attached_event(2, last));
        let again = requests(&mut world);
        let none = "part 4294967295 of 0".to_owned();
        if sent {
            assert_eq!(again, [(5, said(a, "message of 1000"))]);
            world.event(LinkEvent::PartsLost { last: RequestNumber(4) });
            assert!(asked(&mut world).is_empty(), "it needs no parts");
        } else {
            assert_eq!(again, [(3, (a.0, none))]);
            acknowledge(&mut world, 3);
            assert_eq!(asked(&mut world), [said(a, "part 0 of 300")]);
        }
    }
}

/// What is sent again elsewhere does nothing if the message was begun anew.
#[test]
fn what_was_begun_anew_does_not_come_twice() {
    let mut world = World::new(small(FrontSettings { reattaches: true, ..settings() }));
    attached(&mut world, 1, 0);
    let a = world.open(1, "a");
    acknowledge(&mut world, 1);
    send(&mut world, 1, "a", &LARGE);
    for number in 2..=4 {
        acknowledge(&mut world, number);
    }
    world.event(LinkEvent::PartsLost { last: RequestNumber(4) });
    world.front.link_ended();
    world.front.link_event(world.now, &attached_event(2, 4));
    let none = "part 4294967295 of 0".to_owned();
    assert_eq!(requests(&mut world).first(), Some(&(5, (a.0, none))));
}

fn attached_event(epoch: u64, last: u64) -> LinkEvent {
    let (epoch, last) = (Epoch(epoch), RequestNumber(last));
    LinkEvent::Attached { epoch, last, sessions: [SessionId(1)].into(), position: somewhere() }
}

fn attached(world: &mut World, epoch: u64, last: u64) {
    world.event(attached_event(epoch, last));
}

/// Requests with their numbers.
fn requests(world: &mut World) -> Vec<(u64, (u64, String))> {
    let outputs = std::iter::from_fn(|| world.front.poll_output());
    let request = |output| match output {
        FrontOutput::Request(Request { number, body }) => Some((number.0, show(&body))),
        _ => None,
    };
    outputs.filter_map(request).collect()
}

#[test]
fn a_payload_comes_out_of_its_parts() {
    let mut world = world();
    world.open(1, "a");
    acknowledge(&mut world, 1);
    world.requests.clear();
    let body: Vec<u8> = (0..1000_u32).map(|byte| byte as u8).collect();
    send(&mut world, 1, "a", &body);
    for number in 2..=5 {
        acknowledge(&mut world, number);
    }
    let bytes = |body: &RequestBody| match body {
        RequestBody::Part { bytes, .. } => bytes.clone(),
        RequestBody::Rest { message, .. } => message.payload.clone(),
        other => panic!("{other:?}"),
    };
    let parts: Vec<Bytes> = world.requests.iter().map(bytes).collect();
    assert_eq!(parts.concat(), body);
}
