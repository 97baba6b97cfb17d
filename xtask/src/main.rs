//! Project tasks: what `cargo all-tests`, CI and the benchmarks run.
//!
//! * [`tests`] every test of the project, in the order in which a failure is cheapest to find;
//! * [`purity`] the wall around the pure crates;
//! * [`hot_path`] a message's way without sockets and clock, under valgrind;
//! * [`instructions`] what a message costs in the pure crates, counted;
//! * [`npm`] a real client library of others against a real daemon;
//! * [`kubernetes`] the operator on a real API server, rings in real pods;
//! * [`docs`] the commands of the documents;
//! * [`fuzz`] the fuzz targets in turn, and their seeds;
//! * [`bench`] measurements with daemons in network namespaces of their own.

mod bench;
mod docs;
mod fuzz;
mod hot_path;
mod instructions;
mod kubernetes;
mod npm;
mod purity;
mod steps;
mod tests;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(
    about = "Tasks of this project",
    after_help = "Examples:\n  cargo all-tests                      every test\n  cargo xtask purity                   only the wall around the pure crates\n  cargo xtask fuzz --seconds 600       ten minutes for each fuzz target\n  cargo xtask bench unit               the price of a packet on this machine"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test: format, lints, purity, unit, property, transcript and process tests, and those on a real Kubernetes.
    AllTests(tests::Arguments),
    /// Have the npm package `spread` talk through a real daemon (needs node and npm).
    Npm,
    /// Run the commands of README.md and docs/ as a reader would; check those that can't be run here.
    Docs {
        /// Only those of these documents.
        files: Vec<PathBuf>,
        /// Leave out those that need a cluster.
        #[arg(long)]
        no_kubernetes: bool,
    },
    /// Check that the pure crates reach neither IO nor clock, and that the check finds planted violations.
    Purity,
    /// Count the instructions of the hot paths and compare them with those written down (needs valgrind).
    Instructions(instructions::Arguments),
    /// Fuzz everything that parses bytes from elsewhere (needs a nightly toolchain and cargo-fuzz).
    Fuzz(fuzz::Arguments),
    /// Measure real daemons in network namespaces (needs root and `ip`).
    Bench(bench::Arguments),
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::AllTests(arguments) => tests::run(&arguments),
        Task::Npm => match npm::missing() {
            Some(missing) => anyhow::bail!(missing),
            None => npm::run(),
        },
        Task::Docs { files, no_kubernetes } => {
            let kubernetes = match no_kubernetes {
                true => Err("--no-kubernetes".to_owned()),
                false => kubernetes::missing_nodes()?.map_or(Ok(()), Err),
            };
            docs::run(kubernetes, &files)
        }
        Task::Purity => purity::run(),
        Task::Instructions(arguments) => match hot_path::missing() {
            Some(missing) => anyhow::bail!(missing),
            None => instructions::run(&arguments),
        },
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
    }
}
