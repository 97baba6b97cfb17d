//! `spread-sim`: run, replay and explain simulated clusters.

mod arguments;
mod hunt;

use anyhow::{Context, Result, bail};
use arguments::{Arguments, Command, Planting};
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
        Command::Run { seeds, first, jobs, planting } => run_seeds(seeds, first, jobs, &planting)?,
        Command::Replay { seed, planting } => replay(seed, &planting)?,
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
        Command::Bugs { find, most } => bugs(find, most)?,
    };
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn timed(mut options: Options) -> Options {
    options.timeline = true;
    options
}

fn options(planting: &Planting) -> Result<Options> {
    let mut options = Options::default();
    if let Some(name) = &planting.bug {
        plant(&mut options, name)?;
    }
    Ok(options)
}

#[cfg(feature = "planted-bugs")]
fn plant(options: &mut Options, name: &str) -> Result<()> {
    let bug = spread_wire::planted::Bug::named(name);
    options.bug = Some(bug.with_context(|| format!("no bug is called `{name}`: see `bugs`"))?);
    Ok(())
}

#[cfg(not(feature = "planted-bugs"))]
fn plant(_: &mut Options, name: &str) -> Result<()> {
    bail!("`{name}` is not in this build: build spread-sim with `--features planted-bugs`")
}

fn run_seeds(seeds: u64, first: u64, jobs: usize, planting: &Planting) -> Result<bool> {
    let options = options(planting)?;
    let hunt = Hunt { first, seeds, jobs, options, stop_at_first: true, show: true };
    let found = hunt_and_tell(&hunt);
    let Some(bad) = found else { return Ok(true) };
    explain(&bad, options, planting);
    Ok(false)
}

fn hunt_and_tell(plan: &Hunt) -> Option<Outcome> {
    let result = hunt(plan);
    let rate = result.clean as f64 / result.seconds.max(1e-9);
    let simulated = result.simulated.as_secs_f64();
    eprintln!(
        "{} seeds clean in {:.1} s ({rate:.0} seeds/s, {:.0} simulated seconds, {} events)",
        result.clean, result.seconds, simulated, result.events
    );
    result.bad
}

/// Runs a bad seed again with a timeline, and says how to look at it.
fn explain(bad: &Outcome, options: Options, planting: &Planting) {
    let again = run::seed_with(bad.seed, timed(options));
    println!("seed {}: {}", bad.seed, again.report(AROUND));
    let bug = planting.bug.as_ref().map_or(String::new(), |name| format!(" --bug {name}"));
    println!("the whole of it: spread-sim replay {}{bug}", bad.seed);
}

fn replay(seed: u64, planting: &Planting) -> Result<bool> {
    let outcome = run::seed_with(seed, timed(options(planting)?));
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

#[cfg(not(feature = "planted-bugs"))]
fn bugs(_: bool, _: u64) -> Result<bool> {
    bail!("no bugs are in this build: build spread-sim with `--features planted-bugs`")
}

#[cfg(feature = "planted-bugs")]
fn bugs(find: bool, most: u64) -> Result<bool> {
    let mut all = true;
    for bug in spread_wire::planted::Bug::ALL {
        if !find {
            println!("{:32} {}", bug.name(), bug.mistake());
            continue;
        }
        let options = Options { bug: Some(*bug), ..Options::default() };
        let plan =
            Hunt { first: 0, seeds: most, jobs: 0, options, stop_at_first: true, show: false };
        match hunt(&plan).bad {
            Some(bad) => {
                let promise = bad.violations.first().map_or("", |violation| violation.promise);
                println!("found  {:32} at seed {:4} by {promise}", bug.name(), bad.seed);
            }
            None => {
                all = false;
                println!("MISSED {:32} in {most} seeds: {}", bug.name(), bug.mistake());
            }
        }
    }
    Ok(all)
}
