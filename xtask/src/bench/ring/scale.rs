//! Many groups, and large messages beside small ones.

use super::Bench;
use super::figure::{Aim, Figure};
use super::sessions::judged;
use crate::bench::daemons::Cluster;
use crate::bench::session::Session;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Groups beside the one that is written to.
const GROUPS: usize = 100_000;
/// Receivers at each of the two daemons, together the members of that group.
const RECEIVERS: &str = "5";
/// How much dearer a message may be for all those groups.
const GROUPS_SHARE: f64 = 1.1;
/// Bytes of a large message.
const LARGE: &str = "8388608";

/// Seconds that no run takes: it is asked to end.
const LONGER: f64 = 3600.0;

/// Measures all rows.
pub fn run(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    groups(bench, show)?;
    large(bench, show)
}

/// What a message to ten members costs, before and after there are many groups.
fn groups(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let binaries = bench.binaries.sealing(true);
    let mut cluster = Cluster::new(&binaries, 2)?;
    cluster.start_all(0..2)?;
    let load = ["--receivers", RECEIVERS, "--sending-daemons", "1", "--bytes", "200"];
    let measure = || -> Result<Vec<f64>> {
        let one = |_| {
            let before = cluster.cpu_nanoseconds()?;
            let report = judged(&mut flood(&cluster, 2, bench.seconds, &load))?;
            let spent = (cluster.cpu_nanoseconds()? - before) as f64 / 1e3;
            Ok(spent / report["sent"].as_f64().context("no count")?)
        };
        (0..bench.runs).map(one).collect()
    };
    let few = measure()?;
    let begin = Instant::now();
    let mut joiner = Session::connect(&cluster.socket(0), "joiner", false)?;
    for number in 0..GROUPS {
        joiner.join(&format!("group{number}"))?;
    }
    wait_groups(&cluster)?;
    let rate = GROUPS as f64 / begin.elapsed().as_secs_f64();
    let many = measure()?;
    let share = many.iter().zip(&few).map(|(many, few)| many / few).collect();
    let name = "a message to a group of 10 members, 200 B: CPU with 100,000 other groups over CPU with none";
    show(Figure::new(name, "times", Aim::AtMost(GROUPS_SHARE), share));
    show(Figure::new("the same: CPU with none", "us", Aim::None, few));
    show(Figure::new("joins of one session to 100,000 groups", "1/s", Aim::None, vec![rate]));
    let memory = vec![cluster.resident_megabytes(0)?];
    show(Figure::new("memory of a daemon with 100,000 groups", "MB", Aim::None, memory));
    Ok(())
}

fn wait_groups(cluster: &Cluster<'_>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let known = |slot| -> Result<bool> {
        Ok(cluster.status(slot)?["groups"].as_u64().context("no count")? >= GROUPS as u64)
    };
    while !(known(0)? && known(1)?) {
        ensure!(Instant::now() < deadline, "not all groups are there after two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Small messages at a fixed rate, alone and beside large ones that the same daemon sends one after the other.
fn large(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let binaries = bench.binaries.sealing(true);
    let mut cluster = Cluster::new(&binaries, 3)?;
    cluster.start_all(0..3)?;
    let small = ["--bytes", "64", "--rate", "500", "--sending-daemons", "1"];
    let measure = || -> Result<Vec<f64>> {
        let one = |_| {
            let report = judged(&mut flood(&cluster, 3, bench.seconds, &small))?;
            let p99 = report["latency_microseconds"]["p99"].as_f64().context("no latency")?;
            Ok(p99 / 1000.0)
        };
        (0..bench.runs).map(one).collect()
    };
    let alone = measure()?;
    let sizes = ["--bytes", LARGE, "--message-bytes", "9000000", "--group", "large"];
    let mut beside = flood(&cluster, 3, LONGER, &sizes);
    beside.args(["--in-flight", "1", "--sending-daemons", "1"]);
    let beside = beside.stdout(Stdio::piped()).spawn().context("spread-flood")?;
    // Until it sends.
    std::thread::sleep(Duration::from_secs(2));
    let together = measure();
    let terminate = Command::new("kill").args(["-TERM", &beside.id().to_string()]).status();
    ensure!(terminate.is_ok_and(|status| status.success()), "the large messages ended early");
    let output = beside.wait_with_output()?;
    ensure!(output.status.success(), "the run of large messages does not count");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let p50 = report["latency_microseconds"]["p50"].as_f64().context("no latency")? / 1000.0;
    let name = "500 msg/s of 64 B beside 8 MiB messages of the same daemon, one in flight: p99";
    let note = format!("alone {:.1}; a large one takes {p50:.0}", middle(alone));
    show(Figure::new(name, "ms", Aim::None, together?).note(note));
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A flood of so many seconds through the first so many daemons.
fn flood(cluster: &Cluster<'_>, daemons: usize, seconds: f64, options: &[&str]) -> Command {
    let mut flood = cluster.flood();
    for slot in 0..daemons {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--duration", &seconds.to_string()]).args(options);
    flood
}
