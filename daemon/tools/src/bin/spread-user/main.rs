//! `spread-user`: connect, join, send, watch.

mod line;
mod show;

use anyhow::{Context as _, Result};
use clap::Parser;
use line::{HELP, Line};
use show::Show;
use spread_client::{Connector, Receiver, Sender, Service};
use std::io::{IsTerminal as _, Write as _};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Talk to groups from a terminal, or from a script.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Daemon: PORT@HOST, PORT (the Unix socket /tmp/PORT), or the path of a Unix socket.
    #[arg(short, long, default_value = "4803@localhost", env = "SPREAD_DAEMON")]
    server: String,
    /// Private name, up to 10 characters; the daemon invents one if it is left out.
    #[arg(short, long, default_value = "")]
    user: String,
    /// Group to join; may be given several times. Lines go to the group joined last.
    #[arg(short, long, value_name = "GROUP")]
    join: Vec<String>,
    /// Service of messages: unreliable, reliable, fifo, causal, agreed or safe.
    #[arg(long, default_value = "agreed", value_parser = line::service)]
    service: Service,
    /// No membership messages.
    #[arg(long)]
    no_membership: bool,
    /// User and password for the method PWORD, as USER:PASSWORD. It travels in clear text.
    #[arg(long, env = "SPREAD_PASSWORD", hide_env_values = true, value_name = "USER:PASSWORD")]
    password: Option<String>,
    /// Go on watching after the end of the input.
    #[arg(short, long)]
    watch: bool,
    /// Print bodies of messages only, one per line: for scripts.
    #[arg(short, long)]
    bare: bool,
}

const EXAMPLES: &str = "\
Examples:
  spread-user -s 4803@localhost -u alice -j chat      talk in the group `chat`
  spread-user -u watcher -j chat --watch </dev/null   only watch
  echo hello | spread-user -u script -j chat          send one line and leave
Type /help at the prompt for what can be typed there.";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run(&Cli::parse()).await {
        eprintln!("spread-user: {error:#}");
        std::process::exit(1);
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let mut connector = Connector::new(&cli.user).membership(!cli.no_membership);
    if let Some(password) = &cli.password {
        let (user, password) =
            password.split_once(':').context("--password needs USER:PASSWORD")?;
        connector = connector.password(user, password);
    }
    let connected = connector.connect(&cli.server).await;
    let (sender, receiver) = connected
        .context("cannot connect; `spread-local up FILE` starts daemons and prints where")?;
    let terminal = std::io::stdout().is_terminal();
    let show = Show::new(terminal, cli.bare, sender.name().clone());
    if !cli.bare {
        println!("connected as {}; /help says what to type", sender.name());
    }
    for group in &cli.join {
        sender.join(group).await?;
    }
    let typing = Typing { current: cli.join.last().cloned(), service: cli.service };
    talk(cli, typing, sender, receiver, &show).await
}

/// Where plain lines go, and how.
struct Typing {
    current: Option<String>,
    service: Service,
}

async fn talk(
    cli: &Cli,
    mut typing: Typing,
    sender: Sender,
    mut receiver: Receiver,
    show: &Show,
) -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut sender = Some(sender);
    let mut reading = true;
    loop {
        tokio::select! {
            biased;
            event = receiver.next() => match event? {
                Some(event) => show.event(&event),
                None => return Ok(()),
            },
            line = lines.next_line(), if reading => match (line?, &sender) {
                (Some(text), Some(asks)) => {
                    let quit = typing.typed(&text, asks, cli.bare).await?;
                    if quit && let Some(asks) = sender.take() {
                        asks.disconnect().await?;
                        reading = false;
                    }
                }
                _ => {
                    reading = false;
                    // What was sent is ordered before the end, and so is shown here too.
                    if !cli.watch && let Some(asks) = sender.take() {
                        asks.disconnect().await?;
                    }
                }
            },
            _ = tokio::signal::ctrl_c(), if sender.is_some() => {
                reading = false;
                if let Some(asks) = sender.take() {
                    asks.disconnect().await?;
                }
            }
        }
    }
}

impl Typing {
    /// Does what a line says; returns whether it was the last.
    async fn typed(&mut self, text: &str, sender: &Sender, bare: bool) -> Result<bool> {
        let line = match text.parse::<Line>() {
            Ok(line) => line,
            Err(why) => {
                eprintln!("{why}");
                return Ok(false);
            }
        };
        let done = match line {
            Line::Empty => Ok(()),
            Line::Help => {
                print!("{HELP}");
                std::io::stdout().flush()?;
                Ok(())
            }
            Line::Quit => return Ok(true),
            Line::Service(service) => {
                self.service = service;
                Ok(())
            }
            Line::Join(group) => {
                let joined = sender.join(&group).await;
                self.current = Some(group);
                joined
            }
            Line::Leave(group) => {
                let Some(group) = group.or_else(|| self.current.take()) else {
                    eprintln!("leave which group? /leave GROUP");
                    return Ok(false);
                };
                sender.leave(&group).await
            }
            Line::To(groups, body) => sender.multicast(self.service, &groups, 0, body).await,
            Line::Say(body) => match &self.current {
                Some(group) => sender.multicast(self.service, &[group], 0, body).await,
                None => {
                    eprintln!("nowhere to send it: /join GROUP first, or /to GROUP TEXT");
                    return Ok(false);
                }
            },
        };
        match done {
            Err(error @ spread_client::Error::Closed) => Err(error.into()),
            Err(error) if bare => Err(error.into()),
            Err(error) => {
                eprintln!("{error}");
                Ok(false)
            }
            Ok(()) => Ok(false),
        }
    }
}
