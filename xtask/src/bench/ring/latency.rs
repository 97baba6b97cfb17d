//! Open loop: how long a message takes, what a quiet ring costs, and one at rest.

use super::Bench;
use super::figure::{Aim, Figure};
use crate::bench::daemons::Cluster;
use crate::bench::throughput::{ORIGINAL_U, cell, original};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::time::Duration;

/// Messages per second of a quiet ring.
const QUIET_RATE: f64 = 1000.0;
/// Part of the highest rate that a busy ring carries.
const BUSY: f64 = 0.8;
/// Seconds over which a ring at rest is looked at.
const REST: Duration = Duration::from_secs(10);

/// Measures all rows.
pub fn run(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let binaries = bench.binaries.sealing(true);
    quiet(bench, &start(&binaries, 5)?, show)?;
    let u = bench.unit()?;
    let cluster = start(&binaries, 8)?;
    busy(bench, &cluster, u, show)?;
    rest(bench, &cluster, show)
}

fn start(binaries: &super::Binaries, daemons: usize) -> Result<Cluster<'_>> {
    let mut cluster = Cluster::new(binaries, daemons)?;
    cluster.start_all(0..daemons)?;
    Ok(cluster)
}

/// 1,000 messages of 200 bytes a second, from one daemon and from five.
fn quiet(bench: &Bench, cluster: &Cluster<'_>, show: &mut impl FnMut(Figure)) -> Result<()> {
    for senders in ["1", "5"] {
        let (mut cores, mut p50, mut p99) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.runs {
            let before = cluster.cpu_nanoseconds()?;
            let rate = QUIET_RATE.to_string();
            let load = ["--bytes", "200", "--rate", &rate, "--sending-daemons", senders];
            let report = flood(bench, cluster, 5, &load)?;
            let spent = (cluster.cpu_nanoseconds()? - before) as f64 / 1e9;
            // By message: seconds in which nothing was sent would make it look cheaper.
            cores.push(spent / report["sent"].as_f64().context("no count")? * QUIET_RATE);
            p50.push(microseconds(&report, "p50")?);
            p99.push(microseconds(&report, "p99")?);
        }
        let name = format!("5 daemons, 1,000 msg/s of 200 B, senders: {senders}, sealed");
        let one = senders == "1";
        let [cores_aim, p50_aim, p99_aim] = match one {
            true => [Aim::AtMost(0.25), Aim::AtMost(200.0), Aim::AtMost(500.0)],
            false => [Aim::None, Aim::AtMost(250.0), Aim::None],
        };
        let note = if one { "the original 0.77 to 0.80" } else { "" };
        show(Figure::new(format!("{name}: CPU"), "cores", cores_aim, cores).note(note));
        let note = if one { "the original 347 to 351" } else { "" };
        show(Figure::new(format!("{name}: p50"), "us", p50_aim, p50).note(note));
        let note = if one { "the original 644 to 1,371" } else { "" };
        show(Figure::new(format!("{name}: p99"), "us", p99_aim, p99).note(note));
    }
    Ok(())
}

/// At four fifths of what the original carries, and of what this ring carries.
fn busy(bench: &Bench, cluster: &Cluster<'_>, u: f64, show: &mut impl FnMut(Figure)) -> Result<()> {
    let theirs = original(8, 1350, "agreed").map(|(rate, _)| rate * ORIGINAL_U / u);
    let ours = cell(cluster, 8, 1350, "agreed", bench.seconds, &[])?.0;
    let rows = [
        ("the original's", theirs, 5.0, "the original 15 to 216 ms"),
        ("its own", Some(ours), 20.0, ""),
    ];
    for (whose, most, aim, note) in rows {
        let Some(most) = most else { continue };
        let rate = format!("{:.0}", most * BUSY);
        let mut p99 = Vec::new();
        for _ in 0..bench.runs {
            let report = flood(bench, cluster, 8, &["--bytes", "1350", "--rate", &rate])?;
            p99.push(microseconds(&report, "p99")? / 1000.0);
        }
        let name =
            format!("8 daemons, 1350 B, {rate} msg/s (80 % of {whose} highest), sealed: p99");
        show(Figure::new(name, "ms", Aim::AtMost(aim), p99).note(note));
    }
    Ok(())
}

/// Nothing to do.
fn rest(bench: &Bench, cluster: &Cluster<'_>, show: &mut impl FnMut(Figure)) -> Result<()> {
    let mut cores = Vec::new();
    for _ in 0..bench.runs {
        let before = cluster.cpu_nanoseconds()?;
        std::thread::sleep(REST);
        cores.push((cluster.cpu_nanoseconds()? - before) as f64 / 1e9 / REST.as_secs_f64());
    }
    let note = "the original 0.001";
    show(Figure::new("8 daemons at rest: CPU", "cores", Aim::AtMost(0.005), cores).note(note));
    Ok(())
}

fn flood(bench: &Bench, cluster: &Cluster<'_>, daemons: usize, load: &[&str]) -> Result<Value> {
    let mut flood = cluster.flood();
    for slot in 0..daemons {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--duration", &bench.seconds.to_string()]).args(load);
    let output = flood.output().context("spread-flood")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "the run does not count: {text}");
    serde_json::from_str(&text).context("spread-flood's report")
}

fn microseconds(report: &Value, which: &str) -> Result<f64> {
    report["latency_microseconds"][which].as_f64().context("no latency")
}
