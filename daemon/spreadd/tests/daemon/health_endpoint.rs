//! What a kubelet asks, without certificate.

use super::http::get;
use super::ring::{Daemon, Ring};

fn start(ring: &Ring, index: usize) -> Daemon {
    let health = format!("HealthEndpoint = \"{}:8804\"\n", ring.address(index));
    ring.start_from(index, &(health + &ring.configuration(index)))
}

fn answer(daemon: &Daemon, path: &str) -> (u16, String) {
    let answer = get(&format!("{}:8804", daemon.address), path);
    answer.map_or((0, String::new()), |answer| (answer.code, answer.body))
}

fn ok() -> (u16, String) {
    (200, "ok\n".to_owned())
}

#[test]
fn it_has_health_and_readiness_and_nothing_else() {
    let ring = Ring::new(1);
    let daemon = start(&ring, 0);
    daemon.wait("readiness", |daemon| answer(daemon, "/readyz") == ok());
    assert_eq!(answer(&daemon, "/healthz"), ok());
    for path in ["/", "/status", "/metrics", "/log-level", "/addresses"] {
        assert_eq!(answer(&daemon, path).0, 404, "{path}");
    }
}

#[test]
fn a_daemon_alone_is_healthy_and_ready_and_one_that_leaves_is_not_ready() {
    let ring = Ring::new(3);
    let mut daemons: Vec<Daemon> = (0..3).map(|index| start(&ring, index)).collect();
    daemons.iter().for_each(|daemon| daemon.wait_members(3));
    for lost in &daemons[1..] {
        lost.signal("-KILL");
    }
    daemons[0].wait_members(1);
    assert_eq!(answer(&daemons[0], "/healthz"), ok(), "membership is not health");
    assert_eq!(answer(&daemons[0], "/readyz"), ok(), "a minority serves its clients");

    daemons[0].signal("-TERM");
    let mut seen = answer(&daemons[0], "/readyz");
    while seen.0 == 200 {
        seen = answer(&daemons[0], "/readyz");
    }
    assert!(seen.0 == 0 || seen == (503, "leaving the ring\n".to_owned()), "{seen:?}");
    assert_eq!(daemons[0].ended().code(), Some(0));
}

#[test]
fn a_daemon_that_stands_still_does_not_answer() {
    let ring = Ring::new(1);
    let daemon = start(&ring, 0);
    daemon.wait("readiness", |daemon| answer(daemon, "/readyz") == ok());
    daemon.signal("-STOP");
    let address = format!("{}:8804", daemon.address);
    let stopped = std::thread::spawn(move || get(&address, "/healthz"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!stopped.is_finished(), "no answer while it stands");
    daemon.signal("-CONT");
    let answer = stopped.join().expect("no panic").expect("an answer once it goes on");
    assert_eq!(answer.code, 200);
}
