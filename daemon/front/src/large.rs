//! Large messages go in parts, so that what others send need not wait for all of one.
//!
//! One message at a time: its parts are requests that take half of the window at most, and its end puts it into the order. What its session
//! sends after it waits until then. Parts that a new configuration dropped are sent anew.

use crate::connection::State;
use crate::front::{ConnectionId, Front, Held};
use spread_bugs::{Bug, planted};
use spread_wire::frame::Header;
use spread_wire::ids::{RequestNumber, SessionId};
use spread_wire::link::{Multicast, RequestBody};
use std::collections::VecDeque;

/// Parts on their way at once, at most, but for endpoints in other processes: what others send waits for these.
const PARTS: usize = 4;
/// The index of a part that does nothing: it stands for one that is not to be sent again.
const NO_PART: u32 = u32::MAX;

/// Large messages that are not in the order yet: one of a session at most, so as many as there are sessions.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    messages: VecDeque<Large>,
    /// Requests of parts on their way: as many as fit half of the window at most.
    under_way: VecDeque<RequestNumber>,
    /// A session may be read again.
    resumed: bool,
}

/// A large message.
#[derive(Debug)]
struct Large {
    session: SessionId,
    connection: ConnectionId,
    message: Multicast,
    /// Bytes of the payload in parts that were sent.
    sent: usize,
    parts: u32,
    /// The requests of the first part and of the end, once they are sent.
    first: Option<RequestNumber>,
    end: Option<RequestNumber>,
    /// The session ends after it; whether it did not ask for that.
    close: Option<bool>,
}

impl Large {
    /// Parts were delivered up to this request, and the end was not.
    fn is_parted(&self, last: RequestNumber) -> bool {
        self.first.is_some_and(|first| first <= last) && self.end.is_none_or(|end| end > last)
    }

    fn begin_anew(&mut self) {
        (self.sent, self.parts, self.first, self.end) = (0, 0, None, None);
    }

    fn is(&self, held: &Held) -> bool {
        let end = self.end.is_none_or(|end| held.number <= end);
        let session = match &held.again {
            Some(RequestBody::Part { session, .. } | RequestBody::Rest { session, .. }) => *session,
            _ => return false,
        };
        session == self.session && end && self.first.is_some_and(|first| held.number >= first)
    }
}

impl Lane {
    fn of(&mut self, session: SessionId) -> Option<&mut Large> {
        self.messages.iter_mut().find(|large| large.session == session)
    }

    pub(crate) fn has(&self, session: SessionId) -> bool {
        self.messages.iter().any(|large| large.session == session)
    }

    /// The session is gone, and what it sent with it.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.messages.retain(|large| large.session != session);
    }

    /// The session ends, after its large message if it has one. `false`: it has none.
    pub(crate) fn close_after(&mut self, session: SessionId, broken: bool) -> bool {
        let Some(large) = self.of(session) else { return false };
        large.close = Some(broken);
        true
    }

    /// The message whose parts are sent now: the one that is begun, or else the first that is not.
    fn current(&mut self) -> Option<&mut Large> {
        let open = |large: &Large| large.first.is_some() && large.end.is_none();
        let begun = self.messages.iter().position(open);
        let next = begun.or_else(|| self.messages.iter().position(|large| large.first.is_none()));
        self.messages.get_mut(next?)
    }
}

impl Front {
    /// Whether the driver should read from this connection: not while as much as may is on its way to the order, nor while its session's large
    /// message is and the next message is there.
    #[must_use]
    pub fn reads_from(&self, id: ConnectionId) -> bool {
        if !self.reads() || self.lane.messages.is_empty() {
            return self.reads();
        }
        let Some(connection) = self.connections.get(&id) else { return true };
        let State::Open { session } = connection.state else { return true };
        let layout = &self.settings.layout;
        let waits = connection.input.len() >= layout.header_bytes()
            && Header::read(&connection.input, layout)
                .map_or(true, |header| connection.input.len() >= header.total(layout));
        !waits || !self.lane.has(session)
    }

    /// Whether large messages are on their way to the order, so that an orderly end waits.
    #[must_use]
    pub fn sends_large(&self) -> bool {
        !self.lane.messages.is_empty()
    }

    /// Whether some connection may be read again that was not while its session's large message was on its way. Says so once.
    pub fn has_resumed(&mut self) -> bool {
        core::mem::take(&mut self.lane.resumed)
    }

