//! Every scenario in `scenarios/` holds, and a plan that is written as a scenario is read as the same plan.

use spread_sim::plan::Plan;
use spread_sim::run::{self, Options};
use spread_sim::scenario;
use std::path::PathBuf;

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be read").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    files.sort();
    files
}

#[test]
fn every_scenario_holds() {
    assert!(!files().is_empty());
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        let plan = scenario::parse(&text).unwrap_or_else(|error| panic!("{file:?}: {error:#}"));
        let outcome = run::scenario(plan, Options { timeline: true, bug: None });
        assert!(
            outcome.violations.is_empty(),
            "spread-sim scenario {}\n{}",
            file.display(),
            outcome.report(40)
        );
    }
}

/// What nobody claims anything about shows nothing.
#[test]
fn every_scenario_claims_something() {
    for file in files() {
        let text = std::fs::read_to_string(&file).expect("it can be read");
        assert!(text.contains("expect "), "{}", file.display());
    }
}

#[test]
fn a_plan_is_written_and_read() {
    for seed in 0..50 {
        let plan = Plan::of_seed(seed);
        let read = scenario::parse(&plan.to_string()).unwrap_or_else(|e| panic!("{seed}: {e:#}"));
        assert_eq!(read.actions.len(), plan.actions.len(), "seed {seed}");
        for (read, written) in read.actions.iter().zip(&plan.actions) {
            assert_eq!(read, written, "seed {seed}");
        }
        let settings = |plan: &Plan| format!("{:?}", plan.settings);
        assert_eq!((read.seed, read.clients), (plan.seed, plan.clients));
        assert_eq!(settings(&read), settings(&plan), "seed {seed}");
    }
}
