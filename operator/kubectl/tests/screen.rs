//! What people see, as snapshots.

mod facts;

use facts::{facts, new_object};
use kubectl_spread::{Style, screen};

#[test]
fn a_healthy_cluster() {
    insta::assert_snapshot!(screen(&facts(), Style::Plain));
}

#[test]
fn a_cluster_in_trouble() {
    let mut facts = facts();
    let status = facts.cluster.status.as_mut().expect("a status");
    for condition in &mut status.conditions {
        if ["Ready", "Available", "MembershipConsistent"].contains(&condition.type_.as_str()) {
            condition.status = "False".to_owned();
            condition.reason = "Degraded".to_owned();
            condition.message = "1 of 3 daemons are in the ring".to_owned();
        }
    }
    facts.cluster.metadata.generation = Some(8);
    facts.pods.truncate(1);
    facts.missing.push("Event: forbidden: events is forbidden".to_owned());
    facts.events.clear();
    insta::assert_snapshot!(screen(&facts, Style::Plain));
}

#[test]
fn an_object_that_no_operator_has_seen() {
    insta::assert_snapshot!(screen(&new_object(), Style::Plain));
}

#[test]
fn colours_are_for_terminals_only() {
    let plain = screen(&facts(), Style::Plain);
    let coloured = screen(&facts(), Style::Coloured);
    assert!(!plain.contains('\x1b') && coloured.contains("\x1b[32mReady\x1b[0m"));
    assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), plain);
}
