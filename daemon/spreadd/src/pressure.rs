//! What the clients' side can still take, told to the ring.

use spread_wire::link::LinkEvent;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Delivered bytes that may wait between ring and clients' side before the ring is asked to send less.
const LINK_BYTES: usize = 16 << 20;
/// What an event counts besides its payload, in bytes.
const EVENT_BYTES: usize = size_of::<LinkEvent>();

/// Shared between ring and clients' side.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    waiting: AtomicUsize,
    slow: AtomicBool,
}

impl Pressure {
    /// Events go to the clients' side.
    pub(crate) fn sent(&self, events: &[LinkEvent]) {
        self.waiting.fetch_add(bytes(events), Ordering::Relaxed);
    }

    /// The clients' side took them.
    pub(crate) fn taken(&self, bytes: usize) {
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Sessions have more waiting than their bound, or no longer.
    pub(crate) fn slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// Whether the ring should send less.
    pub(crate) fn congested(&self) -> bool {
        self.slow.load(Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > LINK_BYTES
    }
}

/// What events count against the bound.
pub(crate) fn bytes(events: &[LinkEvent]) -> usize {
    let payload = |event: &LinkEvent| match event {
        LinkEvent::Message(delivered, _) => delivered.message.payload.len(),
        LinkEvent::View(view) => view.members.len() * size_of::<usize>() * 4,
        _ => 0,
    };
    events.iter().map(|event| EVENT_BYTES + payload(event)).sum()
}
