//! Two daemons that want one slot.

use super::ring::Ring;

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

/// As when a pod is started a second time: same slot, other address.
#[test]
fn a_second_daemon_at_another_address_waits_for_the_first_to_end() {
    let ring = Ring::new(2);
    let daemons = ring.start_all();
    let address = ring.address(8);
    let slot = format!("d0 {}:4803", ring.address(0));
    let own = ring
        .configuration(0)
        .replace(&slot, &format!("{slot} {{ {address} }}"))
        .replace(&format!("{}:8803", ring.address(0)), &format!("{address}:8803"))
        .replace("sockets0", "sockets8");
    std::fs::create_dir_all(ring.path("sockets8")).expect("a folder for the socket");
    let command = ring.command(0, &own);
    let second = ring.spawn(8, "second.log", command);

    let other = &daemons[1];
    other.wait("the slot is claimed", |daemon| {
        daemon.status()["refused"]["SlotClaimed"].as_u64() > Some(0)
    });
    let line = format!("packets from {address}:4803 are refused: its slot is taken");
    assert_eq!(other.log().matches(&line).count(), 1, "{}", other.log());
    assert_eq!(other.members(), ["d0", "d1"]);
    daemons[0].connect("alice").assert_works();
    assert!(second.log().contains(&format!("for clients on 4803@{address}")), "{}", second.log());

    daemons[0].signal("-KILL");
    second.wait_members(2);
    other.wait("the second has the slot", |daemon| {
        daemon.members() == ["d0", "d1"] && daemon.status()["members"] == second.status()["members"]
    });
    second.connect("alice").assert_works();
}
