//! What a session asks for (`client-protocol` sections 4, 7, 8 and 10.2).

use crate::access::{Asked, Operation, permits};
use crate::connection::State;
use crate::front::{ConnectionId, Front, FrontOutput};
use spread_bugs::{Bug, planted};
use spread_wire::frame::{self, Header, Request};
use spread_wire::ids::SessionId;
use spread_wire::link::{Multicast, RequestBody};
use spread_wire::service::bits;

/// A frame at least so large gets a buffer of its own size at once.
const LARGE_BYTES: usize = 64 << 10;

impl Front {
    /// Takes the next whole request of a session; `false` when more is needed or the session is over.
    pub(crate) fn next_request(&mut self, id: ConnectionId, session: SessionId) -> bool {
        let layout = self.settings.layout;
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let Some(known) = self.sessions.get(&session) else { return false };
        if self.lane.has(session) && !planted(Bug::OwnOvertaken) {
            return false;
        }
        if connection.input.len() < layout.header_bytes() {
            return false;
        }
        // The header is judged as soon as it is there; the rest of a malformed message is not read.
        let checked = Header::read(&connection.input, &layout)
            .and_then(|header| header.kind().map(|_| header));
        let Ok(header) = checked else { return self.malformed(id) };
        if header.name != known.name.0 {
            return self.malformed(id);
        }
        let total = header.total(&layout);
        if connection.input.len() < total {
            if planted(Bug::PartsMalformed) {
                return self.malformed(id);
            }
            if total >= LARGE_BYTES {
                connection.input.reserve(total - connection.input.len());
            }
            return false;
        }
        let frame = connection.input.split_to(total).freeze();
        let name = known.name.clone();
        match Request::read(&header, &frame, &name, &layout) {
            Ok(request) => self.take(id, session, request),
            Err(_) => self.malformed(id),
        }
    }

    fn take(&mut self, id: ConnectionId, session: SessionId, request: Request) -> bool {
        self.counters.messages_received += 1;
        match request {
            Request::Kill => {
                self.end(id, false);
                return false;
            }
            Request::Join(group, message) => {
                let only = Multicast { groups: [group.clone()].into(), ..message };
                if self.permitted(id, session, Operation::Join, bits::CAUSED_BY_JOIN, &only) {
                    self.request(RequestBody::Join { session, group });
                }
            }
            Request::Leave(group, message) => {
                let only = Multicast { groups: [group.clone()].into(), ..message };
                if self.permitted(id, session, Operation::Leave, bits::CAUSED_BY_LEAVE, &only) {
                    self.request(RequestBody::Leave { session, group });
                }
            }
            Request::Multicast(message) => {
                let service = message.service as u32;
                if self.permitted(id, session, Operation::Send, service, &message) {
                    if message.payload.len()
                        > self.settings.large_bytes.max(self.settings.part_bytes)
                    {
                        self.send_large(id, session, message);
                    } else {
                        self.request(RequestBody::Multicast { session, message });
                    }
                }
            }
        }
        true
    }

    /// Whether the rules permit it; what they refuse goes back to the sender, unless it wants nothing back.
    fn permitted(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        operation: Operation,
        request_bits: u32,
        message: &Multicast,
    ) -> bool {
        if self.settings.access.is_empty() {
            return true;
        }
        let (Some(connection), Some(known)) =
            (self.connections.get(&id), self.sessions.get(&session))
        else {
            return false;
        };
        let asked = Asked {
            operation,
            user: &known.user,
            peer: connection.peer,
            groups: &message.groups,
            mess_type: mess_type(message.hint),
            service: (operation == Operation::Send).then_some(message.service),
        };
        if permits(&self.settings.access, &asked) {
            return true;
        }
        self.counters.rejected += 1;
        if message.extra_bits & bits::SELF_DISCARD == 0 {
            let frame = frame::reject(&known.name, request_bits, message, &self.settings.layout);
            self.write(id, frame);
        }
        false
    }

    fn malformed(&mut self, id: ConnectionId) -> bool {
        self.counters.malformed += 1;
        self.drop_connection(id);
        false
    }

    /// Ends a connection without a word: malformed input, a slow reader, a handshake that takes too long.
    pub(crate) fn drop_connection(&mut self, id: ConnectionId) {
        self.end(id, true);
    }

    /// Closes the socket at once and has the session's end ordered: as SAFE if it did not ask for it.
    pub(crate) fn end(&mut self, id: ConnectionId, broken: bool) {
        self.full.remove(&id);
        self.half_open.remove(&id);
        let Some(connection) = self.connections.remove(&id) else { return };
        self.outputs.push_back(FrontOutput::Close { connection: id, flush: false });
        match connection.state {
            State::Open { session } | State::Opening { session, .. } => {
                if let Some(known) = self.sessions.get_mut(&session) {
                    known.connection = None;
                    if planted(Bug::NameFreedEarly) {
                        self.names.remove(&known.user);
                    }
                }
                if !self.lane.close_after(session, broken) {
                    self.request(RequestBody::Close { session, broken });
                }
            }
            ref half_open => self.free_half_open(half_open),
        }
    }

    /// The session's end was ordered: its name is free.
    pub(crate) fn forget(&mut self, session: SessionId) {
        if let Some(known) = self.sessions.remove(&session) {
            self.lane.forget(session);
            self.names.remove(&known.user);
            self.reattach.forget(session);
            if let Some(id) = known.connection {
                self.connections.remove(&id);
                self.full.remove(&id);
                self.outputs.push_back(FrontOutput::Close { connection: id, flush: true });
            }
        }
    }
}

/// The application's message type, in the order that the hint itself tells.
fn mess_type(hint: [u8; 4]) -> i16 {
    let little = u32::from_le_bytes(hint);
    let word = if little & bits::BYTE_ORDER == bits::BYTE_ORDER {
        little
    } else {
        u32::from_be_bytes(hint)
    };
    (word >> 8 & 0xffff) as u16 as i16
}
