//! Throughput and CPU per message, closed loop, against the original's figures at the same u.

use super::daemons::{Binaries, Cluster, Options};
use super::{cpu, unit};
use anyhow::{Context, Result};
use serde_json::Value;

/// The original's unit on the machine of its tables, in microseconds (`performance.md` of the reference).
pub const ORIGINAL_U: f64 = 16.4;

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Numbers of daemons.
    #[arg(long, value_delimiter = ',', default_value = "3,8")]
    daemons: Vec<usize>,
    /// Sizes of messages in bytes.
    #[arg(long, value_delimiter = ',', default_value = "64,1350,100000")]
    bytes: Vec<usize>,
    /// Services.
    #[arg(long, value_delimiter = ',', default_value = "agreed,safe")]
    services: Vec<String>,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Runs of each cell; the median counts.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// The original's rate in messages per second and CPU of all daemons per message in microseconds, unicast.
pub fn original(daemons: usize, bytes: usize, service: &str) -> Option<(f64, f64)> {
    Some(match (daemons, bytes, service) {
        (3, 64, "agreed") => (57_500.0, 19.5),
        (3, 1350, "agreed") => (23_200.0, 51.1),
        (3, 100_000, "agreed") => (559.0, 2_409.0),
        (8, 64, "agreed") => (20_500.0, 56.6),
        (8, 1350, "agreed") => (9_630.0, 158.0),
        (8, 100_000, "agreed") => (144.0, 10_321.0),
        (3, 64, "safe") => (49_100.0, 23.1),
        (3, 1350, "safe") => (26_600.0, 48.7),
        (3, 100_000, "safe") => (541.0, 2_531.0),
        (8, 64, "safe") => (18_900.0, 63.5),
        (8, 1350, "safe") => (9_140.0, 163.0),
        (8, 100_000, "safe") => (142.0, 10_398.0),
        _ => return None,
    })
}

/// Measures all cells and prints the table.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::find(&arguments.options)?;
    let u = unit::measure(&unit::Arguments::default())?;
    let sealed = if binaries.encryption { "sealed" } else { "in clear text" };
    println!("{}; u = {u:.2} us; ring packets {sealed}", cpu::machine());
    println!(
        "| daemons | bytes | service | msg/s | CPU/msg us | CPU/msg u | original at this u: msg/s | CPU/msg u | rate x | CPU x |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for daemons in &arguments.daemons {
        let mut cluster = Cluster::new(&binaries, *daemons)?;
        cluster.start_all(0..*daemons)?;
        for bytes in &arguments.bytes {
            for service in &arguments.services {
                let mut runs = (0..arguments.runs)
                    .map(|_| cell(&cluster, *daemons, *bytes, service, arguments.seconds, &[]))
                    .collect::<Result<Vec<_>>>()?;
                runs.sort_by(|a, b| a.0.total_cmp(&b.0));
                let (rate, cost) = runs[runs.len() / 2];
                let mut line = format!(
                    "| {daemons} | {bytes} | {service} | {rate:.0} | {cost:.1} | {:.2} |",
                    cost / u
                );
                if let Some((their_rate, their_cost)) = original(*daemons, *bytes, service) {
                    let their_rate = their_rate * ORIGINAL_U / u;
                    let their_cost = their_cost / ORIGINAL_U;
                    line += &format!(
                        " {their_rate:.0} | {their_cost:.2} | {:.2} | {:.2} |",
                        rate / their_rate,
                        cost / u / their_cost
                    );
                }
                println!("{line}");
            }
        }
    }
    Ok(())
}

/// Messages per second, and CPU of all daemons per message in microseconds; with further options for the flood.
pub fn cell(
    cluster: &Cluster<'_>,
    daemons: usize,
    bytes: usize,
    service: &str,
    seconds: f64,
    options: &[&str],
) -> Result<(f64, f64)> {
    let in_flight = if bytes >= 50_000 { 80 } else { 800 };
    let mut flood = cluster.flood();
    for slot in 0..daemons {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--service", service, "--bytes", &bytes.to_string()]);
    flood.args(["--in-flight", &in_flight.to_string(), "--duration", &seconds.to_string()]);
    flood.args(options);
    let before = cluster.cpu_nanoseconds()?;
    let output = flood.output().context("spread-flood")?;
    let spent = cluster.cpu_nanoseconds()? - before;
    anyhow::ensure!(
        output.status.success(),
        "spread-flood: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let rate = report["messages_per_second"].as_f64().context("no rate")?;
    let sent = report["sent"].as_f64().context("no count")?;
    Ok((rate, spent as f64 / 1e3 / sent))
}
