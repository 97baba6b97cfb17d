//! Instructions of the pure hot paths: a change that makes them slower is seen on a machine that is too noisy to time it.
//!
//! `daemon/sim/examples/hot_path.rs` takes messages through whole daemons without sockets and clock, so each run takes the same
//! instructions; valgrind counts them. `xtask/instructions.json` has what they were.

use crate::hot_path::HotPath;
use crate::steps::root;
use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

/// Kept beside this crate's manifest.
const FILE: &str = "xtask/instructions.json";
/// More than this part above what is written down is slower; other versions of a C library make some difference.
const TOLERANCE: f64 = 0.05;

/// A way through the daemons.
struct Way {
    name: &'static str,
    options: &'static [&'static str],
    /// A message is delivered so many times.
    deliveries: u64,
}

const WAYS: [Way; 4] = [
    Way {
        name: "order and deliver 64 B, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=64"],
        deliveries: 8,
    },
    Way {
        name: "order and deliver 1350 B, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=1350"],
        deliveries: 8,
    },
    Way {
        name: "order and deliver 1350 B sealed, at each of 8 daemons",
        options: &["--daemons=8", "--bytes=1350", "--sealed"],
        deliveries: 8,
    },
    Way {
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

/// Counts the instructions of each path and compares them with those written down.
///
/// # Errors
/// A path takes more of them, or can't be counted.
pub fn run(arguments: &Arguments) -> Result<()> {
    let program = HotPath::build()?;
    let before = read()?;
    let mut now = Map::new();
    let mut slower: Vec<String> = Vec::new();
    println!("instructions for each delivery of a message (profile quick): before, now");
    for Way { name, options, deliveries } in WAYS {
        let counted = program.instructions(options)? / deliveries as f64;
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
