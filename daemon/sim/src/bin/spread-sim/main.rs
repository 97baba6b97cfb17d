//! `spread-sim`: run, replay and explain simulated clusters.

mod arguments;
mod hunt;

use anyhow::{Context, Result, ensure};
use arguments::{Arguments, Command};
use clap::Parser;
use hunt::{Hunt, hunt};
use spread_bugs::Bug;
use spread_sim::run::{self, Options, Outcome};
use spread_sim::{plan::Plan, scenario};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Lines of the timeline before the first broken promise.
const AROUND: usize = 60;

fn main() -> Result<ExitCode> {
    let kept = match Arguments::parse().command {
        Command::Run { seeds, first, jobs, keep_going, bug } => {
            let options = Options { bug: bug.as_deref().map(named).transpose()?, timeline: false };
            let stop_at_first = !keep_going;
            run_seeds(&Hunt { first, seeds, jobs, options, stop_at_first, show: true })
        }
        Command::Replay { seed, bug } => {
            let bug = bug.as_deref().map(named).transpose()?;
            replay(seed, Options { bug, timeline: true })?
        }
        Command::Bugs => {
            for bug in Bug::ALL {
                println!("{:24} {}", bug.name(), bug.what());
            }
            true
        }
        Command::Plan { seed } => {
            print!("{}", Plan::of_seed(seed));
            true
        }
        Command::Scenario { files, timeline, bug } => {
            let mut kept = true;
            let bug = bug.as_deref().map(named).transpose()?;
            for file in files {
                kept &= run_scenario(&file, timeline, bug)?;
            }
            kept
        }
    };
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The bug of a name, if this build has bugs at all.
fn named(name: &str) -> Result<Bug> {
    let bug = Bug::ALL.iter().find(|bug| bug.name() == name).copied();
    let bug = bug.with_context(|| format!("no bug is called `{name}`: see `spread-sim bugs`"))?;
    ensure!(
        cfg!(feature = "planted-bugs"),
        "this build has no planted bugs: cargo run --profile quick -p spread-sim --features planted-bugs -- run --bug {name}"
    );
    Ok(bug)
}

fn run_seeds(plan: &Hunt) -> bool {
    let result = hunt(plan);
    let rate = result.clean as f64 / result.seconds.max(1e-9);
    let simulated = result.simulated.as_secs_f64();
    print!("{}", result.coverage);
    println!(
        "{} seeds clean in {:.1} s ({rate:.0} seeds/s, {simulated:.0} simulated seconds, {} events)",
        result.clean, result.seconds, result.events
    );
    for (seed, promise) in &result.all_bad {
        println!("seed {seed} broke: {promise}");
    }
    let Some(bad) = result.bad else { return true };
    explain(&bad, plan.options);
    false
}

/// Runs a bad seed again with a timeline, and says how to look at it.
fn explain(bad: &Outcome, options: Options) {
    let again = run::seed_with(bad.seed, Options { timeline: true, ..options });
    println!("\nseed {}: {}", bad.seed, again.report(AROUND));
    let bug = options.bug.map(|bug| format!(" --bug {}", bug.name())).unwrap_or_default();
    let program = std::env::args().next().unwrap_or_else(|| "spread-sim".into());
    println!("the whole of it: {program} replay {}{bug}", bad.seed);
}

fn replay(seed: u64, options: Options) -> Result<bool> {
    let outcome = run::seed_with(seed, options);
    print_timeline(&outcome)?;
    println!("seed {seed}, hash {:016x}, {} events", outcome.hash, outcome.events);
    println!("{}", outcome.report(0));
    Ok(outcome.violations.is_empty())
}

fn print_timeline(outcome: &Outcome) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in outcome.trace.lines() {
        match writeln!(out, "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    Ok(())
}

fn run_scenario(file: &Path, timeline: bool, bug: Option<Bug>) -> Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let plan = scenario::parse(&text).with_context(|| file.display().to_string())?;
    let outcome = run::scenario(plan, Options { timeline: true, bug });
    if timeline {
        print_timeline(&outcome)?;
    }
    let clean = outcome.violations.is_empty();
    println!("{} {}", if clean { "ok  " } else { "FAIL" }, file.display());
    if !clean {
        println!("{}", outcome.report(AROUND));
    }
    Ok(clean)
}
