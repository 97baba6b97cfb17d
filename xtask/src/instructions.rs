//! Instructions of the pure hot paths: a change that makes them slower is seen on a machine that is too noisy to time it.
//!
//! `daemon/sim/examples/hot_path.rs` takes messages through whole daemons without sockets and clock, so each run takes the same
//! instructions; valgrind counts them. `xtask/instructions.json` has what they were.

use crate::steps::{cargo, check, root};
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Kept beside this crate's manifest.
const FILE: &str = "xtask/instructions.json";
/// More than this part above what is written down is slower; other versions of a C library make some difference.
const TOLERANCE: f64 = 0.05;
/// Messages of the two runs: what they do not have in common is messages alone, without the start.
const MESSAGES: [u64; 2] = [2_400, 4_800];

/// A path through the daemons.
struct HotPath {
    name: &'static str,
    options: &'static [&'static str],
    /// A message is delivered so many times.
    deliveries: u64,
}

const PATHS: [HotPath; 4] = [
    HotPath {
        name: "order and deliver 64 B, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=64"],
        deliveries: 8,
    },
    HotPath {
        name: "order and deliver 1350 B, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=1350"],
        deliveries: 8,
    },
    HotPath {
        name: "order and deliver 1350 B sealed, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=1350", "--sealed"],
        deliveries: 8,
    },
    HotPath {
        name: "fan out 200 B, to each of 100 sessions of a daemon",
        options: &["--daemons=1", "--bytes=200", "--sessions=100"],
        deliveries: 100,
    },
];

/// What to do with the figures.
#[derive(Default, clap::Args)]
pub struct Arguments {
    /// Write down what is counted now.
    #[arg(long)]
    write: bool,
}

/// Why instructions can't be counted here.
pub fn missing() -> Option<String> {
    let found = Command::new("valgrind").arg("--version").output();
    match found.is_ok_and(|output| output.status.success()) {
        true => None,
        false => Some("valgrind is not there: install it".to_owned()),
    }
}

/// Counts the instructions of each path and compares them with those written down.
///
/// # Errors
/// A path takes more of them, or can't be counted.
pub fn run(arguments: &Arguments) -> Result<()> {
    let program = build()?;
    let before = read()?;
    let mut now = Map::new();
    let mut slower: Vec<String> = Vec::new();
    println!("instructions for each delivery of a message (profile quick): before, now");
    for HotPath { name, options, deliveries } in PATHS {
        let counted = count(&program, options)? / deliveries as f64;
        let known = before.get(name).and_then(Value::as_f64);
        let change = known.map_or(0.0, |known| counted / known - 1.0);
        let known_text = known.map_or_else(|| "-".to_owned(), |known| format!("{known:.0}"));
        println!("  {name:54} {known_text:>7} {counted:7.0}  {:+.1} %", change * 100.0);
        if change > TOLERANCE {
            slower.push(format!("{name}: {known_text} -> {counted:.0}"));
        }
        now.insert(name.to_owned(), Value::from(counted.round() as u64));
    }
    if arguments.write {
        std::fs::write(root().join(FILE), format!("{:#}\n", Value::Object(now)))
            .with_context(|| format!("{FILE} can't be written"))?;
        return Ok(());
    }
    ensure!(
        slower.is_empty(),
        "slower than {FILE} says:\n  {}\nIf it has to be, write it down and say why in the commit: cargo xtask instructions --write",
        slower.join("\n  ")
    );
    Ok(())
}

fn read() -> Result<Map<String, Value>> {
    let path = root().join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error).with_context(|| format!("{FILE} can't be read")),
    };
    serde_json::from_str(&text).with_context(|| format!("{FILE} can't be read"))
}

/// The example, built as the simulator's tests are.
fn build() -> Result<PathBuf> {
    let example = ["--locked", "--profile", "quick", "-p", "spread-sim", "--example", "hot_path"];
    check(cargo(&["build", "--quiet"]).args(example))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("quick/examples/hot_path"))
}

/// Instructions for a message, all its deliveries together.
fn count(program: &Path, options: &[&str]) -> Result<f64> {
    let [few, many] = MESSAGES.map(|messages| refs(program, options, messages));
    let difference = many?.checked_sub(few?).context("more messages took fewer instructions")?;
    Ok(difference as f64 / (MESSAGES[1] - MESSAGES[0]) as f64)
}

fn refs(program: &Path, options: &[&str], messages: u64) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(options)
        .arg(format!("--messages={messages}"));
    let output = valgrind.output().context("valgrind could not be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{valgrind:?} ended with {}:\n{said}", output.status);
    let line = said.lines().find_map(|line| line.split_once("refs:"));
    let (_, figure) = line.with_context(|| format!("valgrind counts nothing:\n{said}"))?;
    let digits: String = figure.chars().filter(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("no figure: {figure}"))
}
