//! Messages in a row that the same sessions get: their bytes are built once and shared by all.

use bytes::Bytes;
use smallvec::SmallVec;
use spread_wire::buffers::{BUFFER_BYTES, Buffers};
use spread_wire::frame::{Layout, delivered_head_bytes, put_delivered_head};
use spread_wire::ids::SessionId;
use spread_wire::link::Delivered;
use spread_wire::time::Instant;
use std::sync::Arc;

/// A run of so many bytes goes to its sessions.
const RUN_BYTES: usize = BUFFER_BYTES;
/// Bodies of at least so many bytes are shared, smaller ones copied, which spares each receiver one more owner to count and one
/// more chunk to hand to the kernel, and keeps no packet for a session that reads slowly. At 1,350 bytes a copy takes fewer instructions than
/// sharing does; where that turns was not measured.
const SHARED_BYTES: usize = 4096;

/// A run that is being gathered; without messages it is nobody's.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Who gets it, each once. `None`: there is none.
    receivers: Option<Arc<[SessionId]>>,
    /// When it began.
    began: Instant,
    /// Messages in it.
    messages: u64,
    /// Heads and small bodies.
    copied: Vec<u8>,
    /// Shared bodies, each with its place: after so many bytes of what was copied.
    shared: Vec<(usize, Bytes)>,
    bytes: usize,
    /// What it copies into.
    buffers: Buffers,
}

/// A whole run.
pub(crate) struct Gathered {
    pub(crate) receivers: Arc<[SessionId]>,
    pub(crate) began: Instant,
    pub(crate) messages: u64,
    /// The bytes, in order: one chunk where no body is shared.
    pub(crate) chunks: SmallVec<[Bytes; 1]>,
}

impl Run {
    /// Whether a message to these sessions continues it.
    pub(crate) fn goes_on(
        &self,
        receivers: &Arc<[SessionId]>,
        message: &Delivered,
        layout: &Layout,
    ) -> bool {
        let is_for =
            |mine: &Arc<[SessionId]>| Arc::ptr_eq(mine, receivers) || **mine == **receivers;
        self.receivers.as_ref().is_some_and(is_for)
            && self.bytes + bytes(message, layout) <= RUN_BYTES
    }

    /// Begins with the next message.
    pub(crate) fn begin(&mut self, now: Instant, receivers: &Arc<[SessionId]>) {
        self.receivers = Some(Arc::clone(receivers));
        self.began = now;
        if self.copied.capacity() == 0 {
            self.copied = self.buffers.one();
        }
        self.copied.clear();
    }

    pub(crate) fn push(&mut self, delivered: &Delivered, layout: &Layout) {
        put_delivered_head(&mut self.copied, &delivered.sender, &delivered.message, layout);
        let body = &delivered.message.payload;
        self.bytes += bytes(delivered, layout);
        self.messages += 1;
        if body.len() < SHARED_BYTES {
            self.copied.extend_from_slice(body);
        } else {
            self.shared.push((self.copied.len(), body.clone()));
        }
    }

    /// Ends it.
    pub(crate) fn take(&mut self) -> Option<Gathered> {
        let receivers = self.receivers.take()?;
        let length = self.copied.len();
        let copied = self.buffers.take(&mut self.copied, length);
        let mut chunks = SmallVec::new();
        let mut done = 0;
        for (place, body) in self.shared.drain(..) {
            chunks.extend([copied.slice(done..place), body]);
            done = place;
        }
        if done == 0 {
            chunks.push(copied);
        } else if done < copied.len() {
            chunks.push(copied.slice(done..));
        }
        self.bytes = 0;
        let messages = core::mem::take(&mut self.messages);
        Some(Gathered { receivers, began: self.began, messages, chunks })
    }
}

/// Bytes of a message as its receivers get it.
fn bytes(delivered: &Delivered, layout: &Layout) -> usize {
    delivered_head_bytes(&delivered.message, layout) + delivered.message.payload.len()
}
