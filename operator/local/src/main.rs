//! `spread-local`: a `SpreadCluster` manifest as real processes on this machine, planned by the same
//! planner as in Kubernetes.

mod admin;
mod daemon;
mod manifest;
mod probe;
mod program;
mod run_dir;
mod show;
mod supervise;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Runs a SpreadCluster on this machine.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  spread-local up examples/orders.yaml
  spread-local up orders.yaml --base-port 5803 --dir /tmp/orders --keep";

#[derive(Subcommand)]
enum Command {
    /// Starts the manifest's daemons and follows edits of it until Ctrl-C.
    Up(Up),
}

/// Options of `up`.
#[derive(clap::Args)]
struct Up {
    /// The manifest.
    file: PathBuf,
    /// Folder for configuration, key, sockets and logs; it must not exist. Default: a temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Client port of d0; each further slot is 10 higher.
    #[arg(long, default_value_t = 4803)]
    base_port: u16,
    /// Leave the folder when done.
    #[arg(long)]
    keep: bool,
    /// The daemon program. Default: the one beside this program, built if need be.
    #[arg(long)]
    spreadd: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Command::Up(up) = Cli::parse().command;
    let cluster = manifest::read_new(&up.file)?;
    let spreadd = match &up.spreadd {
        Some(given) => given.clone(),
        None => program::find_or_build()?,
    };
    let run_dir = run_dir::RunDir::create(up.dir.as_deref(), up.keep)?;
    supervise::Supervisor::new(up.file, cluster, run_dir, spreadd, up.base_port)?.run().await
}
