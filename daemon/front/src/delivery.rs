//! What the engine delivers, on its way to sessions (`client-protocol` sections 5, 6 and 9).

use crate::front::{Front, FrontOutput, QUEUE_LIMIT, UNDER_WAY_BYTES};
use crate::settings::SlowReader;
use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::frame;
use spread_wire::ids::{GroupId, GroupName, SessionId};
use spread_wire::link::{Cause, Delivered, View};
use spread_wire::service::bits;
use spread_wire::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Front {
    /// A message. What goes to the same sessions in a row is gathered; [`Front::flush_run`] hands it over.
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        delivered: &Delivered,
        receivers: &Arc<[SessionId]>,
    ) {
        let discards = delivered.message.extra_bits & bits::SELF_DISCARD != 0;
        let (endpoint, sender) = delivered.sender_session;
        let own = endpoint == self.settings.uid || planted(Bug::DiscardElsewhere);
        if discards && own && !planted(Bug::DiscardIgnored) && receivers.contains(&sender) {
            let others = receivers.iter().copied().filter(|session| *session != sender).collect();
            return self.gather(now, delivered, &others);
        }
        self.gather(now, delivered, receivers);
    }

    fn gather(&mut self, now: Instant, delivered: &Delivered, receivers: &Arc<[SessionId]>) {
        let layout = self.settings.layout;
        if !self.run.goes_on(receivers, delivered, &layout) {
            self.flush_run();
            self.run.begin(now, receivers);
        }
        self.run.push(delivered, &layout);
        // Where messages are counted each is queued by itself.
        if matches!(self.settings.slow_reader, SlowReader::Disconnect { .. }) {
            self.flush_run();
        }
    }

    /// Queues the messages gathered so far. Everything else that a session gets comes after.
    pub(crate) fn flush_run(&mut self) {
        let Some(run) = self.run.take() else { return };
        for session in run.receivers.iter() {
            self.queue(run.began, *session, &run.chunks, run.messages);
        }
    }

    /// A view: one frame for each vs-set that has receivers here.
    pub(crate) fn deliver_view(&mut self, now: Instant, view: &View) {
        let layout = self.settings.layout;
        let mut frames: BTreeMap<u32, Bytes> = BTreeMap::new();
        for (session, own) in &view.receivers {
            let leaves = match (&view.cause, self.sessions.get(session)) {
                (Cause::Leave(leaver), Some(known)) => *leaver == known.name,
                _ => false,
            };
            let bytes = if leaves && !planted(Bug::LeaveUnconfirmed) {
                frame::self_leave(&view.group, &layout)
            } else {
                frames.entry(*own).or_insert_with(|| frame::view(view, *own, &layout)).clone()
            };
            self.queue(now, *session, &[bytes], 1);
        }
    }

    pub(crate) fn deliver_transition(
        &mut self,
        now: Instant,
        group: &GroupName,
        id: &GroupId,
        receivers: &[SessionId],
    ) {
        let bytes = frame::transition(group, id, &self.settings.layout);
        for session in receivers {
            self.queue(now, *session, core::slice::from_ref(&bytes), 1);
        }
    }

    /// Queues whole messages for a session, or ends the session if its queue says so.
    pub(crate) fn queue(
        &mut self,
        now: Instant,
        session: SessionId,
        chunks: &[Bytes],
        messages: u64,
    ) {
        let Some(id) = self.sessions.get(&session).and_then(|known| known.connection) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match self.settings.slow_reader {
            SlowReader::Disconnect { messages: most }
                if connection.outbox.whole_messages() >= most =>
            {
                self.counters.slow_readers += 1;
                return self.drop_connection(id);
            }
            SlowReader::Block { .. } => {
                let bound = self.settings.session_queue_bytes;
                if connection.outbox.bytes() > bound.saturating_mul(QUEUE_LIMIT) + UNDER_WAY_BYTES {
                    self.counters.slow_readers += 1;
                    return self.drop_connection(id);
                }
            }
            _ => {}
        }
        if connection.outbox.bytes() == 0 {
            connection.outbox.progress = now;
        }
        connection.outbox.push(chunks.iter().map(Bytes::len).sum());
        if matches!(self.settings.slow_reader, SlowReader::Block { .. })
            && connection.outbox.bytes() > self.settings.session_queue_bytes
            && !planted(Bug::FullUnnoticed)
        {
            // At once, not with the next message: one run or one message on top of the bound is the most.
            connection.outbox.full_since.get_or_insert(now);
            connection.outbox.overfull |= connection.outbox.bytes()
                > self.settings.session_queue_bytes.saturating_mul(QUEUE_LIMIT / 2);
            self.full.insert(id);
        }
        self.counters.messages_delivered += messages;
        let write = |chunk: &Bytes| FrontOutput::Write { connection: id, chunk: chunk.clone() };
        self.outputs.extend(chunks.iter().map(write));
    }
}
