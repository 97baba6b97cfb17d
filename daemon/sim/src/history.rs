//! What every daemon and every application saw, in order: all that the oracle judges.

use bytes::Bytes;
use core::time::Duration;
use spread_ring::Configuration;
use spread_wire::ids::{BootId, EndpointUid, GroupId, Position, PrivateName, SessionId};
use spread_wire::link::{Delivered, View};
use spread_wire::name::Name;
use spread_wire::service::Service;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A moment of a run: the simulated time, and the place among all records of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Simulated time.
    pub at: Instant,
    /// Place among all records.
    pub order: u64,
}

/// Index of a process in [`History::processes`].
pub type ProcessIndex = usize;
/// Index of a session in [`History::sessions`].
pub type SessionIndex = usize;

/// Everything that was seen in one run.
#[derive(Debug, Default)]
pub struct History {
    /// All daemons that ever ran.
    pub processes: Vec<ProcessHistory>,
    /// All sessions that ever were accepted.
    pub sessions: Vec<SessionHistory>,
    /// What a look at a queue or at the whole cluster found wrong.
    pub findings: Vec<Violation>,
    /// Set once the faults ended and all daemons were one ring.
    pub healed: Option<Moment>,
    /// Set once the faults ended and the cluster was given time to settle.
    pub settled: Option<Moment>,
    /// Places of the views that are on their way to a session.
    places: BTreeMap<(EndpointUid, SessionId), VecDeque<Position>>,
    /// Places of the messages that were handed to a session's endpoint.
    message_places: BTreeMap<(EndpointUid, SessionId, MessageId), VecDeque<Position>>,
    records: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// Killed.
    Crash,
    /// Left in an orderly way.
    Left,
    /// Another daemon has its slot.
    Superseded,
    /// No daemon could judge the endpoint's attach.
    Refused,
}

/// One daemon process.
#[derive(Debug)]
pub struct ProcessHistory {
    /// Its slot.
    pub slot: usize,
    /// Its boot id.
    pub boot: BootId,
    /// When and how it ended.
    pub end: Option<(Moment, ProcessEnd)>,
    /// It is an endpoint in a process of its own.
    pub endpoint: bool,
    /// When an endpoint lost the daemon that served it.
    pub cuts: Vec<Moment>,
    /// What its engine said, in order.
    pub entries: Vec<(Moment, Entry)>,
}

/// Something a daemon did.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It installed a configuration.
    Install(Configuration),
    /// It handed a message to its front.
    Message {
        /// The message.
        delivered: Arc<Delivered>,
        /// To whom.
        receivers: Arc<[SessionId]>,
        /// Members of the configuration that did not have it at this moment (looked at for SAFE only).
        lacking: Vec<ProcessIndex>,
    },
    /// It handed a view to its front.
    View(Arc<View>),
    /// A session's opening was ordered.
    Opened(SessionId),
    /// A session's end was ordered.
    Closed(SessionId),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// It asked for it.
    Asked,
    /// Its socket was closed by the application.
    Dropped,
    /// The daemon closed it.
    Closed,
    /// Its daemon ended.
    DaemonEnded,
}

/// One session of a model client.
#[derive(Debug)]
pub struct SessionHistory {
    /// Which client.
    pub client: usize,
    /// Its daemon.
    pub process: ProcessIndex,
    /// Its endpoint, and its number there.
    pub at_endpoint: (EndpointUid, SessionId),
    /// Its private name.
    pub name: PrivateName,
    /// Whether it gets membership messages.
    pub membership: bool,
    /// When the accept came.
    pub accepted: Moment,
    /// When and how it ended.
    pub end: Option<(Moment, SessionEnd)>,
    /// What arrived, in order.
    pub events: Vec<Event>,
    /// What it asked for, in order.
    pub asked: Vec<Asked>,
}

/// Something that arrived at a session.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub moment: Moment,
    /// What.
    pub seen: Seen,
}

/// Names a message of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId {
    /// Sending session.
    pub session: u32,
    /// Which of its requests.
    pub number: u32,
}

