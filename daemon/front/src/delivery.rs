//! What the engine delivers, on its way to sessions (`client-protocol` sections 5, 6 and 9).

use crate::front::{Front, QUEUE_LIMIT, UNDER_WAY_BYTES};
use crate::settings::SlowReader;
use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::frame;
use spread_wire::ids::{GroupId, GroupName, SessionId};
use spread_wire::link::{Cause, Delivered, View};
use spread_wire::service::bits;
use spread_wire::time::Instant;
use std::collections::BTreeMap;

impl Front {
    /// A message: its head is built once, its body shared by all receivers.
    pub(crate) fn deliver(&mut self, now: Instant, delivered: &Delivered, receivers: &[SessionId]) {
        let head =
            frame::delivered_head(&delivered.sender, &delivered.message, &self.settings.layout);
        let discards = delivered.message.extra_bits & bits::SELF_DISCARD != 0;
        let (endpoint, sender) = delivered.sender_session;
        let own = endpoint == self.settings.uid || planted(Bug::DiscardElsewhere);
        let skip = (discards && own && !planted(Bug::DiscardIgnored)).then_some(sender);
        let body = &delivered.message.payload;
        for session in receivers.iter().filter(|session| Some(**session) != skip) {
            self.queue(now, *session, &head, body);
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
            self.queue(now, *session, &bytes, &Bytes::new());
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
            self.queue(now, *session, &bytes, &Bytes::new());
        }
    }

    /// Queues one message for a session, or ends the session if its queue says so.
    pub(crate) fn queue(&mut self, now: Instant, session: SessionId, head: &Bytes, body: &Bytes) {
        let Some(id) = self.sessions.get(&session).and_then(|known| known.connection) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match self.settings.slow_reader {
            SlowReader::Disconnect { messages }
                if connection.outbox.whole_messages() >= messages =>
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
        connection.outbox.push(head.len() + body.len());
        if matches!(self.settings.slow_reader, SlowReader::Block { .. })
            && connection.outbox.bytes() > self.settings.session_queue_bytes
            && !planted(Bug::FullUnnoticed)
        {
            // At once, not with the next message: one message on top of the bound is the most.
            connection.outbox.full_since.get_or_insert(now);
            connection.outbox.overfull |= connection.outbox.bytes()
                > self.settings.session_queue_bytes.saturating_mul(QUEUE_LIMIT / 2);
            self.full.insert(id);
        }
        self.counters.messages_delivered += 1;
        let write = |chunk: &Bytes| crate::front::FrontOutput::Write {
            connection: id,
            chunk: chunk.clone(),
        };
        self.outputs.push_back(write(head));
        if !body.is_empty() {
            self.outputs.push_back(write(body));
        }
    }
}
