//! `spread-flood`: how much a group carries, and how fast it is there.

mod load;
mod payload;
mod receive;
mod report;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use load::{Load, Window};
use receive::Received;
use report::Report;
use spread_client::{Connector, Event, Receiver, Sender, Service};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Sends numbered messages through daemons and measures throughput, latency, gaps, order and loss.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Daemon: PORT@HOST, PORT or the path of a Unix socket; several times for several daemons.
    #[arg(short, long, default_value = "4803@localhost")]
    server: Vec<String>,
    /// Senders at each daemon; they are not in the group.
    #[arg(long, default_value_t = 1)]
    senders: usize,
    /// Only the first N daemons get senders; all of them if left out.
    #[arg(long, value_name = "N")]
    sending_daemons: Option<usize>,
    /// Receivers at each daemon.
    #[arg(long, default_value_t = 1)]
    receivers: usize,
    /// Threads that receive; each sender has its own.
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u8).range(1..))]
    threads: u8,
    /// Bytes of a message's body, 28 at least.
    #[arg(short, long, default_value_t = 1350)]
    bytes: usize,
    /// unreliable, reliable, fifo, causal, agreed or safe.
    #[arg(long, default_value = "agreed", value_parser = service)]
    service: Service,
    /// Messages per second over all senders (open loop); without it as many as go (closed loop).
    #[arg(short, long)]
    rate: Option<f64>,
    /// Closed loop: messages in flight over all senders, each until every receiver has it.
    #[arg(long, default_value_t = 800)]
    in_flight: u64,
    /// Seconds to measure.
    #[arg(short, long, default_value_t = 5.0)]
    duration: f64,
    /// Seconds before that which do not count.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
    /// Group to use.
    #[arg(long, default_value = "flood")]
    group: String,
    /// Largest message the daemons take, in bytes.
    #[arg(long, default_value_t = 144_000)]
    message_bytes: usize,
    /// Receivers read head and rest of each message with a call each, as the original's library does.
    #[arg(long)]
    piecewise: bool,
    /// Sessions may end while it runs (their daemon is stopped on purpose).
    #[arg(long)]
    expect_lost: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  spread-flood -s 4803@localhost                          one daemon, as fast as it goes
  spread-flood -s 4803@localhost -s 4813@localhost --rate 1000 --bytes 200
  spread-flood --service safe --bytes 64 --in-flight 3000 --json
Ctrl-C and SIGTERM end it early: what was sent by then is judged as always.
Exit code 1: messages were lost, doubled or in different orders.";

/// In a group with more members than this nobody counts views.
const WATCHED: usize = 1000;

/// What a receiver sends to itself behind its join.
const READY: &[u8] = b"ready";

fn service(text: &str) -> Result<Service, String> {
    let all = [
        ("unreliable", Service::Unreliable),
        ("reliable", Service::Reliable),
        ("fifo", Service::Fifo),
        ("causal", Service::Causal),
        ("agreed", Service::Agreed),
        ("safe", Service::Safe),
    ];
    let known = all.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, service)| service).ok_or_else(|| format!("`{text}` is no service"))
}

fn main() {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(cli.threads))
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("spread-flood: {error:#}");
            std::process::exit(2);
        }
    }
}

