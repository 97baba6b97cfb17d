//! The command line.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:
  spread-sim run --seeds 1000              a thousand clusters, each with its own faults
  spread-sim run --first 5000 --seeds 100  other ones
  spread-sim run --seeds 1000 --bug silent-merge   with a mistake in the daemons, which has to be found
  spread-sim replay 42                     everything that happens in seed 42
  spread-sim plan 42                       its faults and requests, as a scenario file
  spread-sim scenario daemon/sim/scenarios/*.txt

Exit status: 0 if every promise was kept, 1 if one was broken, 2 for a wrong command line.";

/// Simulates whole clusters and judges them by what the system promises.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run seeds until a promise is broken.
    Run {
        /// How many seeds.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// How many at the same time; 0: as many as there are processors.
        #[arg(long, default_value_t = 0)]
        jobs: usize,
        /// Do not stop at the first broken promise: list all seeds with one.
        #[arg(long)]
        keep_going: bool,
        /// Plant a mistake into the daemons and see at which seed it is found; `spread-sim bugs` lists them.
        #[arg(long, value_name = "NAME")]
        bug: Option<String>,
    },
    /// Run one seed and show its whole timeline.
    Replay {
        /// The seed.
        seed: u64,
        /// With this mistake planted.
        #[arg(long, value_name = "NAME")]
        bug: Option<String>,
    },
    /// List the mistakes that can be planted.
    Bugs,
    /// Show what a seed decides, as a scenario file.
    Plan {
        /// The seed.
        seed: u64,
    },
    /// Run text scenarios.
    Scenario {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Show the whole timeline.
        #[arg(long)]
        timeline: bool,
        /// With this mistake planted.
        #[arg(long, value_name = "NAME")]
        bug: Option<String>,
    },
}
