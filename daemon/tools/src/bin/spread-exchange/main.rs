//! `spread-exchange`: clients of different daemons exchange numbered messages and compare what came.

mod order;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser;
use order::Order;
use spread_client::{Connector, Event, Name, Receiver, Sender, Service, View};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep, timeout_at};

/// Messages with a number, and the message behind them.
const NUMBER: i16 = 1;
const DIGEST: i16 = 2;
/// Between two attempts to connect.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Longest wait for one attempt: a name server may still know the address of a pod that is gone, where nobody answers.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(2);

/// Exchange numbered messages with the other clients of a group: each sends as many, all have to receive everything once
/// and in one order. Ends with 0 if that was so.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Daemon: PORT@HOST, PORT (the Unix socket /tmp/PORT), or the path of a Unix socket.
    #[arg(short, long, default_value = "4803@localhost", env = "SPREAD_DAEMON")]
    server: String,
    /// Private name, up to 10 characters.
    #[arg(short, long, default_value = "")]
    user: String,
    /// Group in which nobody else is.
    #[arg(short, long, default_value = "exchange")]
    group: String,
    /// Clients that take part, this one included.
    #[arg(short, long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    clients: u32,
    /// Fail if two of them are clients of one daemon.
    #[arg(long)]
    different_daemons: bool,
    /// Messages that each client sends.
    #[arg(short, long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    messages: u64,
    /// Longest time for all of it, from the first attempt to connect.
    #[arg(short, long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout_seconds: u64,
}

const EXAMPLES: &str = "\
Examples, side by side:
  spread-exchange -s 4803@localhost -u a --different-daemons
  spread-exchange -s 4813@localhost -u b --different-daemons";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run(&Cli::parse()).await {
        eprintln!("spread-exchange: {error:#}");
        std::process::exit(1);
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(cli.timeout_seconds);
    let (sender, mut receiver) = connect(cli, deadline).await?;
    eprintln!("connected to {} as {}", cli.server, sender.name());
    sender.join(&cli.group).await?;
    let clients = gather(cli, &mut receiver, deadline).await?;
    let names: Vec<String> = clients.iter().map(Name::to_string).collect();
    eprintln!("in the group {} are {}", cli.group, names.join(" "));
    let mut order = Order::new(&clients, cli.messages);
    let sending = tokio::spawn(send(sender.clone(), cli.group.clone(), cli.messages));
    exchange(cli, &sender, &mut receiver, &mut order, deadline).await?;
    sending.await??;
    sender.disconnect().await?;
    let (received, _) = order.progress();
    println!("{received} messages of {} clients, all in one order", clients.len());
    Ok(())
}

/// A daemon that is just starting is waited for.
async fn connect(cli: &Cli, deadline: Instant) -> Result<(Sender, Receiver)> {
    let connector = Connector::new(&cli.user);
    loop {
        let attempt_end = deadline.min(Instant::now() + ATTEMPT_TIMEOUT);
        let error = match timeout_at(attempt_end, connector.connect(&cli.server)).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => anyhow!(error),
            Err(_) => anyhow!("{} did not answer in time", cli.server),
        };
        if Instant::now() + RETRY_INTERVAL >= deadline {
            return Err(error).context("no daemon lets this client in");
        }
        eprintln!("not connected yet: {error}");
        sleep(RETRY_INTERVAL).await;
    }
}

/// Waits until all clients are in the group.
async fn gather(cli: &Cli, receiver: &mut Receiver, deadline: Instant) -> Result<Vec<Name>> {
    let mut seen = 0;
    loop {
        let Ok(event) = timeout_at(deadline, receiver.next()).await else {
            bail!("{seen} of {} clients came: are their daemons in one ring?", cli.clients);
        };
        let Some(Event::View(view)) = event? else { continue };
        seen = view.members.len();
        if seen > cli.clients as usize {
            bail!("{seen} clients are in the group {}: choose one of its own", cli.group);
        }
        if seen == cli.clients as usize {
            if cli.different_daemons {
                check_daemons(&view)?;
            }
            return Ok(view.members);
        }
    }
}

fn check_daemons(view: &View) -> Result<()> {
    let mut daemons = BTreeSet::new();
    for member in &view.members {
        let daemon = member.parts().map(|(_, daemon)| daemon).unwrap_or_default();
        if !daemons.insert(daemon) {
            bail!("two clients have the daemon {}", String::from_utf8_lossy(daemon));
        }
    }
    Ok(())
}

async fn send(sender: Sender, group: String, messages: u64) -> Result<()> {
    for number in 0..messages {
        sender.multicast(Service::Agreed, &[&group], NUMBER, number.to_string()).await?;
    }
    Ok(())
}

async fn exchange(
    cli: &Cli,
    sender: &Sender,
    receiver: &mut Receiver,
    order: &mut Order,
    deadline: Instant,
) -> Result<()> {
    let (mut told, mut progress) = (false, interval(PROGRESS_INTERVAL));
    progress.tick().await;
    loop {
        let event = tokio::select! {
            event = timeout_at(deadline, receiver.next()) => event,
            _ = progress.tick() => {
                let (received, all) = order.progress();
                eprintln!("{received} of {all} messages");
                continue;
            }
        };
        let Ok(event) = event else { bail!("time is over; missing: {}", order.missing()) };
        take(event?, order)?;
        if !told && let Some(digest) = order.complete() {
            told = true;
            sender.multicast(Service::Agreed, &[&cli.group], DIGEST, digest.to_string()).await?;
        }
        if order.agreed().map_err(|wrong| anyhow!(wrong))? {
            return Ok(());
        }
    }
}

fn take(event: Option<Event>, order: &mut Order) -> Result<()> {
    match event {
        Some(Event::Message(message)) => {
            let text = String::from_utf8_lossy(&message.payload);
            let number = text.parse::<u64>().with_context(|| format!("{text:?} is no number"))?;
            let taken = match message.mess_type {
                NUMBER => order.number(&message.sender, number),
                _ => order.digest(&message.sender, number),
            };
            taken.map_err(|wrong| anyhow!(wrong))
        }
        Some(Event::View(view)) => {
            bail!(
                "the group changed in the middle: {} members; missing: {}",
                view.members.len(),
                order.missing()
            )
        }
        Some(Event::Transition(_)) => Ok(()),
        Some(other) => bail!("unexpected: {other:?}"),
        None => bail!("the daemon ended the session; missing: {}", order.missing()),
    }
}
