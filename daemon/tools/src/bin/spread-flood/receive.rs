//! Receivers: count, check the order, take times.

use crate::load::Window;
use crate::payload::{self, Payload};
use hdrhistogram::Histogram;
use spread_client::{Cause, Event, Message, Receiver, Sender};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Joined sessions last as long as the process.
pub(crate) fn keep(senders: Vec<Sender>) {
    static KEPT: Mutex<Vec<Sender>> = Mutex::new(Vec::new());
    if let Ok(mut kept) = KEPT.lock() {
        kept.extend(senders);
    }
}

/// What one receiver saw.
pub(crate) struct Received {
    index: usize,
    origin: Instant,
    measured: (Duration, Duration),
    /// Messages of each sender so far.
    pub(crate) counts: Vec<u64>,
    /// Messages that were not the sender's next: doubled, or after a hole.
    pub(crate) doubled: u64,
    pub(crate) missed: u64,
    /// Messages while it counts.
    pub(crate) measured_messages: u64,
    /// Microseconds from just before the send to the receipt.
    pub(crate) latency: Histogram<u64>,
    /// Hash of the order: equal at all receivers that saw the same.
    order: DefaultHasher,
    pub(crate) order_hash: u64,
    last: Option<Duration>,
    /// Longest time without a message, and when it ended.
    pub(crate) gap: (Duration, Duration),
    /// Views with their causes, while it ran.
    pub(crate) views: u64,
    pub(crate) network_views: u64,
    pub(crate) ended: Option<String>,
}

impl Received {
    pub(crate) fn new(
        index: usize,
        senders: usize,
        origin: Instant,
        measured: (Duration, Duration),
    ) -> Self {
        #[expect(clippy::expect_used, reason = "constants")]
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3).expect("legal bounds");
        Self {
            index,
            origin,
            measured,
            counts: vec![0; senders],
            doubled: 0,
            missed: 0,
            measured_messages: 0,
            latency,
            order: DefaultHasher::new(),
            order_hash: 0,
            last: None,
            gap: (Duration::ZERO, Duration::ZERO),
            views: 0,
            network_views: 0,
            ended: None,
        }
    }

    pub(crate) async fn run(mut self, mut receiver: Receiver, window: Arc<Window>) -> Self {
        loop {
            let event = tokio::select! {
                biased;
                event = receiver.next() => event,
                () = window.stopped() => break,
            };
            let mut event = match event {
                Ok(event) => event,
                Err(error) => {
                    self.ended = Some(error.to_string());
                    window.gone(self.index, error.to_string());
                    break;
                }
            };
            // One clock reading for everything that came in one read.
            let now = self.origin.elapsed();
            let before = self.counts.clone();
            let mut messages = 0;
            while let Some(next) = event.take() {
                messages += u64::from(self.event(&next, now));
                event = receiver.take_event().unwrap_or_default();
            }
            if messages > 0 {
                self.took(now, messages);
                window.delivered.fetch_add(messages, Ordering::Relaxed);
                for (sender, count) in self.counts.iter().enumerate() {
                    if before[sender] != *count {
                        window.note(self.index, sender, *count);
                    }
                }
            }
        }
        self.order_hash = self.order.finish();
        self
    }

    /// Messages came: how long nothing had come before.
    fn took(&mut self, now: Duration, messages: u64) {
        if now >= self.measured.0 && now <= self.measured.1 {
            self.measured_messages += messages;
            if let Some(last) = self.last.filter(|last| *last >= self.measured.0)
                && now - last > self.gap.0
            {
                self.gap = (now - last, now);
            }
        }
        self.last = Some(now);
    }

    /// Whether it was one of the flood's messages.
    fn event(&mut self, event: &Event, now: Duration) -> bool {
        match event {
            Event::Message(message) => return self.message(message, now),
            Event::View(view) => {
                self.views += 1;
                self.network_views += u64::from(view.cause == Cause::Network);
            }
            _ => {}
        }
        false
    }

    fn message(&mut self, message: &Message, now: Duration) -> bool {
        let Some(head) = Payload::read(&message.payload) else { return false };
        let Some(count) = self.counts.get_mut(head.sender as usize) else { return false };
        if head.run != payload::run() {
            return false;
        }
        if head.number < *count {
            self.doubled += 1;
            return true;
        }
        self.missed += head.number - *count;
        *count = head.number + 1;
        (head.sender, head.number).hash(&mut self.order);
        let sent = Duration::from_nanos(head.sent);
        if sent >= self.measured.0 && sent <= self.measured.1 {
            let micros = u64::try_from(now.saturating_sub(sent).as_micros()).unwrap_or(u64::MAX);
            self.latency.saturating_record(micros.max(1));
        }
        true
    }
}
