//! Who becomes a session, and what the others are told.

use crate::client::{World, choice, frame, hello, settings, tcp};
use core::time::Duration;
use spread_front::{AddressRule, Authentication, FrontSettings, Passwords, Peer};

const NULL: &[u8] = b"\x05NULL ";

fn world(authentication: Authentication) -> World {
    World::new(FrontSettings { authentication, ..settings() })
}

#[test]
fn what_is_wrong_with_a_connect_request_is_told_in_one_byte() {
    for (request, code) in [
        (&b"\x04\x04\x00\x00\x0bfarTooLongA"[..], -5),
        (b"\x04\x04\x00\x00\x03a#b", -5),
        (b"\x04\x04\x00\x00\x03a b", -5),
        (b"\x04\x04\x00\x00\x02a\x7f", -5),
        (b"\x03\x00\x00\x01a", -7),
        (b"\x00\x00", -7),
        (b"\xff\x00", -7),
    ] {
        let mut world = World::new(settings());
        world.connect(1, tcp(1));
        world.send(1, request);
        world.expect_refusal(1, b"", code);
        assert_eq!(world.front.status().half_open, 0);
    }
}

#[test]
fn a_request_in_single_bytes_is_the_same_request() {
    let mut world = World::new(settings());
    world.connect(1, Peer::Unix);
    let group = frame(crate::client::JOIN, "#a#d0", &["g"], b"");
    for byte in [hello("a"), choice(&["NULL"]), group].concat() {
        world.send(1, &[byte]);
    }
    assert_eq!(world.requests.len(), 2, "{:?}", world.requests);
    assert!(world.closed.is_empty());
}

#[test]
fn only_offered_methods_may_be_chosen() {
    for wrong in [choice(&["IP"]), choice(&["NULL", "PWORD"]), choice(&[]), vec![0xff; 90]] {
        let mut world = World::new(settings());
        world.connect(1, tcp(1));
        world.send(1, &[hello("a"), wrong].concat());
        world.expect_refusal(1, NULL, -9);
    }
}

#[test]
fn without_any_method_nobody_gets_in() {
    let mut world = world(Authentication { allowed: Vec::new(), ..Authentication::default() });
    world.connect(1, tcp(1));
    world.send(1, &hello("a"));
    world.expect_refusal(1, b"\x00", -9);
}

#[test]
fn a_required_address_is_asked_of_every_session() {
    let authentication = Authentication {
        required: vec!["IP".into()],
        addresses: vec![AddressRule::Network("10.0.0.2".parse().expect("an address"), 32)],
        ..Authentication::default()
    };
    let mut world = world(authentication);
    for (id, peer) in [(1, tcp(1)), (2, Peer::Unix)] {
        world.connect(id, peer);
        world.send(id, &[hello("a"), choice(&["NULL"])].concat());
        world.expect_refusal(id, NULL, -9);
    }
    world.connect(3, tcp(2));
    world.send(3, &[hello("a"), choice(&["NULL"])].concat());
    assert_eq!(world.front.status().sessions.len(), 1);
}

#[test]
fn a_password_is_judged_and_answered_with_a_byte() {
    let passwords = Passwords {
        check: |lines, user, password| {
            lines
                .iter()
                .any(|(name, right)| name.as_bytes() == user && right.as_bytes() == password)
        },
        lines: vec![("ann".into(), "secret".into())],
    };
    let allowed = vec!["PWORD".into()];
    let mut world = world(Authentication { allowed, passwords, ..Authentication::default() });
    let asked = |password: &str| {
        let mut bytes = vec![0; 40];
        bytes[..3].copy_from_slice(b"ann");
        bytes[32..32 + password.len()].copy_from_slice(password.as_bytes());
        [hello("a"), choice(&["PWORD"]), bytes].concat()
    };
    world.connect(1, tcp(1));
    world.send(1, &asked("guess"));
    world.expect_refusal(1, b"\x06PWORD \x00", -9);
    world.connect(2, tcp(1));
    world.send(2, &asked("secret"));
    let written = world.take_written(2);
    assert_eq!(&written[..9], b"\x06PWORD \x01\x01", "right, and accepted");
    assert_eq!(world.front.status().sessions.len(), 1);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended_and_its_name_is_free() {
    let mut world = World::new(settings());
    world.connect(1, tcp(1));
    world.send(1, &hello("a"));
    assert_eq!(world.front.poll_timeout(), Some(world.now + Duration::from_secs(5)));
    world.pass(Duration::from_millis(4999));
    assert!(world.closed.is_empty());
    world.pass(Duration::from_millis(1));
    assert!(world.closed.contains_key(&1));
    world.open(2, "a");
    world.pass(Duration::from_secs(60));
    assert!(!world.closed.contains_key(&2), "a session has no deadline");
}

#[test]
fn an_empty_name_is_invented() {
    let mut world = World::new(settings());
    world.connect(1, tcp(1));
    world.send(1, &[hello(""), choice(&["NULL"])].concat());
    let sessions = world.front.status().sessions;
    assert!(sessions[0].name.0.starts_with(b"#r"), "{sessions:?}");
}