/// What a session reads.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A message.
    Message(Message),
    /// A view.
    View(SeenView),
    /// The transitional signal.
    Transition {
        /// Its group.
        group: Name,
        /// Id of the view that ends.
        id: GroupId,
    },
    /// The own leave took effect.
    SelfLeave {
        /// Its group.
        group: Name,
    },
    /// What no daemon ever sends.
    Unreadable(String),
}

/// A message as it was read.
#[derive(Clone, Debug)]
pub struct Message {
    /// From the payload; `None` if that is not of the workload.
    pub id: Option<MessageId>,
    /// Private name of the sender, from the header.
    pub sender: Name,
    /// Service word.
    pub service: Option<Service>,
    /// Groups it was sent to.
    pub groups: Vec<Name>,
    /// The payload.
    pub payload: Bytes,
    /// Its place in the order, which no client sees.
    pub place: Option<Position>,
}

/// A view as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenView {
    /// Its group.
    pub group: Name,
    /// Its id.
    pub id: GroupId,
    /// Its place in the order, which no client sees: ids of a group that was empty start over, the place tells its lives
    /// apart.
    pub place: Option<Position>,
    /// Its cause bits.
    pub cause: u32,
    /// All members in order.
    pub members: Vec<Name>,
    /// Vs-sets; for a join, leave or disconnect the one member it is about.
    pub vs_sets: Vec<Vec<Name>>,
    /// Index of the own vs-set, if the offset points at one.
    pub own: Option<usize>,
}

/// Something a session asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When.
    pub moment: Moment,
    /// How much it had seen by then.
    pub seen: usize,
    /// What.
    pub request: Request,
}

/// What sessions ask for.
#[derive(Clone, Debug)]
pub enum Request {
    /// Join a group.
    Join(Name),
    /// Leave a group.
    Leave(Name),
    /// Send a message.
    Send {
        /// Service.
        service: Service,
        /// Destinations.
        groups: Vec<Name>,
        /// Not to the sender itself.
        discard: bool,
        /// The whole payload.
        payload: Bytes,
    },
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Name of the promise: the oracle file that judged it.
    pub promise: &'static str,
    /// Where to look.
    pub moment: Moment,
    /// What is wrong.
    pub text: String,
}

impl History {
    /// The moment of the next record.
    pub fn tick(&mut self, at: Instant) -> Moment {
        self.records += 1;
        Moment { at, order: self.records }
    }

    /// An endpoint takes a view for these sessions of it.
    pub fn view_taken(&mut self, uid: EndpointUid, view: &View) {
        // Confirmations of leaves have no members; an endpoint also makes some itself.
        for (session, _) in view.receivers.iter().filter(|_| !view.members.is_empty()) {
            self.places.entry((uid, *session)).or_default().push_back(view.position);
        }
    }

    /// An endpoint takes a message for these sessions of it.
    pub fn message_taken(&mut self, uid: EndpointUid, delivered: &Delivered, to: &[SessionId]) {
        let Some(id) = MessageId::read(&delivered.message.payload) else { return };
        for session in to {
            let places = self.message_places.entry((uid, *session, id)).or_default();
            places.push_back(delivered.position);
        }
    }

    /// The place of a message that a session reads.
    pub fn message_place(&mut self, session: SessionIndex, id: MessageId) -> Option<Position> {
        let (uid, number) = self.sessions[session].at_endpoint;
        self.message_places.get_mut(&(uid, number, id))?.pop_front()
    }

    /// The place of the next view that a session reads.
    pub fn next_place(&mut self, session: SessionIndex) -> Option<Position> {
        let key = self.sessions[session].at_endpoint;
        self.places.get_mut(&key)?.pop_front()
    }

    /// Notes something wrong found while the run goes on; of each promise only the first.
    pub fn find(&mut self, at: Instant, promise: &'static str, text: impl FnOnce() -> String) {
        if self.findings.iter().all(|known| known.promise != promise) {
            let moment = self.tick(at);
            self.findings.push(Violation { promise, moment, text: text() });
        }
    }

