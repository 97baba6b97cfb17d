//! What members are told when daemons come, go, part and meet, told as sessions see it.

use crate::cluster::Cluster;

/// Daemons 0 to 2 in one configuration, with alice, bob and carol on them, all in g.
fn three() -> Cluster {
    let mut cluster = Cluster::new(&[1, 2, 3]);
    for (slot, user) in [(0, "alice"), (1, "bob"), (2, "carol")] {
        cluster.start(slot);
        cluster.open(slot, 1, user);
    }
    cluster.regroup(&[&[0, 1, 2]], 0);
    for slot in 0..3 {
        cluster.join(slot, 1, "g");
        cluster.settle();
    }
    cluster.check();
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster
}

#[test]
fn joins_leaves_and_ends_count_views_up() {
    let mut cluster = three();
    cluster.leave(1, 1, "g");
    cluster.settle();
    assert_eq!(cluster.told(0), ["g: leave #bob#d1 4 [#alice#d0, #carol#d2] #alice#d0@0"]);
    assert_eq!(cluster.told(1), ["g: leave #bob#d1 3 [] #bob#d1@0"]);
    cluster.join(2, 1, "b");
    cluster.join(0, 1, "b");
    cluster.join(0, 1, "b");
    cluster.settle();
    cluster.told(0);
    cluster.close(2, 1);
    cluster.settle();
    let told = cluster.told(0);
    assert_eq!(told[0], "b: end #carol#d2 3 [#alice#d0] #alice#d0@0");
    assert_eq!(told[1], "g: end #carol#d2 5 [#alice#d0] #alice#d0@0");
    cluster.check();
}

#[test]
fn a_message_goes_once_to_each_session_it_names() {
    let mut cluster = three();
    cluster.open(0, 2, "dave");
    cluster.settle();
    cluster.send(2, 1, &["g", "#alice#d0", "g", "#dave#d0", "nobody"], "hello");
    cluster.settle();
    assert_eq!(cluster.told(0), ["hello from #carol#d2 to #alice#d0 #dave#d0"]);
    assert_eq!(cluster.told(1), ["hello from #carol#d2 to #bob#d1"]);
    cluster.check();
}

#[test]
fn a_second_session_of_a_name_is_refused() {
    let mut cluster = three();
    cluster.open(0, 7, "alice");
    cluster.join(0, 7, "g");
    cluster.settle();
    assert_eq!(cluster.told(0), ["refused 7"]);
    assert!(cluster.told(1).is_empty());
    cluster.check();
}

#[test]
fn a_crash_is_told_to_groups_that_lose_members_only() {
    let mut cluster = three();
    cluster.join(0, 1, "h");
    cluster.join(1, 1, "h");
    cluster.settle();
    cluster.told(0);
    cluster.regroup(&[&[0, 1]], 0);
    cluster.settle();
    let view = "g: network 1 [#alice#d0, #bob#d1] sets [[#alice#d0, #bob#d1]] #alice#d0@0";
    assert_eq!(cluster.told(0), ["g: transition 3 to #alice#d0", view]);
    cluster.leave(1, 1, "h");
    cluster.settle();
    assert_eq!(cluster.told(0), ["h: leave #bob#d1 3 [#alice#d0] #alice#d0@0"]);
    cluster.check();
}

#[test]
fn a_merge_is_one_view_with_a_set_for_each_component() {
    let mut cluster = three();
    cluster.join(0, 1, "local");
    cluster.settle();
    cluster.regroup(&[&[0], &[1, 2]], 0);
    cluster.settle();
    cluster.close(2, 1);
    cluster.open(2, 2, "erin");
    cluster.join(2, 2, "g");
    cluster.settle();
    cluster.told(0);
    cluster.told(1);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    let view =
        "g: network 1 [#alice#d0, #bob#d1, #erin#d2] sets [[#alice#d0], [#bob#d1, #erin#d2]]";
    assert_eq!(cluster.told(0), [format!("{view} #alice#d0@0")]);
    assert_eq!(cluster.told(1), [format!("{view} #bob#d1@1")]);
    assert_eq!(cluster.nodes[&0].ids.last(), cluster.nodes[&1].ids.last());
    cluster.check();
}

#[test]
fn three_components_stand_in_the_order_of_their_keys() {
    let mut cluster = Cluster::new(&[5, -3, 1]);
    for (slot, user) in [(0, "alice"), (1, "bob"), (2, "carol")] {
        cluster.start(slot);
        cluster.open(slot, 1, user);
        cluster.join(slot, 1, "g");
    }
    cluster.regroup(&[&[0], &[1], &[2]], 0);
    cluster.settle();
    cluster.told(0);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    let view = "g: network 1 [#alice#d0, #bob#d1, #carol#d2] \
                sets [[#bob#d1], [#carol#d2], [#alice#d0]] #alice#d0@2";
    assert_eq!(cluster.told(0), [view]);
    cluster.check();
}

#[test]
fn a_regroup_in_one_step_loses_on_one_side_and_gains_on_both() {
    let mut cluster = three();
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.settle();
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster.regroup(&[&[0], &[1, 2]], 0);
    cluster.settle();
    let view = "g: network 1 [#bob#d1, #carol#d2] sets [[#bob#d1], [#carol#d2]]";
    assert_eq!(cluster.told(1), ["g: transition 1 to #bob#d1".into(), format!("{view} #bob#d1@0")]);
    assert_eq!(cluster.told(2), [format!("{view} #carol#d2@1")]);
    cluster.check();
}

