//! Two daemons that want one slot.

use super::http;
use super::ring::{Daemon, Ring};
use super::session::open;
use std::io::{Read as _, Write as _};

#[test]
fn the_second_daemon_at_one_address_says_that_one_runs() {
    let ring = Ring::new(1);
    let first = ring.start(0);
    first.wait_members(1);
    let mut session = first.connect("alice");
    let command = ring.command(0, &ring.configuration(0));
    let mut second = ring.spawn(0, "second.log", command);
    assert!(second.ended().code().is_some_and(|code| code != 0));
    let said = second.log();
    assert!(said.contains("already running") && said.contains(&first.clients()), "{said}");
    session.assert_works();
    assert!(ring.path("sockets0").join("4803").exists(), "the socket of the first stays");
}

/// The daemon of slot d0 at another address, as when a pod is started a second time elsewhere.
fn elsewhere(ring: &Ring) -> Daemon {
    let address = ring.address(8);
    let slot = format!("d0 {}:4803", ring.address(0));
    let own = ring
        .configuration(0)
        .replace(&slot, &format!("{slot} {{ {address} }}"))
        .replace(&format!("{}:8803", ring.address(0)), &format!("{address}:8803"))
        .replace("sockets0", "sockets8");
    std::fs::create_dir_all(ring.path("sockets8")).expect("a folder for the socket");
    let command = ring.command(0, &own);
    ring.spawn(8, "second.log", command)
}

/// What a client that connects gets before it is disconnected.
fn refused_bytes(daemon: &Daemon) -> Vec<u8> {
    let mut stream = open(&daemon.clients()).expect("the socket is there");
    let _ = stream.write_all(&[4, 4, 0, 1, 1, b'a']);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Both are in one ring, and mean the same process in slot d0.
fn wait_together(other: &Daemon, second: &Daemon) {
    second.wait_members(2);
    other.wait("the second has the slot", |daemon| {
        daemon.members() == ["d0", "d1"] && daemon.status()["members"] == second.status()["members"]
    });
}

#[test]
fn a_second_daemon_at_another_address_waits_for_the_first_to_end() {
    let ring = Ring::new(2);
    let daemons = ring.start_all();
    let second = elsewhere(&ring);
    let other = &daemons[1];
    other.wait("the slot is claimed", |daemon| {
        daemon.status()["refused"]["SlotClaimed"].as_u64() > Some(0)
    });
    let address = &second.address;
    let line = format!("packets from {address}:4803 are refused: its slot is taken");
    assert_eq!(other.log().matches(&line).count(), 1, "{}", other.log());
    assert_eq!(other.members(), ["d0", "d1"]);
    let mut alice = daemons[0].connect("alice");
    alice.assert_works();
    assert!(second.log().contains(&format!("for clients on 4803@{address}")), "{}", second.log());

    // It says whom it waits for, forms no ring of its own and serves nobody.
    let first = format!("{}:4803", daemons[0].address);
    let claim = daemons[0].status()["members"][0]["claim"].clone();
    second.wait("it waits", |daemon| daemon.status()["slot_claimed"]["claim"] == claim);
    let changes = other.status()["changes"].clone();
    // Longer than a daemon that is alone waits before it forms a ring.
    for _ in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let status = second.status();
        assert_eq!(status["phase"], "Waiting", "{status:#}");
        assert_eq!(status["slot_claimed"]["address"], first.as_str(), "{status:#}");
        assert_eq!(status["members"], serde_json::json!([]), "{status:#}");
        assert_eq!(http::get(&second.admin(), "/readyz").expect("an answer").code, 503);
        assert_eq!(refused_bytes(&second), b"", "no session is served");
    }
    let line = format!("SlotClaimed: slot d0 is taken by the daemon at {first}");
    assert_eq!(second.log().matches(&line).count(), 1, "one line a minute: {}", second.log());
    assert!(second.log().contains("stop that one, or start this one in a vacant slot"));
    assert!(!second.log().contains("in a ring of"), "{}", second.log());
    assert_eq!(other.status()["changes"], changes, "the ring notices nothing");
    alice.assert_works();

    daemons[0].signal("-KILL");
    wait_together(other, &second);
    second.wait("it waits no longer", |daemon| daemon.status()["slot_claimed"].is_null());
    second.connect("alice").assert_works();
}

/// As when a node was cut off, its pod was started elsewhere, and the node comes back.
#[test]
fn a_daemon_whose_slot_was_given_away_ends_when_it_comes_back() {
    let ring = Ring::new(2);
    let mut daemons = ring.start_all();
    let mut lost = daemons[0].connect("alice");
    daemons[0].signal("-STOP");
    daemons[1].wait_members(1);
    let second = elsewhere(&ring);
    wait_together(&daemons[1], &second);
    let mut kept = second.connect("alice");

    daemons[0].signal("-CONT");
    let status = daemons[0].ended();
    assert_eq!(status.code(), Some(1), "{}", daemons[0].log());
    assert!(daemons[0].log().contains("another daemon has slot d0"), "{}", daemons[0].log());
    assert_eq!(lost.next(), None, "its sessions end as in a crash");
    kept.assert_works();
    assert_eq!(daemons[1].members(), ["d0", "d1"]);
}
