//! The front's entry points.

use crate::connection::{Connection, Outbox, State};
use crate::large::Lane;
use crate::reattach::Reattach;
use crate::run::Run;
use crate::settings::{FrontSettings, Peer, SlowReader};
use crate::window::Window;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use spread_bugs::{Bug, planted};
use spread_wire::frame::Refusal;
use spread_wire::ids::{PrivateName, RequestNumber, SessionId};
use spread_wire::link::{LinkEvent, Request, RequestBody};
use spread_wire::queue::take_first;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A connection, named by the driver; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A session that has not read for so long no longer pushes back.
const UNREAD: Duration = Duration::from_secs(1);
/// A session whose queue is so many times over its bound, and what was under way beyond, is ended at once: nothing grows
/// without end.
pub(crate) const QUEUE_LIMIT: usize = 4;
/// Bytes that may still come after the ring was told to send less: several of its windows.
pub(crate) const UNDER_WAY_BYTES: usize = 4 << 20;

/// What a front wants done, in this order.
#[derive(Clone, Debug)]
pub enum FrontOutput {
    /// Write these bytes to the connection, after what was given before.
    Write {
        /// Where.
        connection: ConnectionId,
        /// What; a message may come as head and body.
        chunk: Bytes,
    },
    /// Close the connection, after writing what waits (`flush`) or at once.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Whether to write what waits first.
        flush: bool,
    },
    /// Have this ordered.
    Request(Request),
}

/// A session as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Private name.
    pub name: PrivateName,
    /// Where from.
    pub peer: Option<Peer>,
    /// Bytes that wait for it.
    pub queued_bytes: usize,
}

/// The sessions at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// All sessions, closing ones included.
    pub sessions: Vec<SessionStatus>,
    /// Connections in the handshake.
    pub half_open: usize,
}

/// Rising counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions accepted.
    pub accepted: u64,
    /// Connections refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Sessions ended for what they sent.
    pub malformed: u64,
    /// Sessions ended because they did not read.
    pub slow_readers: u64,
    /// Requests that access rules refused.
    pub rejected: u64,
    /// Messages received from clients.
    pub messages_received: u64,
    /// Messages and views queued for clients.
    pub messages_delivered: u64,
}

/// One endpoint: the applications' side of a daemon or sidecar.
///
/// Duties of the driver: report connections, bytes, ends and what was written; hand over link events in order; after every call empty
/// [`Front::poll_output`]; call [`Front::handle_timeout`] at [`Front::poll_timeout`]. While [`Front::congested`] see that less is delivered.
#[derive(Debug)]
pub struct Front {
    pub(crate) settings: FrontSettings,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// Connections in the handshake.
    pub(crate) half_open: BTreeSet<ConnectionId>,
    /// User parts of private names that are taken, half-open and closing ones included.
    pub(crate) names: BTreeSet<Bytes>,
    pub(crate) outputs: VecDeque<FrontOutput>,
    /// Messages that the same sessions get, not queued yet.
    pub(crate) run: Run,
    pub(crate) counters: Counters,
    /// Connections with more waiting than their bound.
    pub(crate) full: BTreeSet<ConnectionId>,
    /// What is not in the order for good yet.
    pub(crate) requests: VecDeque<Held>,
    pub(crate) request_bytes: usize,
    pub(crate) window: Window,
    pub(crate) lane: Lane,
    /// The time of the last call.
    clock: Instant,
    pub(crate) last_request: RequestNumber,
    pub(crate) last_session: SessionId,
    paused: bool,
    pub(crate) reattach: Reattach,
    random: u64,
}

/// A request that is not in the order for good yet.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) number: RequestNumber,
    /// What it counts against the bound.
    bytes: usize,
    sent: Instant,
    /// To ask it once more; `None` where that never happens.
    pub(crate) again: Option<RequestBody>,
}

impl Held {
    pub(crate) fn request(&self) -> Option<Request> {
        Some(Request { number: self.number, body: self.again.clone()? })
    }
}

/// A session, connected or closing.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) name: PrivateName,
    pub(crate) user: Bytes,
    /// Whether it gets membership messages.
    pub(crate) membership: bool,
    /// `None` once it is closing.
    pub(crate) connection: Option<ConnectionId>,
}

impl Front {
    /// An endpoint without sessions.
    #[must_use]
    pub fn new(settings: FrontSettings) -> Self {
        Self {
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            half_open: BTreeSet::new(),
            names: BTreeSet::new(),
            outputs: VecDeque::new(),
            run: Run::default(),
            counters: Counters::default(),
            full: BTreeSet::new(),
            requests: VecDeque::new(),
            request_bytes: 0,
            window: Window::new(settings.request_bytes),
            lane: Lane::default(),
            clock: Instant::default(),
            last_request: RequestNumber(0),
            last_session: SessionId(0),
            paused: false,
            reattach: Reattach::default(),
            random: settings.seed | 1,
            settings,
        }
    }

