//! What a membership change costs those who go on: a stream runs while a daemon starts, stops or is killed.

use super::cpu;
use super::daemons::{Binaries, Cluster, Options};
use super::session::Session;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Daemons beside the one that comes or goes.
    #[arg(long, default_value_t = STREAM.others)]
    daemons: usize,
    /// Runs of each event.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Messages per second of the stream, 200 bytes each, from a sender at the first daemon.
    #[arg(long, default_value_t = STREAM.rate)]
    rate: f64,
}

/// What may happen to a daemon.
#[derive(Clone, Copy)]
enum Event {
    Nothing,
    Start,
    Stop,
    Kill,
}

/// All of them, nothing first: the noise floor.
const EVENTS: [(&str, Event); 4] = [
    ("nothing (noise floor)", Event::Nothing),
    ("a daemon starts in a spare slot", Event::Start),
    ("a daemon stops in order", Event::Stop),
    ("a daemon is killed", Event::Kill),
];

/// What flows meanwhile: 200 bytes a message, from a sender at the first daemon.
#[derive(Clone, Copy)]
struct Stream {
    /// Daemons beside the one that comes or goes.
    others: usize,
    /// Messages per second.
    rate: f64,
}

/// Unless something else is asked for.
const STREAM: Stream = Stream { others: 4, rate: 1000.0 };

/// What came of one event.
#[derive(Default)]
pub struct Measured {
    /// Longest gap at the others, for each run, in milliseconds.
    pub gaps: Vec<f64>,
    /// From the start of a daemon to its first client's join elsewhere, in milliseconds.
    pub joins: Vec<f64>,
    lost: u64,
    /// NETWORK views.
    views: u64,
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
    let stream = Stream { others: arguments.daemons, rate: arguments.rate };
    for (name, event) in EVENTS {
        let Measured { mut gaps, mut joins, lost, views } =
            measure(&binaries, stream, event, arguments.runs)?;
        println!("| {name} | {} | {lost} | {views} | {} |", spread(&mut gaps), spread(&mut joins));
    }
    Ok(())
}

/// The same as rows of `cargo bench-ring`: what happens, and what came of it.
///
/// # Errors
/// A daemon does not start, or a message was lost.
pub fn rows(binaries: &Binaries, runs: usize) -> Result<Vec<(&'static str, Measured)>> {
    let row = |(name, event)| {
        let measured = measure(binaries, STREAM, event, runs)?;
        let lost = measured.lost;
        ensure!(lost == 0, "{name}: {lost} deliveries are missing, so the run does not count");
        Ok((name, measured))
    };
    EVENTS.into_iter().map(row).collect()
}

fn measure(binaries: &Binaries, stream: Stream, event: Event, runs: usize) -> Result<Measured> {
    let mut measured = Measured::default();
    for _ in 0..runs {
        let (report, join) = one(binaries, stream, event)?;
        measured.gaps.push(report["longest_gap_milliseconds"].as_f64().context("no gap")?);
        measured.lost += report["lost"].as_u64().context("no count of losses")?;
        measured.views += report["network_views"].as_u64().context("no count of views")?;
        measured.joins.extend(join.map(|join| join.as_secs_f64() * 1e3));
    }
    Ok(measured)
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
fn one(binaries: &Binaries, stream: Stream, event: Event) -> Result<(Value, Option<Duration>)> {
    let Stream { others, rate } = stream;
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
    flood.args(["--json", "--bytes", "200", "--rate", &rate.to_string()]);
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
