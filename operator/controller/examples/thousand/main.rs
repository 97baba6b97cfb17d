//! What a thousand SpreadClusters cost the operator: a real API server, the real program, and stub admin endpoints for all
//! daemons, one of twenty of which hangs. All of it in a network namespace of its own.
//!
//! ```console
//! $ cargo build --profile quick -p spread-operator
//! $ cargo run --profile quick -p spread-operator --example thousand
//! ```

mod fleet;
mod program;
mod stubs;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fleet::Fleet;
use program::Program;
use spread_e2e::ControlPlane;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest wait for any step.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How long the operator is watched when nothing is to be done.
const REST: Duration = Duration::from_secs(60);
/// How long to wait before that: what has just changed is looked at for a while.
const SETTLE: Duration = Duration::from_secs(60);
/// Edits whose effect is timed.
const EDITS: usize = 50;

/// Measure the operator with many objects (needs root for a network namespace, and Go once).
#[derive(Debug, Parser)]
struct Cli {
    /// SpreadClusters, of three daemons each.
    #[arg(long, default_value_t = 1000)]
    clusters: usize,
    /// One daemon of so many hangs.
    #[arg(long, default_value_t = 20)]
    hanging: usize,
    /// The operator's program; left out: the one beside this.
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
    /// Programs that are started in its place one after the other, after it has ended; left out: itself.
    #[arg(long, value_name = "FILE")]
    again: Vec<PathBuf>,
    /// Inside the namespace already.
    #[arg(long, hide = true)]
    inside: bool,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if !cli.inside {
        return enter();
    }
    let operator = match &cli.operator {
        Some(operator) => operator.clone(),
        None => beside()?,
    };
    let plane = ControlPlane::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&cli, &operator, &plane))
}

/// The same program in a network of its own: stubs have the port and addresses that daemons have.
fn enter() -> Result<()> {
    let own = std::env::current_exe()?;
    let script = "ip link set lo up && exec \"$@\"";
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", script, "thousand"])
        .arg(own)
        .arg("--inside")
        .args(std::env::args_os().skip(1))
        .status()
        .context("`unshare` of util-linux is needed")?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

fn beside() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(2).context("no folder")?;
    let operator = folder.join("spread-operator");
    let what = operator.display();
    ensure!(operator.is_file(), "{what} is not there: `cargo build -p spread-operator` makes it");
    Ok(operator)
}

async fn measure(cli: &Cli, operator: &Path, plane: &ControlPlane) -> Result<()> {
    let fleet = Fleet::new(plane, cli.clusters, cli.hanging).await?;
    let program = Program::start(operator, plane)?;
    let began = Instant::now();
    fleet.create().await?;
    fleet.wait_made().await?;
    say("objects created, all children made", began);
    let began = Instant::now();
    stubs::serve(&fleet).await?;
    fleet.create_pods().await?;
    say("pods created", began);
    let began = Instant::now();
    fleet.wait_settled().await?;
    say("all daemons asked, all status written", began);
    tokio::time::sleep(SETTLE).await;

    let (before, polls, writes) =
        (program.cpu_seconds()?, program.polls().await?, program.writes().await?);
    tokio::time::sleep(REST).await;
    let per_second = (program.polls().await? - polls) / REST.as_secs_f64();
    let written = program.writes().await? - writes;
    let share = (program.cpu_seconds()? - before) / REST.as_secs_f64();
    println!("at rest: {} MiB resident, {:.0} % of a core", program.resident_mib()?, share * 1e2);
    println!(
        "at rest: {per_second:.0} daemons asked a second, {written} writes in {} s",
        REST.as_secs()
    );
    println!("highest so far: {} MiB", program.highest_mib()?);

    let mut delays = fleet.time_edits(EDITS).await?;
    delays.sort();
    let [half, last] = [delays[delays.len() / 2], delays[delays.len() - 1]];
    let milliseconds = |delay: Duration| delay.as_secs_f64() * 1e3;
    println!(
        "edit to action: p50 {:.0} ms, longest of {EDITS} {:.0} ms",
        milliseconds(half),
        milliseconds(last)
    );

    program.end().await?;
    let itself = [operator.to_owned()];
    let programs = if cli.again.is_empty() { &itself[..] } else { &cli.again };
    for operator in programs {
        restart(cli, operator, plane).await?;
    }
    Ok(())
}

async fn restart(cli: &Cli, operator: &Path, plane: &ControlPlane) -> Result<()> {
    println!("{}", operator.display());
    let began = Instant::now();
    let program = Program::start(operator, plane)?;
    program.wait_passes(cli.clusters, PATIENCE).await?;
    say("restarted, every object passed once", began);
    println!("until then: {:.1} s of CPU", program.cpu_seconds()?);
    program.wait_told(cli.clusters, PATIENCE).await?;
    say("restarted, all daemons asked, all status as before", began);
    println!(
        "after the restart: {} MiB highest, {:.1} s of CPU, {} writes",
        program.highest_mib()?,
        program.cpu_seconds()?,
        program.writes().await?
    );
    program.end().await
}

fn say(what: &str, began: Instant) {
    println!("{what}: {:.1} s", began.elapsed().as_secs_f64());
}
