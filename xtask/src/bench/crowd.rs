//! Many daemons as processes: how soon they are one ring, and a stream while one is lost and comes back.

use super::cpu;
use super::daemons::{Binaries, Cluster, Options};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Daemons.
    #[arg(long, default_value_t = 64)]
    daemons: usize,
    /// Seconds of the stream; a daemon is killed after a third, and started again after two.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Messages per second of the stream, 200 bytes each.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
}

/// Measures, and prints a line for each figure.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::find(&arguments.options)?;
    let count = arguments.daemons;
    println!("{}; {count} daemons", cpu::machine());
    let mut cluster = Cluster::new(&binaries, count)?;
    let start = Instant::now();
    cluster.start_all(0..count)?;
    println!("one ring after {:.2} s from the first start", start.elapsed().as_secs_f64());
    let mut flood = cluster.flood();
    for slot in 0..count - 1 {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--bytes", "200", "--rate", &arguments.rate.to_string()]);
    flood.args(["--sending-daemons", "1", "--duration", &arguments.seconds.to_string()]);
    let flood = flood.stdout(Stdio::piped()).spawn().context("spread-flood")?;
    let third = Duration::from_secs_f64(arguments.seconds / 3.0);
    std::thread::sleep(third);
    cluster.stop(count - 1, "KILL")?;
    let left = cluster.cpu_nanoseconds()?;
    std::thread::sleep(third);
    let cores = (cluster.cpu_nanoseconds()? - left) as f64 / 1e9 / third.as_secs_f64();
    let killed = Instant::now();
    cluster.start(count - 1)?;
    cluster.wait_ring(0..count)?;
    println!("one ring again after {:.2} s from the restart", killed.elapsed().as_secs_f64());
    let output = flood.wait_with_output()?;
    let report: Value = serde_json::from_slice(&output.stdout).context("spread-flood's report")?;
    println!(
        "{} msg/s, p50 {} us, p99 {} us, longest gap {:.0} ms, {} lost, {} doubled, one order: {}, NETWORK views: {}; daemons use {cores:.2} cores",
        report["messages_per_second"],
        report["latency_microseconds"]["p50"],
        report["latency_microseconds"]["p99"],
        report["longest_gap_milliseconds"].as_f64().unwrap_or(f64::NAN),
        report["lost"],
        report["doubled"],
        report["one_order"],
        report["network_views"],
    );
    Ok(())
}
