//! Every test of the project.

use crate::purity;
use crate::steps::{Steps, cargo, check, exists, root};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// How much to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seeds of the simulator.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Leave out what only CI needs to see each time: format, lints, planted bugs.
    #[arg(long)]
    quick: bool,
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
    // Tests of the client, the tools and the local run start the real binaries.
    steps.step("binaries", || {
        check(&mut cargo(&["build", "--locked", "--bins", "-p", "spreadd", "-p", "spread-tools"]))
    })?;
    steps.step("unit, property, transcript and process tests", || {
        check(&mut cargo(&["test", "--workspace", "--locked"]))
    })?;
    steps.step(&format!("simulator, {} seeds", arguments.seeds), || {
        let seeds = arguments.seeds.to_string();
        let run =
            ["run", "--locked", "--profile", "quick", "-p", "spread-sim", "--", "run", "--seeds"];
        check(cargo(&run).arg(seeds))
    })?;
    if !arguments.quick {
        steps.step("planted bugs are found", || {
            let test = ["test", "--locked", "--profile", "quick", "-p", "spread-sim"];
            check(cargo(&test).args(["--features", "planted-bugs", "--test", "planted_bugs"]))
        })?;
    }
    third_party(&mut steps)?;
    steps.finish();
    Ok(())
}

/// The npm package `spread` speaks the client protocol itself and knows nothing of us.
fn third_party(steps: &mut Steps) -> Result<()> {
    const NAME: &str = "third-party client (npm package `spread`)";
    if !exists("node") || !exists("npm") {
        steps.leave_out(NAME, "node and npm are not installed here");
        return Ok(());
    }
    let folder = root().join("examples/clients/javascript");
    steps.step(NAME, || {
        check(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
        check(
            Command::new("node")
                .arg("test.mjs")
                .current_dir(&folder)
                .env("SPREADD", binary("spreadd")?),
        )
    })
}

/// Path of a binary that the step `binaries` built.
fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().context("the executable has a folder")?.join(name);
    if !path.is_file() {
        bail!("{} is missing: run `cargo build -p {name}`", path.display());
    }
    Ok(path)
}
