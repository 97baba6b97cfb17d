//! Every test of the project.

use crate::steps::{Steps, cargo, check};
use crate::{docs, hot_path, instructions, kubernetes, npm, purity};
use anyhow::Result;

/// How much to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Leave out what only CI needs to see each time: format and lints.
    #[arg(long)]
    quick: bool,
    /// Leave out what needs a real Kubernetes, which this otherwise builds (once: minutes) and starts where it can.
    #[arg(long)]
    no_kubernetes: bool,
}

/// Runs every test, cheapest failure first.
pub fn run(arguments: &Arguments) -> Result<()> {
    let mut steps = Steps::default();
    if !arguments.quick {
        steps.step("format", || check(&mut cargo(&["fmt", "--all", "--check"])))?;
        steps.step("lints", || {
            let lints =
                ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
            check(&mut cargo(&lints))
        })?;
    }
    steps.step("the pure crates are pure", purity::run)?;
    // With the programs that they start. Later steps choose the same packages: with others cargo would choose other
    // features, and build again what they share.
    steps.step("tests are built", || {
        check(&mut cargo(&["test", "--workspace", "--locked", "--no-run"]))
    })?;
    steps.step("unit, property, transcript and process tests", || {
        check(&mut cargo(&["test", "--workspace", "--locked"]))
    })?;
    steps.step("each planted bug is found by the simulator", || {
        let bugs = ["test", "--locked", "--profile", "quick", "-p", "spread-sim"];
        let only = ["--features", "planted-bugs", "--test", "planted_bugs", "--", "--nocapture"];
        check(cargo(&bugs).args(only))
    })?;
    let counted = "no hot path takes more instructions than it did";
    match hot_path::missing() {
        Some(missing) => steps.leave_out(counted, &missing),
        None => steps.step(counted, || instructions::run(&instructions::Arguments::default()))?,
    }
    let client = "the npm package `spread` talks through a daemon";
    match npm::missing() {
        Some(missing) => steps.leave_out(client, &missing),
        None => steps.step(client, npm::run)?,
    }
    let pods = on_kubernetes(&mut steps, !arguments.no_kubernetes)?;
    steps.step("commands of the documents", || docs::run(pods, &[]))?;
    steps.finish();
    Ok(())
}

/// The operator on a real API server, and rings in real pods, where this machine can have them. Returns why it can't
/// have pods.
fn on_kubernetes(steps: &mut Steps, wanted: bool) -> Result<Result<(), String>> {
    let (operator, pods) = ("the operator on a real API server", "rings in real pods");
    if !wanted {
        let why = "--no-kubernetes";
        steps.leave_out(operator, why);
        steps.leave_out(pods, why);
        return Ok(Err(why.to_owned()));
    }
    match kubernetes::missing_api_server()? {
        Some(missing) => steps.leave_out(operator, &missing),
        None => steps.step(operator, kubernetes::api_server_tests)?,
    }
    Ok(match kubernetes::missing_nodes()? {
        Some(missing) => {
            steps.leave_out(pods, &missing);
            Err(missing)
        }
        None => {
            steps.step(pods, kubernetes::pod_tests)?;
            Ok(())
        }
    })
}