    /// A connection was made.
    pub fn connected(&mut self, now: Instant, id: ConnectionId, peer: Peer) {
        let taken = self.sessions.len() + self.half_open.len();
        let connection = Connection {
            peer,
            state: State::Hello,
            input: BytesMut::new(),
            deadline: Some(now + self.settings.handshake_timeout),
            outbox: Outbox::default(),
        };
        self.connections.insert(id, connection);
        self.half_open.insert(id);
        if taken >= self.settings.sessions {
            self.refuse(id, Refusal::Quota);
        }
    }

    /// Bytes arrived, split in any way.
    pub fn received(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        self.clock = now;
        self.flush_run();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.input.extend_from_slice(bytes);
        while self.advance(now, id) {}
    }

    /// The connection ended, or broke.
    pub fn closed(&mut self, now: Instant, id: ConnectionId) {
        self.clock = now;
        self.flush_run();
        let state = self.connections.get(&id).map(|connection| &connection.state);
        if matches!(state, Some(State::Choice { .. })) {
            // A choice that is too short is refused, though the client may be gone.
            self.refuse(id, Refusal::Auth);
        } else {
            self.end(id, true);
        }
    }

    /// So many bytes left for the kernel.
    pub fn written(&mut self, now: Instant, id: ConnectionId, bytes: usize) {
        let bound = self.settings.session_queue_bytes;
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.outbox.written(now, bytes);
            if connection.outbox.bytes() <= bound {
                connection.outbox.full_since = None;
                connection.outbox.overfull = false;
                self.full.remove(&id);
            }
        }
    }

    /// Something came over the link.
    pub fn link_event(&mut self, now: Instant, event: &LinkEvent) {
        self.clock = now;
        self.note_event(event);
        match event {
            LinkEvent::Message(delivered, _) if !self.is_news(delivered) => return,
            LinkEvent::Message(..) | LinkEvent::Acknowledged { .. } => {}
            _ => self.flush_run(),
        }
        match event {
            LinkEvent::Attached { epoch, last, sessions, .. } => {
                self.attached(now, *epoch, *last, sessions);
            }
            LinkEvent::Acknowledged { number } => self.acknowledged(*number),
            LinkEvent::PartsLost { last } => self.parts_lost(*last),
            LinkEvent::Pause(paused) => {
                self.paused = *paused;
                self.feed();
            }
            LinkEvent::SessionOpened { session, .. } => self.opened(now, *session),
            LinkEvent::SessionRefused { session } => self.refused_session(*session),
            LinkEvent::SessionClosed { session } => self.forget(*session),
            LinkEvent::Message(delivered, receivers) => self.deliver(now, delivered, receivers),
            LinkEvent::View(view) => self.deliver_view(now, view),
            LinkEvent::Transition { group, receivers, id, .. } => {
                self.deliver_transition(now, group, id, receivers);
            }
            LinkEvent::Applied { .. } | LinkEvent::AttachRefused { .. } | LinkEvent::Detached => {}
        }
    }

    /// Time passed: handshakes that take too long and sessions that do not read are ended.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.flush_run();
        let slow = match self.settings.slow_reader {
            SlowReader::Block { timeout } => Some(timeout),
            SlowReader::Disconnect { .. } => None,
        };
        let overdue =
            |connection: &Connection| connection.deadline.is_some_and(|deadline| now >= deadline);
        let stuck = |connection: &Connection| {
            let since = connection.outbox.full_since.zip(slow);
            since.is_some_and(|(since, timeout)| now.since(since) >= timeout)
        };
        let ended: Vec<(ConnectionId, bool)> = self
            .connections
            .iter()
            .filter(|(_, connection)| overdue(connection) || stuck(connection))
            .map(|(id, connection)| (*id, stuck(connection)))
            .collect();
        for (id, slow) in ended {
            self.counters.slow_readers += u64::from(slow);
            self.drop_connection(id);
        }
    }

    /// When [`Front::handle_timeout`] is due at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let slow = match self.settings.slow_reader {
            SlowReader::Block { timeout } => Some(timeout),
            SlowReader::Disconnect { .. } => None,
        };
        let due = |connection: &Connection| {
            let full =
                connection.outbox.full_since.zip(slow).map(|(since, timeout)| since + timeout);
            connection.deadline.into_iter().chain(full).min()
        };
        self.connections.values().filter_map(due).min()
    }

    /// Whether some connection may have to be ended because of time: one in its handshake, one that reads too slowly.
    #[must_use]
    pub fn has_deadlines(&self) -> bool {
        !self.half_open.is_empty() || !self.full.is_empty()
    }

    /// Whether the driver should read from connections at all ([`Front::reads_from`]): not while as much as may is on its way to the order.
    #[must_use]
    pub fn reads(&self) -> bool {
        !self.paused
    }

    /// The next thing to do; call until `None`.
    pub fn poll_output(&mut self) -> Option<FrontOutput> {
        if self.outputs.is_empty() {
            self.flush_run();
        }
        take_first(&mut self.outputs)
    }

    /// Whether a session that reads has more waiting than its bound: the driver tells the ring, which sends less until then.
    #[must_use]
    pub fn congested(&self, now: Instant) -> bool {
        self.full.iter().filter_map(|id| self.connections.get(id)).any(|connection| {
            connection.outbox.full_since.is_some() && now.since(connection.outbox.progress) < UNREAD
        })
    }

    /// Whether a session that reads had twice its bound waiting and still has more than its bound: the driver should hand over no
    /// more link events until it has read. One request may cost far more bytes here than on the ring (a join is a view of the
    /// whole group for each member that watches).
    #[must_use]
    pub fn overfull(&self, now: Instant) -> bool {
        self.full.iter().filter_map(|id| self.connections.get(id)).any(|connection| {
            connection.outbox.overfull && now.since(connection.outbox.progress) < UNREAD
        })
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The sessions at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let session = |session: &Session| {
            let connection = session.connection.and_then(|id| self.connections.get(&id));
            SessionStatus {
                name: session.name.clone(),
                peer: connection.map(|connection| connection.peer),
                queued_bytes: connection.map_or(0, |connection| connection.outbox.bytes()),
            }
        };
        Status {
            sessions: self.sessions.values().map(session).collect(),
            half_open: self.half_open.len(),
        }
    }

    /// The session of a connection, once it has one.
    #[must_use]
    pub fn session_of(&self, id: ConnectionId) -> Option<SessionId> {
        match self.connections.get(&id)?.state {
            State::Opening { session, .. } | State::Open { session } => Some(session),
            _ => None,
        }
    }

    /// Requests that are not in the order for good yet.
    #[must_use]
    pub fn unacknowledged(&self) -> usize {
        self.requests.len()
    }

    // --- shared by the parts ------------------------------------------------------------------------

    /// Numbers a request and keeps it until it is acknowledged.
    pub(crate) fn request(&mut self, body: RequestBody) {
        self.last_request = self.next_number();
        let request = Request { number: self.last_request, body };
        let bytes = request_bytes(&request);
        self.request_bytes += bytes;
        // A built-in endpoint goes down with its daemon: it never sends again.
        let again = self.settings.reattaches.then(|| request.body.clone());
        self.requests.push_back(Held { number: request.number, bytes, sent: self.clock, again });
        if self.may_request() {
            self.outputs.push_back(FrontOutput::Request(request));
        }
        self.press();
    }

    pub(crate) fn acknowledged(&mut self, number: RequestNumber) {
        let (before, mut last) = (self.request_bytes, None);
        while let Some(request) = self.requests.pop_front_if(|request| request.number <= number) {
            self.request_bytes -= request.bytes;
            last = Some(request.sent);
        }
        if let Some(sent) = last {
            let limited = self.paused || self.sends_large() || before > self.window.limit() / 2;
            let bytes = before - self.request_bytes;
            self.window.acknowledged(self.clock, sent, bytes, limited);
        }
        self.press();
        self.large_ordered(number);
        self.feed();
    }

    /// The number of the next request.
    pub(crate) fn next_number(&self) -> RequestNumber {
        RequestNumber(self.last_request.0 + 1)
    }

    /// The time of the last call.
    pub(crate) fn now(&self) -> Instant {
        self.clock
    }

    /// Stops or resumes reading from clients as the queue of requests asks for it.
    fn press(&mut self) {
        // Two requests may always be on their way, so that one can be read while the other is ordered.
        let two = self.requests.back().map_or(0, |last| 2 * last.bytes);
        let limit = self.window.limit().max(two.min(self.settings.request_bytes));
        if self.request_bytes > limit {
            self.paused = true;
        } else if self.request_bytes <= limit / 2 && !planted(Bug::PausedForEver) {
            self.paused = false;
        }
    }

    pub(crate) fn write(&mut self, connection: ConnectionId, chunk: Bytes) {
        if let Some(known) = self.connections.get_mut(&connection) {
            known.outbox.push(chunk.len());
            self.outputs.push_back(FrontOutput::Write { connection, chunk });
        }
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// What a request counts against the bound: its payload and a flat share for the rest.
fn request_bytes(request: &Request) -> usize {
    const SHARE: usize = 64;
    match &request.body {
        RequestBody::Multicast { message, .. } | RequestBody::Rest { message, .. } => {
            SHARE + message.payload.len()
        }
        RequestBody::Part { bytes, .. } => SHARE + bytes.len(),
        _ => SHARE,
    }
}
