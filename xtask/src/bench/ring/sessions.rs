//! The clients' side: fan-out, joins with views, connections, memory.

use super::Bench;
use super::figure::{Aim, Figure};
use crate::bench::daemons::Cluster;
use crate::bench::netns::Network;
use crate::bench::session::Session;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::time::Instant;

/// Receivers of the fan-out; more than that the original does not take.
const RECEIVERS: &str = "996";
/// Clients that join one group, all with views.
const JOINERS: usize = 990;
/// Connections that are made as fast as they go, by so many threads.
const CONNECTIONS: usize = 4000;
const CONNECTING: usize = 4;
/// Sessions that do nothing.
const IDLE: usize = 10_000;

/// Measures all rows, each on a daemon of its own.
pub fn run(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let descriptors = u64::try_from(IDLE * 2)?;
    crate::bench::cpu::raise_descriptors(descriptors)?;
    fan_out(bench, show)?;
    let mut all = [const { Vec::new() }; 4];
    for _ in 0..bench.runs {
        let binaries = bench.binaries.sealing(true);
        let mut cluster = Cluster::new(&binaries, 1)?;
        cluster.start_all(0..1)?;
        all[0].push(cluster.resident_megabytes(0)?);
        let socket = cluster.socket(0);
        all[1].push(joins(&socket)?);
        all[2].push(connections(&socket)?);
        let idle: Vec<Session> = (0..IDLE)
            .map(|number| Session::connect(&socket, &format!("i{number}"), false))
            .collect::<Result<_>>()?;
        all[3].push(cluster.resident_megabytes(0)?);
        drop(idle);
    }
    let [start, joins, connections, idle] = all;
    let name = format!("{JOINERS} clients join one group with views, until the last has all");
    show(Figure::new(name, "s", Aim::AtMost(6.0), joins).note("the original 16.6"));
    let name = "connections accepted and in".to_owned();
    show(
        Figure::new(name, "1/s", Aim::AtLeast(10_000.0), connections)
            .note("the original 1,900 to 4,700"),
    );
    let name = "memory of a daemon at rest";
    show(Figure::new(name, "MB", Aim::AtMost(10.0), start).note("the original 3"));
    let name = format!("memory of a daemon with {IDLE} idle sessions, after the rows above");
    show(Figure::new(name, "MB", Aim::AtMost(80.0), idle));
    Ok(())
}

fn fan_out(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let binaries = bench.binaries.sealing(true);
    for (way, aim, theirs) in [("Unix", 1e6, "180,000"), ("TCP", 400e3, "55,000")] {
        let (mut rates, mut p50) = (Vec::new(), Vec::new());
        for _ in 0..bench.runs {
            let mut cluster = Cluster::new(&binaries, 1)?;
            cluster.start_all(0..1)?;
            let mut flood = match way {
                "Unix" => cluster.flood(),
                _ => cluster.flood_inside(0),
            };
            let tcp = PathBuf::from(format!("4803@{}", Network::address(0)));
            flood.arg("-s").arg(if way == "Unix" { cluster.socket(0) } else { tcp });
            flood.args([
                "--json",
                "--bytes",
                "200",
                "--receivers",
                RECEIVERS,
                "--in-flight",
                "100",
            ]);
            let report = judged(flood.args(["--duration", &bench.seconds.to_string()]))?;
            rates.push(report["deliveries_per_second"].as_f64().context("no rate")?);
            p50.push(report["latency_microseconds"]["p50"].as_f64().context("no latency")? / 1e3);
        }
        let name = format!("fan-out of one daemon, 200 B, {RECEIVERS} receivers, {way}");
        let note = format!("the original {theirs}");
        show(Figure::new(name.clone(), "1/s", Aim::AtLeast(aim), rates).note(note));
        show(Figure::new(format!("{name}: p50"), "ms", Aim::None, p50).note("100 in flight"));
    }
    Ok(())
}

/// The report of a flood that lost, doubled and reordered nothing.
pub(super) fn judged(flood: &mut Command) -> Result<Value> {
    let output = flood.output().context("spread-flood")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "the run does not count: {text}");
    serde_json::from_str(&text).context("spread-flood's report")
}

/// Seconds from the first join until everybody has the view of all.
fn joins(socket: &Path) -> Result<f64> {
    let mut sessions: Vec<Session> = (0..JOINERS)
        .map(|number| Session::connect(socket, &format!("j{number}"), true))
        .collect::<Result<_>>()?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let reading: Vec<_> = sessions
            .iter_mut()
            .map(|session| {
                scope.spawn(|| {
                    session.join("views")?;
                    session.wait_members(JOINERS)
                })
            })
            .collect();
        for one in reading {
            one.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
        }
        anyhow::Ok(())
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// Connections per second, each until it is a session.
fn connections(socket: &Path) -> Result<f64> {
    let begin = Barrier::new(CONNECTING + 1);
    let made = |thread: usize| {
        begin.wait();
        (0..CONNECTIONS / CONNECTING)
            .map(|number| Session::connect(socket, &format!("c{thread}x{number}"), false))
            .collect::<Result<Vec<_>>>()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..CONNECTING).map(|thread| scope.spawn(move || made(thread))).collect();
        begin.wait();
        let start = Instant::now();
        let mut kept = Vec::new();
        for thread in threads {
            kept.push(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
        }
        Ok(CONNECTIONS as f64 / start.elapsed().as_secs_f64())
    })
}
