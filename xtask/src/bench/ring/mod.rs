//! `cargo bench-ring`: figures of ring and clients' side, with what they should reach and what the original reached, from one
//! command.
//!
//! Each row is measured in several runs, with the unit u beside them: a cost is compared in u, a rate with the original's
//! at the same u. A run that lost, doubled or reordered a message ends the measurement.

mod cells;
mod costs;
mod figure;
mod latency;
mod membership;
mod picture;
mod scale;
mod sessions;
mod stacks;

use super::daemons::{Binaries, Options};
use super::{cpu, unit};
use anyhow::{Context as _, Result, ensure};
use figure::Figure;
use std::path::{Path, PathBuf};

/// What to measure.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo bench-ring --quick             the main rows, with short runs\n  cargo bench-ring --only sessions --runs 5\n  cargo bench-ring --daemon 'spread -c {conf} -n {name}' --no-encryption    another daemon in our daemon's place"
)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Only the main rows, with short runs.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Runs of each row.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds of each run; 3, or 2 with --quick.
    #[arg(long)]
    seconds: Option<f64>,
    /// Draw where a message's time goes, as SVG (part `costs`).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Write the figures as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Closed loop: CPU per message and messages per second.
    Cells,
    /// Open loop: delay, CPU at low load and at rest.
    Latency,
    /// Fan-out, joins with views, connections, memory.
    Sessions,
    /// Many groups, large messages beside small ones.
    Scale,
    /// What those wait for who go on while a daemon comes or goes.
    Membership,
    /// Where a message's time goes: packets, token visits, system calls, shares of the profile.
    Costs,
}

/// What all parts need.
pub struct Bench {
    binaries: Binaries,
    runs: usize,
    seconds: f64,
    quick: bool,
}

impl Bench {
    /// The unit on this machine now, in microseconds.
    fn unit(&self) -> Result<f64> {
        unit::measure(&unit::Arguments::default())
    }
}

/// Draws the picture, where it is wanted and there was a profile.
fn draw(bars: &[picture::Bar], file: Option<&Path>) -> Result<()> {
    let Some(file) = file else { return Ok(()) };
    ensure!(!bars.is_empty(), "no picture: there is no profile without `perf`");
    std::fs::write(file, picture::draw(bars, &cpu::machine()))
        .with_context(|| format!("{} can't be written", file.display()))
}

/// Measures and prints.
pub fn run(arguments: &Arguments) -> Result<()> {
    let binaries = Binaries::find(&arguments.options)?;
    let quick = arguments.quick;
    let seconds = arguments.seconds.unwrap_or(if quick { 2.0 } else { 3.0 });
    let bench = Bench { binaries, runs: arguments.runs.max(1), seconds, quick };
    let u = bench.unit()?;
    println!("{}; u = {u:.2} us; {} runs of {seconds} s", cpu::machine(), bench.runs);
    let parts: &[Part] = match (&*arguments.only, quick) {
        ([], true) => &[Part::Cells, Part::Latency],
        ([], false) => &[
            Part::Cells,
            Part::Latency,
            Part::Membership,
            Part::Sessions,
            Part::Scale,
            Part::Costs,
        ],
        (only, _) => only,
    };
    println!("{}", Figure::HEAD);
    let mut all = Vec::new();
    let mut texts = Vec::new();
    for part in parts {
        let mut show = |figure: Figure| {
            println!("{figure}");
            all.push(figure);
        };
        match part {
            Part::Cells => cells::run(&bench, &mut show)?,
            Part::Latency => latency::run(&bench, &mut show)?,
            Part::Membership => membership::run(&bench, &mut show)?,
            Part::Sessions => sessions::run(&bench, &mut show)?,
            Part::Scale => scale::run(&bench, &mut show)?,
            Part::Costs => {
                let (text, bars) = costs::run(&bench)?;
                texts.push(text);
                draw(&bars, arguments.picture.as_deref())?;
            }
        }
    }
    texts.iter().for_each(|text| println!("\n{text}"));
    if let Some(file) = &arguments.json {
        let figures: Vec<_> = all.iter().map(Figure::json).collect();
        let report = serde_json::json!({ "machine": cpu::machine(), "u_microseconds": u, "figures": figures });
        std::fs::write(file, serde_json::to_string_pretty(&report)? + "\n")?;
    }
    Ok(())
}
