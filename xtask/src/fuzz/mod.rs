//! Fuzzing: all targets in turn, and the seeds they begin with.

mod seeds;

use crate::steps::{Steps, check, root};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The targets, and what libFuzzer is told for each.
const TARGETS: [(&str, &[&str]); 5] = [
    ("client_frames", &["-max_len=4096"]),
    ("link_frames", &["-max_len=4096"]),
    ("ring_packets", &["-max_len=4096"]),
    ("configuration", &["-max_len=4096", "-timeout=5"]),
    ("engine", &["-max_len=2000", "-timeout=20"]),
];

/// How long to fuzz.
#[derive(clap::Args)]
pub struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60, conflicts_with = "seeds")]
    seconds: u64,
    /// Only these targets.
    #[arg(long, value_name = "NAME")]
    target: Vec<String>,
    /// Write the seeds that are checked in, from the recorded transcripts and the encoders, and run nothing.
    #[arg(long)]
    seeds: bool,
}

/// Runs the targets, or writes their seeds.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.seeds {
        return seeds::write();
    }
    for name in &arguments.target {
        if !TARGETS.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            bail!("`{name}` is no target; there are {}", known.join(", "));
        }
    }
    let installed = Command::new("cargo").args(["+nightly", "fuzz", "--version"]).output();
    if !installed.is_ok_and(|output| output.status.success()) {
        bail!(
            "cargo-fuzz and a nightly toolchain are needed: `rustup toolchain install nightly` and `cargo install cargo-fuzz`"
        );
    }
    let mut steps = Steps::default();
    let wanted = |name: &str| {
        arguments.target.is_empty() || arguments.target.iter().any(|target| target == name)
    };
    for (name, options) in TARGETS.iter().filter(|(name, _)| wanted(name)) {
        steps.step(name, || fuzz(name, options, arguments.seconds))?;
    }
    steps.finish();
    Ok(())
}

fn fuzz(name: &str, options: &[&str], seconds: u64) -> Result<()> {
    let folder = root().join("daemon/fuzz");
    // What is found goes into the first folder, which is not checked in; the seeds are only read.
    let corpus = folder.join("corpus").join(name);
    std::fs::create_dir_all(&corpus)
        .with_context(|| format!("{} can't be made", corpus.display()))?;
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "run", "--fuzz-dir"]).arg(&folder).arg(name).arg(corpus);
    command.arg(folder.join("seeds").join(name)).arg("--").args(options);
    command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
    check(command.current_dir(root())).with_context(|| {
        format!("what broke it is in daemon/fuzz/artifacts/{name}; `cargo +nightly fuzz run --fuzz-dir daemon/fuzz {name} FILE` shows it again")
    })
}
