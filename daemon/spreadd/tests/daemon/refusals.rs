//! Daemons that don't belong to the ring are refused, counted and logged once.

use super::ring::{Daemon, Ring};

fn refused(daemon: &Daemon, why: &str) -> u64 {
    daemon.status()["refused"][why].as_u64().unwrap_or(0)
}

/// Two daemons in a ring; the third comes with another file. The ring doesn't take it.
fn refuses(why: &str, said: &str, third: impl Fn(&Ring) -> String) {
    let ring = Ring::new(3);
    let (first, second) = (ring.start(0), ring.start(1));
    first.wait_members(2);
    second.wait_members(2);
    let stranger = ring.start_from(2, &third(&ring));
    // Many refusals, one line for each address of it.
    first.wait(why, |daemon| refused(daemon, why) >= 4);
    let lines: Vec<String> = first
        .log()
        .lines()
        .filter(|line| line.contains("are refused") && line.contains(&stranger.address))
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(said), "{lines:?}");
    stranger.wait_members(1);
    assert_eq!(first.members(), ["d0", "d1"]);
    // The ring's clients notice nothing.
    first.connect("alice").assert_works();
}

#[test]
fn another_key_is_refused() {
    refuses("WrongKey", "another key", |ring| {
        ring.write_key("others", "22");
        ring.configuration(2).replace("\"keys\"", "\"others\"")
    });
}

#[test]
fn another_configuration_is_refused() {
    refuses("ConfigurationMismatch", "lists other daemons", |ring| {
        let address = ring.address(3);
        format!("{}Spread_Segment {address}:4803 {{ d3 {address}:4803 }}\n", ring.configuration(2))
    });
}

#[test]
fn another_ring_number_is_refused() {
    refuses("ForeignRing", "another ring number", |ring| {
        format!("RingNumber = 7\n{}", ring.configuration(2))
    });
}
