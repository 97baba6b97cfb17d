//! Every mistake that can be planted is found within a thousand seeds, or by a scenario.
//!
//! `cargo test --profile quick -p spread-sim --features planted-bugs --test planted_bugs -- --nocapture` prints at which
//! seed each was found.

#![cfg(feature = "planted-bugs")]

use spread_bugs::Bug;
use spread_sim::run::{self, Options};
use spread_sim::scenario;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const MOST_SEEDS: u64 = 1000;

#[test]
fn each_is_found() {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    assert!(Bug::ALL.len() >= 20);
    std::thread::scope(|scope| {
        let work = || {
            while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                if !Bug::SELDOM.contains(bug) && !found(*bug) {
                    missed.lock().expect("no thread failed").push(bug.name());
                }
            }
        };
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let missed = missed.into_inner().expect("no thread failed");
    assert!(missed.is_empty(), "not found within {MOST_SEEDS} seeds: {missed:?}");
}

/// A scenario for a bug that was fixed fails where the bug is back: its line `# finds NAME` says which.
#[test]
fn scenarios_find_what_they_say() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut checked = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let Some(name) = text.lines().find_map(|line| line.strip_prefix("# finds ")) else {
            continue;
        };
        let bug = Bug::ALL.iter().find(|bug| bug.name() == name).copied();
        assert!(bug.is_some(), "{}: no bug is called {name}", path.display());
        let plan = scenario::parse(&text).expect("it can be read");
        let outcome = run::scenario(plan, Options { bug, timeline: false });
        assert!(!outcome.violations.is_empty(), "{} does not find {name}", path.display());
        checked.extend(bug);
    }
    for bug in Bug::SELDOM {
        assert!(checked.contains(bug), "no scenario finds {}", bug.name());
    }
}

fn found(bug: Bug) -> bool {
    let options = Options { bug: Some(bug), timeline: false };
    for seed in 0..MOST_SEEDS {
        let outcome = run::seed_with(seed, options);
        if let Some(first) = outcome.violations.first() {
            println!("seed {seed:4} finds {:22} by {}", bug.name(), first.promise);
            return true;
        }
    }
    false
}
