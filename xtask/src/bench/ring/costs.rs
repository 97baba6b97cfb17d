//! Where a message's time goes: what the ring does for one, and what the processor does meanwhile.

use super::Bench;
use super::picture::Bar;
use super::stacks::{self, Doing};
use crate::bench::daemons::Cluster;
use crate::hot_path::{self, HotPath};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

/// Daemons and bytes of the cells that are looked into.
const CELLS: [(usize, usize); 3] = [(8, 1350), (8, 64), (3, 1350)];
/// Samples of the profile a second: no multiple of a timer's.
const SAMPLES: &str = "997";
/// Functions that are listed.
const FUNCTIONS: usize = 25;

/// Measures, and tells it as text; with `perf` as bars, too.
pub fn run(bench: &Bench) -> Result<(String, Vec<Bar>)> {
    let mut text = String::from("Where a message's time goes\n");
    let mut bars = Vec::new();
    for (daemons, bytes) in CELLS {
        bars.extend(one(bench, daemons, bytes, &mut text)?);
        copies(daemons, bytes, &mut text)?;
    }
    Ok((text, bars))
}

/// Bytes that the daemons' own code copies, without sockets and so without the kernel's copies.
fn copies(daemons: usize, bytes: usize, text: &mut String) -> Result<()> {
    if let Some(why) = hot_path::missing() {
        writeln!(text, "  (copies are not counted: {why})")?;
        return Ok(());
    }
    let options = [format!("--daemons={daemons}"), format!("--bytes={bytes}")];
    let copied = HotPath::build()?.copied_bytes(&options.each_ref().map(String::as_str))?;
    let delivered = (daemons * bytes) as f64;
    writeln!(
        text,
        "  {:.2} bytes copied for each byte of a message delivered, in the same daemons without sockets (one of them for the kernel's receipt)",
        copied / delivered
    )?;
    Ok(())
}

fn one(bench: &Bench, daemons: usize, bytes: usize, text: &mut String) -> Result<Option<Bar>> {
    let binaries = bench.binaries.sealing(false);
    let mut cluster = Cluster::new(&binaries, daemons)?;
    cluster.start_all(0..daemons)?;
    let before = counters(&cluster, daemons);
    let watching = Watching::start(&cluster.pids(), bench.seconds)?;
    let mut flood = cluster.flood();
    for slot in 0..daemons {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--bytes", &bytes.to_string(), "--duration", &bench.seconds.to_string()]);
    let spent = cluster.cpu_nanoseconds()?;
    let output = flood.output().context("spread-flood")?;
    let spent = (cluster.cpu_nanoseconds()? - spent) as f64 / 1e3;
    ensure!(output.status.success(), "the run does not count");
    let report: Value = serde_json::from_slice(&output.stdout).context("spread-flood's report")?;
    let sent = report["sent"].as_f64().context("no count")?;
    writeln!(
        text,
        "\n{daemons} daemons, {bytes} B, clear: {:.0} msg/s, {:.1} us of all daemons per message",
        report["messages_per_second"].as_f64().unwrap_or(f64::NAN),
        spent / sent
    )?;
    let after = counters(&cluster, daemons);
    for name in
        ["packets_ordered", "packets_sent", "packets_received", "token_visits", "retransmissions"]
    {
        let count = after.get(name).zip(before.get(name)).map(|(after, before)| after - before);
        if let Some(count) = count {
            writeln!(text, "  {name} of all daemons per message: {:.3}", count / sent)?;
        }
    }
    let shares = watching.report(sent, text)?;
    let (name, microseconds) = (format!("{daemons} daemons, {bytes} B"), spent / sent);
    for (doing, share) in shares.iter().flatten() {
        writeln!(text, "  {:6.2} us  {}", microseconds * share, doing.name())?;
    }
    Ok(shares.map(|shares| Bar { name, microseconds, shares }))
}

/// Counters of all daemons, summed; empty for daemons without our admin endpoint.
fn counters(cluster: &Cluster<'_>, daemons: usize) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for slot in 0..daemons {
        let Ok(status) = cluster.status(slot) else { continue };
        for (name, value) in status["counters"].as_object().into_iter().flatten() {
            *sums.entry(name.clone()).or_default() += value.as_f64().unwrap_or(0.0);
        }
    }
    sums
}

/// `perf`, where it is installed: system calls and a profile of all daemons.
struct Watching {
    calls: Option<Child>,
    profile: Option<Child>,
    folder: std::path::PathBuf,
}

impl Watching {
    fn start(pids: &[u32], seconds: f64) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("spread-costs-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let whole = (seconds + 1.0).to_string();
        let perf = |arguments: &[&str]| {
            let mut command = Command::new("perf");
            command.args(arguments).args(["-p", &pids, "--", "sleep", &whole]);
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        };
        let (calls, profile) = (folder.join("calls"), folder.join("profile"));
        let calls = perf(&[
            "stat",
            "-x",
            ",",
            "-e",
            "raw_syscalls:sys_enter,context-switches",
            "-o",
            &calls.to_string_lossy(),
        ]);
        let profile =
            perf(&["record", "-q", "-g", "-F", SAMPLES, "-o", &profile.to_string_lossy()]);
        Ok(Self { calls, profile, folder })
    }

    /// Returns which parts of the time went where, if there is a profile.
    fn report(mut self, sent: f64, text: &mut String) -> Result<Option<Vec<(Doing, f64)>>> {
        for mut child in self.calls.take().into_iter().chain(self.profile.take()) {
            child.wait()?;
        }
        let counted = std::fs::read_to_string(self.folder.join("calls")).unwrap_or_default();
        for line in counted.lines() {
            let mut fields = line.split(',');
            let (count, name) =
                (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
            if let Ok(count) = count.parse::<f64>() {
                let name = if name.starts_with("raw_syscalls") { "system calls" } else { name };
                writeln!(text, "  {name} of all daemons per message: {:.3}", count / sent)?;
            }
        }
        let profile = self.folder.join("profile");
        let perf = |arguments: &[&str]| {
            let output = Command::new("perf").args(arguments).arg("-i").arg(&profile).output();
            output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let by_symbol = ["report", "--stdio", "--no-children", "-g", "none", "--sort", "symbol"];
        let Some(shown) = perf(&by_symbol) else {
            writeln!(text, "  (no profile: `perf` is not installed)")?;
            return Ok(None);
        };
        let lines = shown.lines().map(str::trim_end).filter(|line| !line.is_empty());
        for line in lines.filter(|line| !line.starts_with('#')).take(FUNCTIONS) {
            // Behind each line perf prints columns that have nothing here.
            writeln!(text, "  {}", line.trim_matches([' ', '-']))?;
        }
        Ok(perf(&["script", "-F", "ip,sym"]).and_then(|script| stacks::shares(&script)))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
