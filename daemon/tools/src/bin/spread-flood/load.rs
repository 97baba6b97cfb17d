//! Senders: at a rate, or as many as may be in flight.

use crate::payload::{self, Payload};
use spread_client::{Sender, Service};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// After the last send all receivers get so long to have everything, as long as something still comes.
const SETTLE: Duration = Duration::from_secs(5);

/// What all senders do.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) service: Service,
    pub(crate) group: String,
    pub(crate) bytes: usize,
    /// Messages per second of one sender; `None`: closed loop.
    pub(crate) rate: Option<f64>,
    pub(crate) origin: Instant,
    /// When to stop, since the origin.
    pub(crate) end: Duration,
}

impl Load {
    /// Sends until the end; returns how many messages it was.
    pub(crate) fn run(
        &self,
        handle: &Handle,
        index: usize,
        sender: Sender,
        window: &Window,
    ) -> u64 {
        let mut body = vec![b'.'; self.bytes];
        let mut number = 0;
        loop {
            if let Some(rate) = self.rate {
                // Senders take turns instead of sending at the same moment.
                let phase = index as f64 / window.senders() as f64;
                let due = Duration::from_secs_f64((number as f64 + phase) / rate);
                if let Some(wait) = due.checked_sub(self.origin.elapsed()) {
                    std::thread::sleep(wait);
                }
            } else if !handle.block_on(window.room(index, number, self.origin + self.end)) {
                return number;
            }
            let elapsed = self.origin.elapsed();
            if elapsed >= self.end || window.sending_over() {
                return number;
            }
            let sent = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
            let run = payload::run();
            Payload { sender: index as u32, run, number, sent }.write(&mut body);
            let done = handle.block_on(sender.multicast(self.service, &[&self.group], 0, &body));
            if done.is_err() {
                return number;
            }
            number += 1;
        }
    }
}

/// How far each receiver has got with each sender.
pub(crate) struct Window {
    /// Messages received, by receiver and sender; `u64::MAX` for a receiver that is gone.
    received: Vec<Vec<AtomicU64>>,
    /// Wakes a sender that waits for room.
    moved: Vec<Notify>,
    in_flight: u64,
    pub(crate) delivered: AtomicU64,
    /// Senders stop before their time.
    over: AtomicBool,
    /// Receivers stop.
    stopped: AtomicBool,
    stop: Notify,
    failed: Mutex<Vec<String>>,
}

impl Window {
    pub(crate) fn new(senders: usize, receivers: usize, in_flight: u64) -> Self {
        let row = || (0..senders).map(|_| AtomicU64::new(0)).collect();
        Self {
            received: (0..receivers).map(|_| row()).collect(),
            moved: (0..senders).map(|_| Notify::new()).collect(),
            in_flight: (in_flight / senders.max(1) as u64).max(1),
            delivered: AtomicU64::new(0),
            over: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
            failed: Mutex::default(),
        }
    }

    /// Nobody sends any more, whatever the time is.
    pub(crate) fn end_sending(&self) {
        self.over.store(true, Ordering::Release);
        self.moved.iter().for_each(Notify::notify_one);
    }

    fn sending_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn senders(&self) -> usize {
        self.moved.len()
    }

    /// A receiver has so many messages of a sender.
    pub(crate) fn note(&self, receiver: usize, sender: usize, count: u64) {
        self.received[receiver][sender].store(count, Ordering::Release);
        self.moved[sender].notify_one();
    }

    /// A receiver's session is over: nobody waits for it any more.
    pub(crate) fn gone(&self, receiver: usize, why: String) {
        for (sender, count) in self.received[receiver].iter().enumerate() {
            count.store(u64::MAX, Ordering::Release);
            self.moved[sender].notify_one();
        }
        if let Ok(mut failed) = self.failed.lock() {
            failed.push(why);
        }
    }

    fn least(&self, sender: usize) -> u64 {
        let counts = self.received.iter().map(|row| row[sender].load(Ordering::Acquire));
        counts.min().unwrap_or(u64::MAX)
    }

    /// Waits until message `number` of the sender may go; `false` if the time is over first.
    async fn room(&self, sender: usize, number: u64, until: Instant) -> bool {
        loop {
            if number.saturating_sub(self.least(sender)) < self.in_flight {
                return true;
            }
            if self.sending_over() {
                return false;
            }
            let moved = self.moved[sender].notified();
            if number.saturating_sub(self.least(sender)) < self.in_flight {
                return true;
            }
            if tokio::time::timeout_at(until.into(), moved).await.is_err() {
                return false;
            }
        }
    }

    /// Waits until all that was sent is received, or nothing more comes; then the receivers stop.
    pub(crate) async fn finish(&self, sent: &[u64]) {
        let mut last = (self.delivered.load(Ordering::Relaxed), Instant::now());
        while sent.iter().enumerate().any(|(sender, sent)| self.least(sender) < *sent) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let delivered = self.delivered.load(Ordering::Relaxed);
            if delivered != last.0 {
                last = (delivered, Instant::now());
            } else if last.1.elapsed() > SETTLE {
                break;
            }
        }
        self.stopped.store(true, Ordering::Release);
        self.stop.notify_waiters();
    }

    /// Ready when the receivers are to stop.
    pub(crate) async fn stopped(&self) {
        let stop = self.stop.notified();
        if !self.stopped.load(Ordering::Acquire) {
            stop.await;
        }
    }
}
