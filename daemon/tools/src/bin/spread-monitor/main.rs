//! `spread-monitor`: the daemons of a ring, live in a terminal or once as text or JSON.
//!
//! ```text
//! watch (asks the admin endpoints) → overview (pure: two rounds of answers → rows, rates, findings) → screen, text, JSON
//! ```

mod endpoint;
mod follow;
mod overview;
mod screen;
mod status;
mod text;
mod watch;

use anyhow::{Result, bail};
use clap::Parser;
use overview::Overview;
use std::io::IsTerminal as _;
use std::time::Duration;
use watch::Watch;

/// Watch the daemons of a ring: members, sessions, rates, retransmissions, membership changes.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Admin endpoint of a daemon, HOST:PORT (AdminEndpoint in its spread.conf); may be given several times.
    /// Without it: the daemons that `cargo up` starts on this machine.
    #[arg(short, long, value_name = "HOST:PORT")]
    admin: Vec<String>,
    /// Print one snapshot as text and end; so it is, too, when the output is no terminal.
    #[arg(long)]
    once: bool,
    /// Print one snapshot as JSON and end.
    #[arg(long)]
    json: bool,
    /// Seconds between two rounds of questions; rates are per second over that time.
    #[arg(short, long, default_value_t = 1.0, value_parser = interval)]
    interval: f64,
}

const EXAMPLES: &str = "\
Examples:
  spread-monitor                                       the daemons of `cargo up`; q quits
  spread-monitor --admin 10.0.0.1:4805 --admin 10.0.0.2:4805
  spread-monitor --admin orders-r1-0.orders-r1:4805    and the members it names, at addresses of the same form
  spread-monitor --once                                one snapshot as text
  spread-monitor --json | jq .daemons                  one snapshot for scripts
It ends with 1 if no daemon answered.";

fn interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write a number of seconds from 0.05 to 3600".into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run(&Cli::parse()).await {
        eprintln!("spread-monitor: {error:#}");
        std::process::exit(1);
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let watch = Watch::new(&cli.admin);
    let interval = Duration::from_secs_f64(cli.interval);
    if !cli.once && !cli.json && std::io::stdout().is_terminal() {
        return screen::run(watch, interval).await;
    }
    let overview = once(watch, interval).await;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&overview)?);
    } else {
        print!("{}", text::render(&overview));
    }
    if overview.answered() == 0 {
        bail!("no daemon answered");
    }
    Ok(())
}

/// Two rounds, so that there are rates.
async fn once(mut watch: Watch, interval: Duration) -> Overview {
    let first = watch.round().await;
    if first.answered() == 0 {
        return first;
    }
    tokio::time::sleep(interval).await;
    watch.round().await
}
