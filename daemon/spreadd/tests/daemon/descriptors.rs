//! A daemon that runs out of file descriptors keeps the sessions it has.

use super::ring::Ring;
use super::session::open;
use std::process::Command;

#[test]
fn out_of_descriptors_sessions_go_on_and_new_ones_wait() {
    let ring = Ring::new(1);
    let plain = ring.command(0, &ring.configuration(0));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(plain.get_program());
    command.args(plain.get_args());
    let daemon = ring.spawn(0, "d0.log", command);
    daemon.wait_members(1);
    let (mut alice, mut bob) = (daemon.connect("alice"), daemon.connect("bob"));
    alice.join("g");
    alice.wait_view(&[]);
    bob.join("g");
    alice.wait_view(&[&bob]);

    let waiting: Vec<_> = (0..100).map(|_| open(&daemon.clients()).expect("the backlog")).collect();
    // The endpoint can't answer now: only the log tells.
    while !daemon.log().contains("no connection can be accepted for a moment") {
        alice.assert_works();
    }
    for _ in 0..20 {
        bob.assert_works();
        alice.assert_works();
    }
    drop(waiting);
    let mut carol = daemon.connect("carol");
    carol.join("g");
    alice.wait_view(&[&bob, &carol]);
    daemon.wait("the endpoint answers again", |daemon| daemon.status()["name"] == "d0");
}
