//! `spread-sim`: run, replay and explain simulated clusters.

mod arguments;
mod hunt;

use anyhow::{Context, Result};
use arguments::{Arguments, Command};
use clap::Parser;
use hunt::{Hunt, hunt};
use spread_sim::run::{self, Options, Outcome};
use spread_sim::{plan::Plan, scenario};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Lines of the timeline before the first broken promise.
const AROUND: usize = 60;

fn main() -> Result<ExitCode> {
    let kept = match Arguments::parse().command {
        Command::Run { seeds, first, jobs, keep_going } => {
            let options = Options::default();
            let stop_at_first = !keep_going;
            run_seeds(&Hunt { first, seeds, jobs, options, stop_at_first, show: true })
        }
        Command::Replay { seed } => replay(seed)?,
        Command::Plan { seed } => {
            print!("{}", Plan::of_seed(seed));
            true
        }
        Command::Scenario { files, timeline } => {
            let mut kept = true;
            for file in files {
                kept &= run_scenario(&file, timeline)?;
            }
            kept
        }
    };
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timed(mut options: Options) -> Options {
    options.timeline = true;
    options
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
    explain(&bad);
    false
}

/// Runs a bad seed again with a timeline, and says how to look at it.
fn explain(bad: &Outcome) {
    let again = run::seed_with(bad.seed, timed(Options::default()));
    println!("seed {}: {}", bad.seed, again.report(AROUND));
    println!("the whole of it: spread-sim replay {}", bad.seed);
}

fn replay(seed: u64) -> Result<bool> {
    let outcome = run::seed_with(seed, timed(Options::default()));
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

fn run_scenario(file: &Path, timeline: bool) -> Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let plan = scenario::parse(&text).with_context(|| file.display().to_string())?;
    let outcome = run::scenario(plan, timed(Options::default()));
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
