//! Rings form, daemons leave in order, daemons die.

use super::ring::Ring;
use super::session::{AGREED, Message, Session, TRANSITION};
use serde_json::Value;

#[test]
fn three_daemons_form_one_ring() {
    let ring = Ring::new(3);
    let daemons = ring.start_all();
    for daemon in &daemons {
        assert_eq!(daemon.members(), ["d0", "d1", "d2"]);
    }
    let ids: Vec<Value> =
        daemons.iter().map(|daemon| daemon.status()["configuration"].clone()).collect();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// Data of one sender, in the order of receipt.
fn texts(messages: &[Message], of: &str) -> Vec<String> {
    let data = messages.iter().filter(|message| message.kind & AGREED != 0 && message.name == of);
    data.map(Message::text).collect()
}

fn numbered(name: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{name} {number}")).collect()
}

fn send_all(session: &mut Session, texts: &[String]) {
    texts.iter().for_each(|text| session.send(AGREED, "g", text.as_bytes()));
}

#[test]
fn sigterm_orders_the_last_messages_before_the_daemon_leaves() {
    let ring = Ring::new(3);
    let mut daemons = ring.start_all();
    let socket = ring.path("sockets0").join("4803");
    let mut alice = Session::connect_unix(&socket, "alice").expect("a session");
    let mut bob = daemons[1].connect("bob");
    bob.join("g");
    bob.wait_view(&[]);
    alice.join("g");
    bob.wait_view(&[&alice]);

    let sent = numbered("alice", 0..300);
    send_all(&mut alice, &sent);
    daemons[0].signal("-TERM");
    let status = daemons[0].ended();
    assert_eq!(status.code(), Some(0), "{}", daemons[0].log());

    // One view without alice, behind everything she sent.
    let seen = bob.receive_until(Message::is_view);
    assert_eq!(texts(&seen, &alice.private), sent, "{}", daemons[0].log());
    assert_eq!(seen.last().expect("the view").groups, [bob.private.clone()]);
    bob.send(AGREED, "g", b"end");
    let rest = bob.receive_until(|message| message.body == b"end");
    assert_eq!(rest.len(), 1, "one view only: {rest:?}");
    for daemon in &daemons[1..] {
        daemon.wait_members(2);
    }
}

#[test]
fn a_killed_daemon_costs_the_others_one_view_and_no_message() {
    let ring = Ring::new(3);
    let daemons = ring.start_all();
    let mut alice = daemons[0].connect("alice");
    let mut bob = daemons[1].connect("bob");
    let mut carol = daemons[2].connect("carol");
    alice.join("g");
    alice.wait_view(&[]);
    bob.join("g");
    bob.wait_view(&[&alice]);
    carol.join("g");
    alice.wait_view(&[&bob, &carol]);
    bob.wait_view(&[&alice, &carol]);

    for part in 0..4 {
        let numbers = part * 50..(part + 1) * 50;
        send_all(&mut alice, &numbered("alice", numbers.clone()));
        send_all(&mut bob, &numbered("bob", numbers.clone()));
        send_all(&mut carol, &numbered("carol", numbers));
        if part == 1 {
            daemons[2].signal("-KILL");
        }
    }
    // The end marks come behind the view, so that a second view would be seen.
    let view = |message: &Message| message.is_view();
    let mut seen = [alice.receive_until(view), bob.receive_until(view)];
    alice.send(AGREED, "g", b"alice ends");
    bob.send(AGREED, "g", b"bob ends");
    let names = [alice.private.clone(), bob.private.clone()];
    for (session, seen) in [&mut alice, &mut bob].into_iter().zip(&mut seen) {
        for end in [b"alice ends".as_slice(), b"bob ends"] {
            if !seen.iter().any(|message| message.body == end) {
                seen.extend(session.receive_until(|message| message.body == end));
            }
        }
    }
    for seen in &seen {
        let views: Vec<_> = seen.iter().filter(|message| message.is_view()).collect();
        assert_eq!(views.len(), 1, "{views:?}");
        assert_eq!(views[0].groups, names);
        let signals = seen.iter().filter(|message| message.kind & TRANSITION != 0).count();
        assert_eq!(signals, 1, "one transitional signal");
        for (name, user) in names.iter().zip(["alice", "bob"]) {
            let mut expected = numbered(user, 0..200);
            expected.push(format!("{user} ends"));
            assert_eq!(texts(seen, name), expected);
        }
    }
    assert_eq!(seen[0], seen[1], "both survivors saw the same in the same order");
}
