//! Messages that come in parts: they stand in the order where their end does, and their parts do not outlive the configuration.

use crate::cluster::Cluster;

/// Alice and bob on daemons 0 and 1, both in g; carol on daemon 2, which is alone.
fn two_and_one() -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    for (slot, user) in [(0, "alice"), (1, "bob"), (2, "carol")] {
        cluster.start(slot);
        cluster.open(slot, 1, user);
    }
    cluster.regroup(&[&[0, 1], &[2]], 0);
    for slot in 0..3 {
        cluster.join(slot, 1, "g");
        cluster.settle();
    }
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster
}

#[test]
fn it_is_delivered_where_its_end_stands() {
    let mut cluster = two_and_one();
    cluster.part(0, 1, 0, "one ");
    cluster.part(0, 1, 1, "two ");
    cluster.send(0, 1, &["g"], "between");
    cluster.rest(0, 1, ("g", 2), "three");
    cluster.settle();
    let both = ["between from #alice#d0 to #bob#d1", "one two three from #alice#d0 to #bob#d1"];
    assert_eq!(cluster.told(1), both);
    cluster.check();
}

#[test]
fn what_does_not_follow_is_dropped_with_what_was_before_it() {
    let drops: [&[(u64, u32)]; 6] = [
        &[],
        &[(1, 1)],
        &[(1, 0), (1, 2)],
        &[(1, 0), (1, 0)],
        &[(2, 0), (2, 1)],
        &[(1, 0), (2, 1)],
    ];
    for parts in drops {
        let mut cluster = two_and_one();
        cluster.open(0, 2, "dave");
        for (session, index) in parts {
            cluster.part(0, *session, *index, "x");
        }
        cluster.rest(0, 1, ("g", 2), "y");
        cluster.send(0, 1, &["g"], "after");
        cluster.settle();
        assert_eq!(cluster.told(1), ["after from #alice#d0 to #bob#d1"], "{parts:?}");
        cluster.check();
    }
}

#[test]
fn a_configuration_begins_without_parts_and_says_so_to_their_endpoint() {
    let mut cluster = two_and_one();
    cluster.part(0, 1, 0, "one ");
    cluster.part(0, 1, 1, "two ");
    cluster.settle();
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.rest(0, 1, ("g", 2), "three");
    cluster.settle();
    let told = cluster.told(0);
    // Open and join came before.
    assert_eq!(told[0], "parts lost after 4");
    for slot in [1, 2] {
        let told = cluster.told(slot);
        assert!(told.iter().all(|line| line.starts_with("g: ")), "{told:?}");
    }
    // Who comes new gets what is begun anew.
    cluster.part(0, 1, 0, "one ");
    cluster.rest(0, 1, ("g", 1), "two");
    cluster.settle();
    for slot in [1, 2] {
        assert_eq!(cluster.told(slot).len(), 1, "slot {slot}");
    }
    cluster.check();
}

/// The end that is delivered in the transitional configuration finds its parts.
#[test]
fn those_who_go_on_together_have_the_parts_until_the_next_configuration() {
    let mut cluster = two_and_one();
    cluster.part(0, 1, 0, "one ");
    cluster.settle();
    cluster.rest(0, 1, ("g", 1), "two");
    cluster.regroup(&[&[0, 1, 2]], 1);
    assert_eq!(cluster.told(1)[0], "one two from #alice#d0 to #bob#d1");
    cluster.settle();
    assert!(!cluster.told(0).iter().any(|line| line.starts_with("parts lost")));
    cluster.check();
}

/// Requests that were on their way into an exchange are applied after it, and so without the parts before it.
#[test]
fn an_end_that_an_exchange_held_is_dropped_everywhere() {
    let mut cluster = two_and_one();
    cluster.part(0, 1, 0, "one ");
    cluster.settle();
    cluster.rest(0, 1, ("g", 1), "the end");
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    for slot in 0..3 {
        let told = cluster.told(slot);
        assert!(!told.iter().any(|line| line.contains("the end")), "{told:?}");
    }
    cluster.check();
}
