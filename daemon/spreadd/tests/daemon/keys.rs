//! Keys are rotated while the ring runs, and nobody leaves it.

use super::mounted::Mounted;
use super::ring::{KEY, Ring};
use super::session::AGREED;

fn key_ids(daemons: &[super::ring::Daemon]) -> Vec<u64> {
    daemons.iter().map(|daemon| daemon.status()["key_id"].as_u64().expect("an id")).collect()
}

fn configurations(daemons: &[super::ring::Daemon]) -> Vec<u64> {
    let count =
        |daemon: &super::ring::Daemon| daemon.status()["counters"]["configurations"].as_u64();
    daemons.iter().map(|daemon| count(daemon).expect("a counter")).collect()
}

#[test]
fn a_new_key_is_taken_once_all_hold_it_and_the_old_one_goes() {
    // An idle ring in which most members do not hear each other.
    let ring = Ring::new(5);
    let daemons = ring.start_all();
    daemons.iter().for_each(|daemon| daemon.wait_members(5));
    let before = configurations(&daemons);
    assert_eq!(key_ids(&daemons), [1; 5]);
    let file = ring.path("keys");
    let old = std::fs::read_to_string(&file).expect("the keys");
    let new = format!("2 {}\n", "22".repeat(32));
    std::fs::write(&file, format!("{old}{new}")).expect("written");
    daemons.iter().for_each(|daemon| {
        daemon.wait("the new key", |daemon| daemon.status()["key_id"] == 2);
    });
    std::fs::write(&file, "nonsense\n").expect("written");
    daemons.iter().for_each(|daemon| {
        daemon.wait("the complaint", |daemon| daemon.log().contains("the keys stay as they were"));
    });
    std::fs::write(&file, new).expect("written");
    daemons.iter().for_each(|daemon| {
        daemon.wait("one key", |daemon| daemon.log().contains("holds the ring keys 2"));
    });
    let (mut a, mut b) = (daemons[0].connect("a"), daemons[2].connect("b"));
    b.join("g");
    b.wait_view(&[]);
    a.send(AGREED, "g", b"sealed with the new key");
    assert_eq!(b.receive().text(), "sealed with the new key");
    assert_eq!(configurations(&daemons), before, "nobody left the ring");
}

#[test]
fn keys_of_a_mounted_secret_are_rotated_by_the_swap_of_a_link() {
    let ring = Ring::new(2);
    let (old, new) = (format!("1 {}\n", KEY.repeat(32)), format!("2 {}\n", "22".repeat(32)));
    let both = old.clone() + &new;
    let mut mounts: Vec<Mounted> = Vec::new();
    let mut daemons = Vec::new();
    for index in 0..2 {
        // Each pod has its own mount, and kubelets do not swap at the same moment.
        let folder = ring.path(&format!("secret{index}"));
        mounts.push(Mounted::new(&folder, &[("keys", &old)]));
        let file = folder.join("keys");
        let text =
            ring.configuration(index).replace("\"keys\"", &format!("\"{}\"", file.display()));
        daemons.push(ring.start_from(index, &text));
    }
    daemons.iter().for_each(|daemon| daemon.wait_members(2));
    let before = configurations(&daemons);
    let held = |daemon: &super::ring::Daemon| daemon.status()["key_ids"].clone();
    assert_eq!(held(&daemons[0]), serde_json::json!([1]));

    mounts[0].swap(&[("keys", &both)]);
    daemons[0].wait("both keys", |daemon| held(daemon) == serde_json::json!([1, 2]));
    assert_eq!(key_ids(&daemons), [1, 1], "the other does not hold the new key yet");
    mounts[1].swap(&[("keys", &both)]);
    for daemon in &daemons {
        daemon.wait("the new key seals", |daemon| daemon.status()["key_id"] == 2);
    }
    for (mount, daemon) in mounts.iter_mut().zip(&daemons) {
        mount.swap(&[("keys", &new)]);
        daemon.wait("one key", |daemon| held(daemon) == serde_json::json!([2]));
    }
    assert_eq!(configurations(&daemons), before, "nobody left the ring");
    daemons[0].connect("a").assert_works();
}
