//! A private name belongs to one session until the end of that session was ordered.

use crate::client::{Closed, KILL, World, choice, frame, hello, settings, tcp};
use spread_front::FrontSettings;
use spread_wire::link::{LinkEvent, RequestBody};

const NOT_UNIQUE: u8 = -6_i8 as u8;

/// Tries a name and says whether it was free.
fn is_free(world: &mut World, id: u64, name: &str) -> bool {
    world.connect(id, tcp(1));
    world.send(id, &hello(name));
    let written = world.take_written(id);
    if written == [NOT_UNIQUE] {
        assert_eq!(world.closed.get(&id), Some(&Closed { flush: true }));
        return false;
    }
    world.hang_up(id);
    true
}

#[test]
fn a_name_is_taken_from_the_connect_request_on() {
    let mut world = World::new(settings());
    world.connect(1, tcp(1));
    world.send(1, &hello("a"));
    assert!(!is_free(&mut world, 2, "a"));
    assert!(is_free(&mut world, 3, "b"));
    world.hang_up(1);
    assert!(is_free(&mut world, 4, "a"));
}

#[test]
fn a_name_is_free_again_when_the_end_of_its_session_was_ordered() {
    for polite in [true, false] {
        let mut world = World::new(settings());
        let session = world.open(1, "a");
        if polite {
            world.send(1, &frame(KILL, "#a#d0", &[], b""));
        } else {
            world.hang_up(1);
        }
        assert_eq!(world.requests.last(), Some(&RequestBody::Close { session, broken: !polite }));
        assert!(!is_free(&mut world, 2, "a"), "its end is not ordered yet");
        assert_eq!(world.front.status().sessions.len(), 1, "it is closing");
        world.event(LinkEvent::SessionClosed { session });
        assert!(world.front.status().sessions.is_empty());
        world.open(3, "a");
    }
}

#[test]
fn a_connection_that_ends_twice_closes_its_session_once() {
    let mut world = World::new(settings());
    world.open(1, "a");
    let kill = frame(KILL, "#a#d0", &[], b"");
    world.send(1, &[&kill[..], &kill[..]].concat());
    world.hang_up(1);
    world.send(1, &kill);
    let closes = |body: &&RequestBody| matches!(body, RequestBody::Close { .. });
    assert_eq!(world.requests.iter().filter(closes).count(), 1);
}

#[test]
fn a_session_that_another_endpoint_has_is_refused_before_it_is_accepted() {
    let mut world = World::new(FrontSettings { await_open: true, ..settings() });
    world.connect(1, tcp(1));
    world.send(1, &[hello("a"), choice(&["NULL"])].concat());
    assert_eq!(world.take_written(1), b"\x05NULL ", "its opening is not ordered yet");
    let Some(RequestBody::Open { session, .. }) = world.requests.pop() else {
        panic!("the session was not asked for")
    };
    world.event(LinkEvent::SessionRefused { session });
    world.expect_refusal(1, b"", -6);
    assert!(is_free(&mut world, 2, "a"));
}