#[test]
fn a_daemon_that_joins_without_members_is_not_noticed() {
    let mut cluster = three();
    cluster.regroup(&[&[0, 1]], 0);
    cluster.settle();
    cluster.told(0);
    cluster.start(2);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    assert!(cluster.told(0).is_empty());
    cluster.check();
}

#[test]
fn a_message_and_a_join_in_the_transitional_configuration() {
    let mut cluster = three();
    cluster.open(1, 2, "dave");
    cluster.settle();
    cluster.send(1, 2, &["g"], "late");
    cluster.join(1, 2, "g");
    cluster.regroup(&[&[0, 1], &[2]], 2);
    cluster.settle();
    let all = "[#alice#d0, #bob#d1, #dave#d1, #carol#d2]";
    let sets = "[[#alice#d0, #bob#d1], [#carol#d2], [#dave#d1]]";
    let left = "[#alice#d0, #bob#d1, #dave#d1]";
    assert_eq!(
        cluster.told(0),
        [
            "g: transition 3 to #alice#d0".into(),
            "late from #dave#d1 to #alice#d0".into(),
            format!("g: network 4 {all} sets {sets} #alice#d0@0"),
            "g: transition 4 to #alice#d0".into(),
            format!("g: network 1 {left} sets [{left}] #alice#d0@0"),
        ]
    );
    let told = cluster.told(1);
    assert_eq!(told[2], format!("g: network 4 {all} sets {sets} #bob#d1@0 #dave#d1@2"));
    assert_eq!(told[3], "g: transition 4 to #bob#d1 #dave#d1");
    assert_eq!(cluster.nodes[&0].ids.last(), cluster.nodes[&1].ids.last());
    cluster.check();
}

#[test]
fn an_exchange_cut_short_is_not_seen() {
    let mut cluster = three();
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.settle();
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.run(1);
    cluster.send(0, 1, &["g"], "waits");
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.run(1);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    let members = "[#alice#d0, #bob#d1, #carol#d2]";
    let view = format!("g: network 1 {members} sets [[#alice#d0, #bob#d1], [#carol#d2]]");
    let waits = "waits from #alice#d0 to";
    assert_eq!(cluster.told(0), [format!("{view} #alice#d0@0"), format!("{waits} #alice#d0")]);
    assert_eq!(cluster.told(2), [format!("{view} #carol#d2@1"), format!("{waits} #carol#d2")]);
    cluster.check();
}

#[test]
fn a_group_that_was_told_of_a_loss_gets_its_view_even_if_all_come_back() {
    let mut cluster = three();
    cluster.start(2);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    let view = "g: network 1 [#alice#d0, #bob#d1] sets [[#alice#d0, #bob#d1]] #alice#d0@0";
    assert_eq!(cluster.told(0), ["g: transition 3 to #alice#d0", view]);
    cluster.check();
}

#[test]
fn an_exchange_that_ends_in_the_transitional_configuration_is_told_before_the_loss() {
    let mut cluster = three();
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.settle();
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.run_from(2, 100);
    cluster.run_from(1, 100);
    cluster.send(0, 1, &["g"], "queued");
    cluster.regroup(&[&[0, 1], &[2]], 100);
    cluster.settle();
    let (all, left) = ("[#alice#d0, #bob#d1, #carol#d2]", "[#alice#d0, #bob#d1]");
    assert_eq!(
        cluster.told(0),
        [
            format!("g: network 1 {all} sets [{left}, [#carol#d2]] #alice#d0@0"),
            "g: transition 1 to #alice#d0".into(),
            "queued from #alice#d0 to #alice#d0".into(),
            format!("g: network 1 {left} sets [{left}] #alice#d0@0"),
        ]
    );
    cluster.check();
}

#[test]
fn those_with_one_history_are_one_set_after_several_exchanges_cut_short() {
    let mut cluster = three();
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.settle();
    for slot in 0..3 {
        cluster.told(slot);
    }
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.regroup(&[&[0], &[1], &[2]], 0);
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    let members = "[#alice#d0, #bob#d1, #carol#d2]";
    let sets = "[[#alice#d0, #bob#d1], [#carol#d2]]";
    assert_eq!(
        cluster.told(0),
        [
            "g: transition 1 to #alice#d0".into(),
            format!("g: network 1 {members} sets {sets} #alice#d0@0")
        ]
    );
    assert_eq!(cluster.told(2), [format!("g: network 1 {members} sets {sets} #carol#d2@1")]);
    cluster.check();
}

/// Daemon 1 is cut off while tables are exchanged. The others have all tables and apply what was held; daemon 1 never
/// gets them all.
#[test]
fn what_an_exchange_held_counts_once_though_daemons_part_in_the_middle_of_it() {
    let mut cluster = Cluster::new(&[0, 0, 0]);
    (0..3).for_each(|slot| cluster.start(slot));
    cluster.regroup(&[&[0, 1], &[2]], 0);
    cluster.settle();
    for slot in 0..3 {
        cluster.open(slot, 1, "u");
        cluster.join(slot, 1, "g");
    }
    cluster.settle();
    cluster.send(1, 1, &["g"], "hello");
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.run_from(1, 100);
    cluster.regroup(&[&[0, 2], &[1]], 100);
    cluster.settle();
    cluster.regroup(&[&[0, 1, 2]], 0);
    cluster.settle();
    cluster.check();
    for slot in 0..3 {
        let told = cluster.told(slot);
        let came = told.iter().filter(|line| line.starts_with("hello")).count();
        assert_eq!(came, 1, "daemon {slot}: {told:#?}");
    }
}
