//! False alarms: a busy ring beside processes that take all the CPU they get. No membership may change.

use super::cpu;
use super::daemons::{Binaries, Cluster, Options};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Daemons.
    #[arg(long, default_value_t = 5)]
    daemons: usize,
    /// Minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Processes that spin; as many as there are cores if left out.
    #[arg(long)]
    hogs: Option<usize>,
    /// Part of the highest rate that the stream has.
    #[arg(long, default_value_t = 0.8)]
    load: f64,
}

/// Processes that spin until this is dropped.
struct Hogs(Vec<Child>);

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

/// Measures: the highest rate beside the hogs, then a stream at a part of it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::find(&arguments.options)?;
    let cores = std::thread::available_parallelism()?.get();
    let hogs = arguments.hogs.unwrap_or(cores);
    println!("{}; {} daemons, {hogs} hogs", cpu::machine(), arguments.daemons);
    let mut cluster = Cluster::new(&binaries, arguments.daemons)?;
    cluster.start_all(0..arguments.daemons)?;
    let spin = || Command::new("sh").args(["-c", "while :; do :; done"]).spawn();
    let hogs = Hogs((0..hogs).map(|_| spin()).collect::<Result<_, _>>()?);
    let most = flood(&cluster, arguments.daemons, &["--duration", "5"])?;
    let most = most["messages_per_second"].as_f64().context("no rate")?;
    let rate = most * arguments.load;
    println!("highest rate beside them: {most:.0} msg/s; the stream has {rate:.0} msg/s");
    let seconds = (arguments.minutes * 60.0).to_string();
    let stream =
        flood(&cluster, arguments.daemons, &["--duration", &seconds, "--rate", &rate.to_string()])?;
    drop(hogs);
    let changes = cluster.configurations(0..arguments.daemons);
    println!(
        "{} minutes: {:.0} msg/s, p50 {} us, p99 {} us, longest gap {:.0} ms, {} lost, {} doubled; membership changes: {}",
        arguments.minutes,
        stream["messages_per_second"].as_f64().unwrap_or(f64::NAN),
        stream["latency_microseconds"]["p50"],
        stream["latency_microseconds"]["p99"],
        stream["longest_gap_milliseconds"].as_f64().unwrap_or(f64::NAN),
        stream["lost"],
        stream["doubled"],
        changes,
    );
    Ok(())
}

fn flood(cluster: &Cluster<'_>, daemons: usize, arguments: &[&str]) -> Result<Value> {
    let mut flood = cluster.flood();
    for slot in 0..daemons {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--bytes", "200"]).args(arguments).stdout(Stdio::piped());
    serde_json::from_slice(&flood.output()?.stdout).context("spread-flood's report")
}