    /// Whether a session is there to the end, and so has to have got everything.
    #[must_use]
    pub fn lasts(&self, session: &SessionHistory) -> bool {
        session.end.is_none() && self.processes[session.process].end.is_none()
    }

    /// Whether the session's endpoint lost its daemon since: what that did not hand over any more is lost to it.
    #[must_use]
    pub fn cut_since(&self, session: &SessionHistory, moment: Moment) -> bool {
        self.processes[session.process].cuts.iter().any(|cut| *cut >= moment)
    }

    /// The session of a private name; `None` if there was none, or more than one.
    #[must_use]
    pub fn named(&self, name: &[u8]) -> Option<SessionIndex> {
        let mut found = self.sessions.iter().enumerate().filter(|(_, s)| *s.name.0 == *name);
        let (index, _) = found.next()?;
        found.next().is_none().then_some(index)
    }

    /// What a workload message says of itself.
    #[must_use]
    pub fn sent(&self, id: MessageId) -> Option<&Asked> {
        self.sessions.get(id.session as usize)?.asked.get(id.number as usize)
    }
}

/// Names a view of a group for good: its id, and its place in the order.
pub type ViewName = (GroupId, Option<Position>);

impl SeenView {
    /// What tells it from every other view of its group.
    #[must_use]
    pub fn name(&self) -> ViewName {
        (self.id, self.place)
    }
}

impl SessionHistory {
    /// Messages of the workload in the order they arrived, with the place among the events.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = (usize, MessageId, &Message)> {
        self.events.iter().enumerate().filter_map(|(index, event)| match &event.seen {
            Seen::Message(message) => Some((index, message.id?, message)),
            _ => None,
        })
    }

    /// Whether the session had asked to be in the group, and not to leave it, before its `number`-th request.
    #[must_use]
    pub fn in_group_at(&self, group: &[u8], number: usize) -> bool {
        let mut member = false;
        for asked in &self.asked[..number.min(self.asked.len())] {
            match &asked.request {
                Request::Join(joined) if joined == group => member = true,
                Request::Leave(left) if left == group => member = false,
                _ => {}
            }
        }
        member
    }

    /// Whether it ever asked to leave the group.
    #[must_use]
    pub fn ever_leaves(&self, group: &[u8]) -> bool {
        self.asked.iter().any(|a| matches!(&a.request, Request::Leave(left) if left == group))
    }
}

/// A time as people read it: seconds since the start of the run.
#[must_use]
pub fn seconds(at: Instant) -> String {
    let since: Duration = at.since(crate::world::START);
    format!("{:9.6}s", since.as_secs_f64())
}

impl MessageId {
    /// Bytes that the id takes.
    pub const BYTES: usize = 12;
    const MAGIC: [u8; 4] = *b"\x7fmsg";

    /// A payload that carries the id; what follows it can be told from the id alone, so that a changed byte shows.
    #[must_use]
    pub fn payload(self, text: &str, bytes: usize) -> Bytes {
        let mut payload = Vec::with_capacity(bytes.max(Self::BYTES + text.len()));
        payload.extend_from_slice(&Self::MAGIC);
        payload.extend_from_slice(&self.session.to_le_bytes());
        payload.extend_from_slice(&self.number.to_le_bytes());
        payload.extend_from_slice(text.as_bytes());
        let step = (self.number as u8).wrapping_mul(31).wrapping_add(self.session as u8) | 1;
        while payload.len() < bytes {
            payload.push((payload.len() as u8).wrapping_mul(step));
        }
        payload.into()
    }

    /// The id in a payload.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Self> {
        let rest = payload.strip_prefix(&Self::MAGIC)?;
        let number = |at: usize| {
            let bytes: [u8; 4] = rest.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_le_bytes(bytes))
        };
        Some(Self { session: number(0)?, number: number(4)? })
    }
}

impl core::fmt::Display for MessageId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "s{}#{}", self.session, self.number)
    }
}