/// Returns whether everything came, once and in one order.
async fn run(cli: &Cli) -> Result<bool> {
    if cli.bytes < payload::BYTES {
        bail!("--bytes has to be {} at least: sender, number and time stand in it", payload::BYTES);
    }
    // Each session is a descriptor: take as many as the system gives.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most)?;
    let (senders, receivers) = connect(cli).await?;
    // Whoever reads this in a log knows that messages flow from here on.
    eprintln!("{} senders and {} receivers: sending", senders.len(), receivers.len());
    let origin = Instant::now();
    let window = Arc::new(Window::new(senders.len(), receivers.len(), cli.in_flight));
    let measured = measured(cli);
    let receiving: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(index, receiver)| {
            let window = Arc::clone(&window);
            let received = Received::new(index, window.senders(), origin, measured);
            tokio::spawn(received.run(receiver, window))
        })
        .collect();
    let load = Load {
        service: cli.service,
        group: cli.group.clone(),
        bytes: cli.bytes,
        rate: cli.rate.map(|rate| rate / senders.len().max(1) as f64),
        origin,
        end: measured.1,
    };
    let sending: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(index, sender)| {
            let (load, window) = (load.clone(), Arc::clone(&window));
            let handle = tokio::runtime::Handle::current();
            std::thread::spawn(move || load.run(&handle, index, sender, &window))
        })
        .collect();
    tokio::select! {
        () = progress(&window, measured.1.saturating_sub(origin.elapsed())) => {}
        // What was sent is still judged.
        () = interrupted()? => window.end_sending(),
    }
    let seconds = (origin.elapsed().min(measured.1).saturating_sub(measured.0)).as_secs_f64();
    let mut sent = Vec::new();
    for sender in sending {
        let joined = tokio::task::spawn_blocking(move || sender.join()).await?;
        sent.push(joined.map_err(|_| anyhow::anyhow!("a sender panicked"))?);
    }
    window.finish(&sent).await;
    let mut all = Vec::new();
    for receiver in receiving {
        all.push(receiver.await?);
    }
    let report = Report::new(cli, seconds.max(f64::MIN_POSITIVE), &sent, all);
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(report.sound(cli.expect_lost))
}

/// Ready when somebody asks the process to end.
fn interrupted() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// From when to when messages count, since the origin.
fn measured(cli: &Cli) -> (Duration, Duration) {
    let start = Duration::from_secs_f64(cli.warmup.max(0.0));
    (start, start + Duration::from_secs_f64(cli.duration.max(0.1)))
}

/// Connects all, and waits until every receiver is in the group.
async fn connect(cli: &Cli) -> Result<(Vec<Sender>, Vec<Receiver>)> {
    let connector =
        |name| Connector::new(name).message_bytes(cli.message_bytes).piecewise(cli.piecewise);
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    let tag = payload::run() % 1000;
    let sending = cli.sending_daemons.unwrap_or(cli.server.len());
    let failed = |server: &str| format!("cannot connect to {server}");
    let mut joined = Vec::new();
    let views = cli.receivers * cli.server.len() <= WATCHED;
    for (index, server) in cli.server.iter().enumerate() {
        for number in 0..cli.receivers {
            // Views of a group with many members cost their square: the first one counts them for all, if any.
            let name = format!("r{index}{number}x{tag}");
            let connected = connector(name).membership(views && number == 0).connect(server).await;
            let (sender, receiver) = connected.with_context(|| failed(server))?;
            sender.join(&cli.group).await?;
            // Ordered after the join: who has it is in the group.
            let me = [sender.name().clone()];
            sender.multicast(Service::Agreed, &me, 0, READY).await?;
            joined.push(sender);
            receivers.push(receiver);
        }
        for number in 0..if index < sending { cli.senders } else { 0 } {
            let name = format!("s{index}{number}x{tag}");
            let connected = connector(name).membership(false).connect(server).await;
            let (sender, _) = connected.with_context(|| failed(server))?;
            senders.push(sender);
        }
    }
    for receiver in &mut receivers {
        loop {
            let event = receiver.next().await?.context("a session ended before the start")?;
            if matches!(&event, Event::Message(message) if message.payload == READY) {
                break;
            }
        }
    }
    receive::keep(joined);
    Ok((senders, receivers))
}

/// Shows how far it is, on a terminal, until the time is over.
async fn progress(window: &Window, rest: Duration) {
    let end = Instant::now() + rest;
    let bar = std::io::stderr().is_terminal().then(indicatif::ProgressBar::new_spinner);
    let mut before = 0;
    while Instant::now() < end {
        let step = Duration::from_secs(1).min(end - Instant::now());
        tokio::time::sleep(step).await;
        if let Some(bar) = &bar {
            let now = window.delivered.load(Ordering::Relaxed);
            let left = end.saturating_duration_since(Instant::now()).as_secs_f64();
            bar.set_message(format!("{} deliveries/s, {left:.0} s left", now - before));
            bar.tick();
            before = now;
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
