//! What a change costs those who talk: a client that sends to itself all the time, while something changes.

use spread_client::{Connector, Error, Event, Service};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Time between two messages of the probe: the resolution of what it measures.
const INTERVAL: Duration = Duration::from_millis(1);
/// A daemon on this machine lets a client in within so long, or is not asked.
const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// A client of one daemon, in a thread of its own.
pub struct Probe {
    /// Name of the slot whose daemon it talks to.
    pub slot: String,
    thread: JoinHandle<Result<Duration, Error>>,
    stop: oneshot::Sender<()>,
}

impl Probe {
    /// Starts, and waits until messages go round. None: the daemon does not serve it.
    pub fn start(slot: &str, port: u16) -> Option<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(measure(port, ready, stopped))
        });
        is_ready.recv_timeout(READY_TIMEOUT).ok()?;
        Some(Self { slot: slot.to_owned(), thread, stop })
    }

    /// Ends; the longest time without a delivery, if the daemon served it to the end.
    pub fn finish(self) -> Option<Duration> {
        drop(self.stop);
        self.thread.join().ok()?.ok()
    }
}

async fn measure(
    port: u16,
    ready: mpsc::Sender<()>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Duration, Error> {
    let connector = Connector::new(format!("p{}", std::process::id())).membership(false);
    let (sender, mut receiver) = connector.connect(&format!("{port}@127.0.0.1")).await?;
    let me = [sender.name().clone()];
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut last, mut longest) = (None::<Instant>, Duration::ZERO);
    loop {
        tokio::select! {
            event = receiver.next() => if let Some(Event::Message(_)) = event? {
                let now = Instant::now();
                longest = longest.max(last.map_or(Duration::ZERO, |last| now - last));
                last = Some(now);
                let _ = ready.send(());
            },
            _ = ticks.tick() => sender.multicast(Service::Agreed, &me, 0, []).await?,
            _ = &mut stopped => {
                sender.disconnect().await?;
                return Ok(longest.max(last.map_or(Duration::ZERO, |last| last.elapsed())));
            }
        }
    }
}
