//! Access rules: the first that matches decides; what is refused goes back to who asked.

use crate::client::{
    AGREED, JOIN, LEAVE, REJECT, SAFE, SELF_DISCARD, World, choice, frame, hello, settings, tcp,
    typed,
};
use spread_front::{AccessRule, Action, FrontSettings, Operation, Pattern, Peer};
use spread_wire::service::Service;

const ANY: AccessRule = AccessRule {
    action: Action::Deny,
    operation: None,
    user: None,
    address: None,
    group: None,
    mess_type: None,
    service: None,
};

fn world(access: Vec<AccessRule>) -> World {
    let mut world = World::new(FrontSettings { access, ..settings() });
    world.open(1, "a");
    world.requests.clear();
    world
}

fn pattern(text: &str) -> Option<Pattern> {
    Some(Pattern(text.into()))
}

/// Sends a request and says whether it was passed on; a refused one has to come back.
fn passes(world: &mut World, request: &[u8]) -> bool {
    world.requests.clear();
    world.send(1, request);
    assert!(world.closed.is_empty(), "a rule ends no session");
    let back = world.take_written(1);
    let passed = world.requests.len() == 1;
    if passed {
        assert!(back.is_empty());
    } else {
        let word = u32::from_le_bytes([back[0], back[1], back[2], back[3]]);
        assert_eq!(word & REJECT, REJECT, "{word:#x}");
    }
    passed
}

#[test]
fn a_rule_is_for_its_operation_and_its_groups() {
    let rule = AccessRule { operation: Some(Operation::Join), group: pattern("secret*"), ..ANY };
    let mut world = world(vec![rule]);
    assert!(!passes(&mut world, &frame(JOIN, "#a#d0", &["secret1"], b"")));
    assert!(passes(&mut world, &frame(JOIN, "#a#d0", &["open"], b"")));
    assert!(passes(&mut world, &frame(LEAVE, "#a#d0", &["secret1"], b"")));
    assert!(passes(&mut world, &frame(AGREED, "#a#d0", &["secret1"], b"x")));
    assert_eq!(world.front.counters().rejected, 1);
}

#[test]
fn a_message_is_judged_by_any_of_its_groups_its_service_and_its_type() {
    let send = AccessRule { operation: Some(Operation::Send), ..ANY };
    let mut world = world(vec![
        AccessRule { group: pattern("secret?"), ..send.clone() },
        AccessRule { service: Some(Service::Safe), ..send.clone() },
        AccessRule { mess_type: Some(-7), ..send },
    ]);
    assert!(!passes(&mut world, &frame(AGREED, "#a#d0", &["open", "secret1"], b"x")));
    assert!(!passes(&mut world, &frame(SAFE, "#a#d0", &["open"], b"x")));
    assert!(!passes(&mut world, &typed(AGREED, "#a#d0", &["open"], -7, b"x")));
    assert!(passes(&mut world, &typed(AGREED, "#a#d0", &["open"], 7, b"x")));
}

#[test]
fn a_refused_message_comes_back_with_its_body() {
    let mut world = world(vec![AccessRule { operation: Some(Operation::Send), ..ANY }]);
    world.send(1, &frame(AGREED, "#a#d0", &["g"], b"hello"));
    let back = world.take_written(1);
    assert!(back.ends_with(b"hello"), "{back:?}");
    world.send(1, &frame(AGREED | SELF_DISCARD, "#a#d0", &["g"], b"hello"));
    assert!(world.take_written(1).is_empty(), "it wants nothing back");
    assert_eq!(world.front.counters().rejected, 2);
}

#[test]
fn the_first_rule_that_matches_decides() {
    let permit = AccessRule { action: Action::Permit, group: pattern("open"), ..ANY };
    let deny = AccessRule { operation: Some(Operation::Join), ..ANY };
    let mut ordered = world(vec![permit.clone(), deny.clone()]);
    assert!(passes(&mut ordered, &frame(JOIN, "#a#d0", &["open"], b"")));
    assert!(!passes(&mut ordered, &frame(JOIN, "#a#d0", &["other"], b"")));
    let mut reversed = world(vec![deny, permit]);
    assert!(!passes(&mut reversed, &frame(JOIN, "#a#d0", &["open"], b"")));
}

#[test]
fn a_connection_is_judged_by_user_and_address() {
    let connect = AccessRule { operation: Some(Operation::Connect), ..ANY };
    let network = ("10.0.0.64".parse().expect("an address"), 26);
    let rules = vec![
        AccessRule { user: pattern("bad*"), ..connect.clone() },
        AccessRule { address: Some(network), ..connect },
    ];
    let refused = |user: &str, peer: Peer| {
        let mut world = World::new(FrontSettings { access: rules.clone(), ..settings() });
        world.connect(1, peer);
        world.send(1, &[hello(user), choice(&["NULL"])].concat());
        let sessions = world.front.status().sessions.len();
        if sessions == 0 {
            world.expect_refusal(1, b"\x05NULL ", -9);
        }
        sessions == 0
    };
    assert!(refused("bad1", Peer::Unix));
    assert!(refused("good", tcp(65)));
    assert!(!refused("good", tcp(1)));
    assert!(!refused("good", Peer::Unix), "an address never matches the Unix socket");
}
