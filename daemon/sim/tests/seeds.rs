//! Clusters of the first seeds keep every promise, and a seed is the same cluster every time.

use spread_sim::run;

#[test]
fn the_first_seeds_keep_every_promise() {
    for seed in 0..14 {
        let outcome = run::seed(seed);
        assert!(outcome.violations.is_empty(), "spread-sim replay {seed}\n{}", outcome.report(40));
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
