//! What two rounds of answers become.

use super::*;
use crate::status::Member;
use std::time::Duration;

fn status(name: &str, members: &[&str], sent: u64) -> Status {
    let member = |name: &&str| Member { name: (*name).into(), boot: format!("boot of {name}") };
    Status {
        name: name.into(),
        phase: "Operational".into(),
        configuration: Some(members.join("+")),
        members: members.iter().map(member).collect(),
        slots: 5,
        counters: BTreeMap::from([("client_messages_received".into(), sent)]),
        ..Status::default()
    }
}

fn round(at: Instant, statuses: Vec<Status>) -> Round {
    let answer = |(index, status)| Answer { address: format!("h:{index}"), at, status: Ok(status) };
    Round { answers: statuses.into_iter().enumerate().map(answer).collect() }
}

#[test]
fn rates_are_differences_over_the_time_between_the_answers() {
    let start = Instant::now();
    let first = round(start, vec![status("d0", &["d0"], 100)]);
    let second = round(start + Duration::from_secs(4), vec![status("d0", &["d0"], 300)]);
    assert!(Overview::new(None, &first).daemons[0].rates.is_none());
    let rates = Overview::new(Some(&first), &second).daemons[0].rates.expect("rates");
    assert_eq!((rates.messages_in, rates.messages_out), (50.0, 0.0));
    // No time between them, and counters that fell.
    assert!(Overview::new(Some(&first), &first).daemons[0].rates.is_none());
    let rates = Overview::new(
        Some(&second),
        &round(start + Duration::from_secs(5), vec![status("d0", &["d0"], 0)]),
    );
    assert_eq!(rates.daemons[0].rates.expect("rates").messages_in, 0.0);
}

#[test]
fn a_restarted_daemon_has_no_rates_at_first() {
    let start = Instant::now();
    let first = round(start, vec![status("d0", &["d0"], 100)]);
    let mut again = status("d0", &["d0"], 5);
    again.members[0].boot = "another".into();
    let second = round(start + Duration::from_secs(1), vec![again]);
    assert!(Overview::new(Some(&first), &second).daemons[0].rates.is_none());
}

#[test]
fn parts_of_a_ring_are_told_apart_and_shown_as_a_finding() {
    let whole = ["d0", "d1"];
    let overview = Overview::new(
        None,
        &round(
            Instant::now(),
            vec![status("d2", &["d2"], 0), status("d1", &whole, 0), status("d0", &whole, 0)],
        ),
    );
    let members: Vec<_> = overview.rings.iter().map(|ring| ring.members.len()).collect();
    assert_eq!(members, [2, 1], "the largest first");
    let names: Vec<_> = overview.daemons.iter().map(|daemon| daemon.name.as_str()).collect();
    assert_eq!(names, ["d0", "d1", "d2"]);
    assert_eq!(overview.findings.len(), 1, "{:?}", overview.findings);
    assert!(overview.findings[0].contains("2 parts (d0 d1 | d2)"), "{:?}", overview.findings);
}

#[test]
fn who_does_not_answer_stands_last_with_advice() {
    let mut round = round(Instant::now(), vec![status("d0", &["d0"], 0)]);
    let advice = Err("connection refused: is the daemon running?".to_owned());
    round.answers.insert(0, Answer { address: "h:9".into(), at: Instant::now(), status: advice });
    let overview = Overview::new(None, &round);
    assert_eq!(overview.answered(), 1);
    assert_eq!(overview.daemons[1].address, "h:9");
    assert_eq!(overview.findings, ["h:9: connection refused: is the daemon running?"]);
}

#[test]
fn differences_that_need_a_person_are_found() {
    let whole = ["d0", "d1"];
    let (mut first, mut second) = (status("d0", &whole, 0), status("d1", &whole, 0));
    first.key_id = 2;
    first.configuration_hash = "a".into();
    first.refused.insert("WrongKey".into(), 7);
    first.refused.insert("Replayed".into(), 1);
    second.phase = "Gather".into();
    let found = Overview::new(None, &round(Instant::now(), vec![first, second])).findings;
    for part in ["spread.conf", "different keys", "d1 is in phase Gather", "d0 refused 7 packets"] {
        assert!(found.iter().any(|finding| finding.contains(part)), "{part}: {found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}

#[test]
fn a_change_that_all_tell_is_shown_once_and_the_newest_first() {
    let change = |at, members: &[&str]| Change {
        at_milliseconds: at,
        members: members.iter().map(|name| (*name).into()).collect(),
        ..Change::default()
    };
    let whole = ["d0", "d1"];
    let (mut first, mut second) = (status("d0", &whole, 0), status("d1", &whole, 0));
    first.changes = vec![change(1000, &["d0"]), change(5000, &whole)];
    second.changes = vec![change(5003, &whole)];
    let changes = Overview::new(None, &round(Instant::now(), vec![first, second])).changes;
    let at: Vec<_> = changes.iter().map(|change| change.at_milliseconds).collect();
    assert_eq!(at, [5003, 1000]);
}

#[test]
fn names_are_ordered_by_their_numbers() {
    assert!(natural("d9") < natural("d10"));
    assert!(natural("a10") < natural("d2"));
}
