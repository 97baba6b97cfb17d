//! A short chat: joins a group, sends what is typed, prints what comes.
//!
//! `cargo run -p spread-client --example chat -- 4803@localhost alice room`

use spread_client::{Connector, Event, Service};
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let (daemon, name, group) = (argument("4803@localhost"), argument(""), argument("room"));

    let (sender, mut receiver) = Connector::new(name).connect(&daemon).await?;
    sender.join(&group).await?;
    let mut sender = Some(sender);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            event = receiver.next() => match event? {
                Some(Event::Message(message)) => {
                    println!("{}: {}", message.sender, String::from_utf8_lossy(&message.payload));
                }
                Some(Event::View(view)) => println!("* {} in {}: {:?}", view.members.len(), view.group, view.members),
                Some(_) => {}
                None => return Ok(()),
            },
            line = lines.next_line(), if sender.is_some() => match line? {
                Some(text) => {
                    if let Some(sender) = &sender {
                        sender.multicast(Service::Agreed, &[&group], 0, text).await?;
                    }
                }
                None => {
                    if let Some(sender) = sender.take() {
                        sender.disconnect().await?;
                    }
                }
            },
        }
    }
}
