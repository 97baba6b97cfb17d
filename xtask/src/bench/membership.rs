//! What a membership change costs those who go on: a stream runs while a daemon starts, stops or is killed.

use super::cpu;
use super::daemons::{Binaries, Cluster, Options};
use super::session::Session;
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Daemons beside the one that comes or goes.
    #[arg(long, default_value_t = 4)]
    daemons: usize,
    /// Runs of each event.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Messages per second of the stream, 200 bytes each, from a sender at the first daemon.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
}

#[derive(Clone, Copy)]
enum Event {
    Nothing,
    Start,
    Stop,
    Kill,
}

/// Seconds of one run, and when the event is.
const SECONDS: f64 = 4.0;
const EVENT_AT: Duration = Duration::from_millis(2500);

/// Measures all events and prints the table.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::find(&arguments.options)?;
    println!("{}; {} daemons and one that changes", cpu::machine(), arguments.daemons);
    println!(
        "| event | longest gap at the others, ms: median | range | lost | NETWORK views | join seen elsewhere, ms: median | range |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, event) in [
        ("nothing (noise floor)", Event::Nothing),
        ("a daemon starts in a spare slot", Event::Start),
        ("a daemon stops in order", Event::Stop),
        ("a daemon is killed", Event::Kill),
    ] {
        let (mut gaps, mut joins, mut lost, mut views) = (Vec::new(), Vec::new(), 0, 0);
        for _ in 0..arguments.runs {
            let (report, join) = one(&binaries, arguments, event)?;
            gaps.push(report["longest_gap_milliseconds"].as_f64().context("no gap")?);
            lost += report["lost"].as_u64().context("no count of losses")?;
            views += report["network_views"].as_u64().context("no count of views")?;
            joins.extend(join.map(|join| join.as_secs_f64() * 1e3));
        }
        println!("| {name} | {} | {lost} | {views} | {} |", spread(&mut gaps), spread(&mut joins));
    }
    Ok(())
}

fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    match &*values {
        [] => " | ".to_owned(),
        [first, .., last] => {
            format!("{:.1} | {first:.1} to {last:.1}", values[values.len() / 2])
        }
        [only] => format!("{only:.1} | {only:.1}"),
    }
}

/// One run: the flood's report, and how long after the start the first client's join was seen.
fn one(
    binaries: &Binaries,
    arguments: &Arguments,
    event: Event,
) -> Result<(Value, Option<Duration>)> {
    let others = arguments.daemons;
    let mut cluster = Cluster::new(binaries, others + 1)?;
    let first = if matches!(event, Event::Stop | Event::Kill) { others + 1 } else { others };
    cluster.start_all(0..first)?;
    let mut watcher = Session::connect(&cluster.socket(0), "watcher", true)?;
    watcher.join("probe")?;
    watcher.wait_members(1)?;
    let mut flood = cluster.flood();
    for slot in 0..others {
        flood.arg("-s").arg(cluster.socket(slot));
    }
    flood.args(["--json", "--bytes", "200", "--rate", &arguments.rate.to_string()]);
    flood.args(["--sending-daemons", "1", "--duration", &SECONDS.to_string()]);
    let flood = flood.stdout(Stdio::piped()).spawn().context("spread-flood")?;
    std::thread::sleep(EVENT_AT);
    let mut join = None;
    match event {
        Event::Nothing => {}
        Event::Start => {
            let start = Instant::now();
            cluster.start(others)?;
            cluster.wait_for_socket(others)?;
            let mut session = Session::connect(&cluster.socket(others), "first", true)?;
            session.join("probe")?;
            watcher.wait_members(2)?;
            join = Some(start.elapsed());
        }
        Event::Stop => cluster.stop(others, "TERM")?,
        Event::Kill => cluster.stop(others, "KILL")?,
    }
    let output = flood.wait_with_output()?;
    let report = serde_json::from_slice(&output.stdout).context("spread-flood's report")?;
    Ok((report, join))
}
