//! Messages in a row that the same sessions get: their bytes are built once and shared by all.

use bytes::Bytes;
use spread_wire::frame::{Layout, put_delivered_head};
use spread_wire::ids::SessionId;
use spread_wire::link::Delivered;
use spread_wire::time::Instant;
use std::sync::Arc;

/// A run of so many bytes goes to its sessions.
const RUN_BYTES: usize = 64 << 10;
/// Room for a run is a multiple of this, in bytes: one that is a little longer than those before it need not move.
const ROOM_STEP: usize = 8 << 10;
/// Bodies of at least so many bytes are shared, smaller ones copied, which spares each receiver one more owner to count and one
/// more chunk to hand to the kernel. Chosen, not measured.
const SHARED_BYTES: usize = 4096;

/// A run that is being gathered; without messages it is nobody's.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Who gets it, each once.
    pub(crate) receivers: Arc<[SessionId]>,
    /// When it began.
    pub(crate) began: Instant,
    /// Messages in it.
    pub(crate) messages: u64,
    /// Heads and small bodies.
    copied: Vec<u8>,
    /// Shared bodies, each with its place: after so many bytes of what was copied.
    shared: Vec<(usize, Bytes)>,
    bytes: usize,
}

impl Run {
    /// One that begins with the next message, with room for so many copied bytes.
    pub(crate) fn new(now: Instant, receivers: &Arc<[SessionId]>, room: usize) -> Self {
        let copied = Vec::with_capacity(room.next_multiple_of(ROOM_STEP));
        Self { receivers: Arc::clone(receivers), began: now, copied, ..Self::default() }
    }

    /// Room for the next run, in bytes: what the largest of the last hundred or so took.
    pub(crate) fn next_room(&self, room: usize) -> usize {
        self.copied.len().max(room - room / 64)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Whether a message to these sessions continues it.
    pub(crate) fn is_for(&self, receivers: &Arc<[SessionId]>) -> bool {
        Arc::ptr_eq(&self.receivers, receivers) || self.receivers == *receivers
    }

    /// Whether it is long enough.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= RUN_BYTES
    }

    pub(crate) fn push(&mut self, delivered: &Delivered, layout: &Layout) {
        let before = self.copied.len();
        put_delivered_head(&mut self.copied, &delivered.sender, &delivered.message, layout);
        let body = &delivered.message.payload;
        self.bytes += self.copied.len() - before + body.len();
        self.messages += 1;
        if body.len() < SHARED_BYTES {
            self.copied.extend_from_slice(body);
        } else {
            self.shared.push((self.copied.len(), body.clone()));
        }
    }

    /// The bytes, in order.
    pub(crate) fn into_chunks(mut self) -> Vec<Bytes> {
        // What waits for a slow reader is counted by its length.
        self.copied.shrink_to_fit();
        let copied = Bytes::from(self.copied);
        let mut chunks = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut done = 0;
        for (place, body) in self.shared {
            chunks.extend([copied.slice(done..place), body]);
            done = place;
        }
        if done < copied.len() {
            chunks.push(copied.slice(done..));
        }
        chunks
    }
}
