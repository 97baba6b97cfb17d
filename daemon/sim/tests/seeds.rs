//! Clusters of the first seeds keep every promise, meet every kind of fault, and a seed is the same cluster every time.

use spread_sim::coverage::{Coverage, Fault};
use spread_sim::run;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const SEEDS: u64 = 500;

#[test]
fn the_first_seeds_keep_every_promise_and_meet_every_fault() {
    let (next, coverage) = (AtomicU64::new(0), Mutex::new(Coverage::default()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= SEEDS {
                    return;
                }
                let outcome = run::seed(seed);
                assert!(
                    outcome.violations.is_empty(),
                    "cargo run --profile quick -p spread-sim -- replay {seed}\n{}",
                    outcome.report(40)
                );
                coverage.lock().expect("no thread failed").count(&outcome.met);
            }
        };
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let coverage = coverage.into_inner().expect("no thread failed");
    println!("{coverage}");
    for fault in Fault::ALL {
        let met = coverage.met(fault);
        assert!(met * 25 >= SEEDS, "only {met} of {SEEDS} seeds met: {fault}");
    }
}

#[test]
fn a_seed_replays_to_the_same_hash() {
    for seed in [3, 17, 58] {
        let (once, again) = (run::seed(seed), run::seed(seed));
        assert_eq!((once.hash, once.events), (again.hash, again.events), "seed {seed}");
        assert_ne!(once.hash, run::seed(seed + 1).hash);
    }
}
