//! Runs named steps one after the other and says what each cost.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The root of the checkout.
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(PathBuf::from).unwrap_or(here)
}

/// A `cargo` command at the root of the checkout.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command with its output shown; an exit status other than 0 is an error that names it.
pub fn check(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("{shown} could not be started"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Collects what was run and how long it took.
#[derive(Default)]
pub struct Steps {
    done: Vec<(String, f64)>,
    left_out: Vec<(String, String)>,
}

impl Steps {
    /// Runs one step under a heading.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        run().with_context(|| format!("step failed: {name}"))?;
        self.done.push((name.to_owned(), start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Notes a step that this machine can't run, and why.
    pub fn leave_out(&mut self, name: &str, why: &str) {
        eprintln!("\n==> left out: {name}: {why}");
        self.left_out.push((name.to_owned(), why.to_owned()));
    }

    /// Prints the closing table.
    pub fn finish(&self) {
        eprintln!();
        for (name, seconds) in &self.done {
            eprintln!("  ok       {seconds:7.1} s  {name}");
        }
        for (name, why) in &self.left_out {
            eprintln!("  left out            {name}: {why}");
        }
    }
}