    /// Takes a session's large message.
    pub(crate) fn send_large(&mut self, id: ConnectionId, session: SessionId, message: Multicast) {
        let (sent, parts, first, end, close) = (0, 0, None, None, None);
        let connection = id;
        let large = Large { session, connection, message, sent, parts, first, end, close };
        self.lane.messages.push_back(large);
        self.feed();
    }

    /// Sends parts as far as they may be on their way.
    pub(crate) fn feed(&mut self) {
        while self.may_feed() {
            let (number, part_bytes) = (self.next_number(), self.settings.part_bytes);
            let Some(large) = self.lane.current() else { return };
            let left = large.message.payload.len() - large.sent;
            let (session, from) = (large.session, large.sent);
            large.first.get_or_insert(number);
            let body = if left > part_bytes {
                let index = large.parts;
                large.parts += 1;
                large.sent += part_bytes;
                let bytes = large.message.payload.slice(from..large.sent);
                self.lane.under_way.push_back(number);
                RequestBody::Part { session, index, bytes }
            } else {
                large.end = Some(number);
                let mut message = large.message.clone();
                message.payload = message.payload.slice(from..);
                RequestBody::Rest { session, parts: large.parts, message }
            };
            self.request(body);
        }
    }

    /// Half of the window is for what others send, and more if that is much. One part may always be on its way. An endpoint in another
    /// process hears of a part only when all daemons have it, which takes long in an idle ring: there the window alone counts.
    fn may_feed(&self) -> bool {
        let room = self.request_bytes + self.settings.part_bytes <= self.window.limit() / 2;
        let parts = self.lane.under_way.len();
        let few = parts < PARTS || self.settings.reattaches;
        self.sends_large() && self.reads() && (parts == 0 || room && few)
    }

    /// Requests up to this one are in the order: sessions whose large message is among them go on.
    pub(crate) fn large_ordered(&mut self, number: RequestNumber) {
        while self.lane.under_way.pop_front_if(|part| *part <= number).is_some() {}
        let done = |large: &Large| large.end.is_some_and(|end| end <= number);
        while let Some(at) = self.lane.messages.iter().position(done) {
            let Some(large) = self.lane.messages.remove(at) else { return };
            self.lane.resumed = true;
            if let Some(broken) = large.close {
                self.request(RequestBody::Close { session: large.session, broken });
                continue;
            }
            let now = self.now();
            while self.advance(now, large.connection) {}
        }
    }

    /// Parts were dropped after this request was applied: what has no end among the applied begins anew.
    pub(crate) fn parts_lost(&mut self, last: RequestNumber) {
        for large in &mut self.lane.messages {
            let lost = large.is_parted(last) || planted(Bug::AnewThoughWhole);
            if !lost {
                continue;
            }
            let stale = self.requests.iter_mut().filter(|held| held.number > last);
            stale.filter(|held| large.is(held)).for_each(Held::make_void);
            large.begin_anew();
        }
        self.feed();
    }

    /// The endpoint is attached elsewhere, where requests up to this one were applied and what there was of a large message was dropped. An end
    /// that was sent may be in the order of another component, and be known by its number: so it goes again under that, whole.
    pub(crate) fn parts_left(&mut self, last: RequestNumber) {
        for large in &mut self.lane.messages {
            if !large.is_parted(last) {
                continue;
            }
            let mut whole = false;
            let stale = self.requests.iter_mut().filter(|held| held.number > last);
            for held in stale.filter(|held| large.is(held)) {
                if Some(held.number) == large.end && !planted(Bug::RestAlone) {
                    let (session, message) = (large.session, large.message.clone());
                    held.again = Some(RequestBody::Multicast { session, message });
                    whole = true;
                } else if Some(held.number) != large.end {
                    held.make_void();
                }
            }
            if whole {
                large.first = large.end;
            } else if large.end.is_none() {
                large.begin_anew();
            }
        }
    }
}

impl Held {
    /// Its number goes on, and nothing else.
    fn make_void(&mut self) {
        if let Some(RequestBody::Part { session, .. } | RequestBody::Rest { session, .. }) =
            self.again
        {
            self.again = Some(RequestBody::Part { session, index: NO_PART, bytes: "".into() });
        }
    }
}
