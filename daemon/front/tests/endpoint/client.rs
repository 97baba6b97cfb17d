//! A front with clients that are nothing but bytes, and a link whose other end is the test.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use spread_front::{
    Authentication, ConnectionId, Front, FrontOutput, FrontSettings, Peer, SlowReader,
};
use spread_wire::frame::Layout;
use spread_wire::ids::{
    BootId, ConfigurationId, EndpointName, EndpointUid, GroupName, Position, PrivateName,
    RequestNumber, RingNumber, Seq, SessionId, Slot,
};
use spread_wire::link::{Delivered, LinkEvent, Multicast, RequestBody};
use spread_wire::service::Service;
use spread_wire::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

pub const AGREED: u32 = 0x10;
pub const SAFE: u32 = 0x20;
pub const SELF_DISCARD: u32 = 0x40;
pub const REJECT: u32 = 0x0040_0000;
pub const JOIN: u32 = 0x0001_0000;
pub const LEAVE: u32 = 0x0002_0000;
pub const KILL: u32 = 0x0004_0000;
const BYTE_ORDER: u32 = 0x8000_0080;
/// Bytes of a header with names of 32 bytes.
pub const HEADER_BYTES: usize = 48;

pub fn settings() -> FrontSettings {
    FrontSettings {
        name: EndpointName::from("d0"),
        uid: EndpointUid(7),
        seed: 1,
        layout: Layout::default(),
        sessions: 100,
        session_queue_bytes: 10_000,
        request_bytes: 1 << 20,
        large_bytes: spread_front::LARGE_BYTES,
        part_bytes: spread_front::PART_BYTES,
        slow_reader: SlowReader::Block { timeout: Duration::from_secs(10) },
        handshake_timeout: Duration::from_secs(5),
        authentication: Authentication::default(),
        access: Vec::new(),
        await_open: false,
        reattaches: false,
    }
}

pub fn tcp(last: u8) -> Peer {
    Peer::Tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)))
}

/// What a stock library of version 4.4.0 connects with; no membership messages.
pub fn hello(name: &str) -> Vec<u8> {
    [&[4, 4, 0, 0, name.len() as u8], name.as_bytes()].concat()
}

/// The auth choice: three names of 30 bytes.
pub fn choice(methods: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0; 90];
    for (index, method) in methods.iter().enumerate() {
        bytes[index * 30..][..method.len()].copy_from_slice(method.as_bytes());
    }
    bytes
}

/// A frame with an application's message type in the hint.
pub fn typed(word: u32, name: &str, groups: &[&str], mess_type: i16, body: &[u8]) -> Vec<u8> {
    let field = |name: &str| {
        let mut field = name.as_bytes().to_vec();
        field.resize(32, 0);
        field
    };
    let hint = u32::from(mess_type as u16) << 8 | BYTE_ORDER;
    let mut bytes = (word | BYTE_ORDER).to_le_bytes().to_vec();
    bytes.extend(field(name));
    bytes.extend((groups.len() as u32).to_le_bytes());
    bytes.extend(hint.to_le_bytes());
    bytes.extend((body.len() as u32).to_le_bytes());
    groups.iter().for_each(|group| bytes.extend(field(group)));
    bytes.extend(body);
    bytes
}

pub fn frame(word: u32, name: &str, groups: &[&str], body: &[u8]) -> Vec<u8> {
    typed(word, name, groups, 0, body)
}

/// A place of the order.
pub fn somewhere() -> Position {
    let configuration =
        ConfigurationId { ring: RingNumber(1), epoch: 1, representative: Slot(0), boot: BootId(1) };
    Position { configuration, seq: Seq(1), index: 0 }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub flush: bool,
}

pub struct World {
    pub front: Front,
    pub now: Instant,
    pub requests: Vec<RequestBody>,
    pub written: BTreeMap<u64, Vec<u8>>,
    pub closed: BTreeMap<u64, Closed>,
}

impl World {
    pub fn new(settings: FrontSettings) -> Self {
        Self {
            front: Front::new(settings),
            now: Instant(1),
            requests: Vec::new(),
            written: BTreeMap::new(),
            closed: BTreeMap::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.front.poll_output() {
            match output {
                FrontOutput::Write { connection, chunk } => {
                    self.written.entry(connection.0).or_default().extend(&chunk);
                }
                FrontOutput::Close { connection, flush } => {
                    let twice = self.closed.insert(connection.0, Closed { flush });
                    assert_eq!(twice, None, "a connection is closed once");
                }
                FrontOutput::Request(request) => self.requests.push(request.body),
            }
        }
    }

    pub fn connect(&mut self, id: u64, peer: Peer) {
        self.front.connected(self.now, ConnectionId(id), peer);
        self.drain();
    }

    pub fn send(&mut self, id: u64, bytes: &[u8]) {
        self.front.received(self.now, ConnectionId(id), bytes);
        self.drain();
    }

    /// The client is gone.
    pub fn hang_up(&mut self, id: u64) {
        self.front.closed(self.now, ConnectionId(id));
        self.drain();
    }

    /// What the kernel took for a client that reads.
    pub fn read(&mut self, id: u64, bytes: usize) {
        self.front.written(self.now, ConnectionId(id), bytes);
        self.drain();
    }

    pub fn event(&mut self, event: LinkEvent) {
        self.front.link_event(self.now, &event);
        self.drain();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        if self.front.poll_timeout().is_some_and(|due| due <= self.now) {
            self.front.handle_timeout(self.now);
        }
        self.drain();
    }

    /// A whole handshake over TCP; returns the new session.
    pub fn open(&mut self, id: u64, name: &str) -> SessionId {
        self.connect(id, tcp(1));
        self.send(id, &hello(name));
        self.send(id, &choice(&["NULL"]));
        let private = format!("#{name}#d0");
        let accept = [&[1, 4, 4, 0, private.len() as u8], private.as_bytes()].concat();
        assert_eq!(self.take_written(id), [b"\x05NULL ", &accept[..]].concat());
        match self.requests.last() {
            Some(RequestBody::Open { session, name, .. }) if name.0 == private.as_bytes() => {
                *session
            }
            other => panic!("the session was not asked for: {other:?}"),
        }
    }

    pub fn take_written(&mut self, id: u64) -> Vec<u8> {
        self.written.remove(&id).unwrap_or_default()
    }

    /// Connects and sends, and is refused with this code behind `before`.
    pub fn expect_refusal(&mut self, id: u64, before: &[u8], code: i8) {
        assert_eq!(self.take_written(id), [before, &code.to_le_bytes()[..]].concat());
        assert_eq!(self.closed.get(&id), Some(&Closed { flush: true }));
        assert!(self.requests.is_empty(), "{:?}", self.requests);
    }

    /// Delivers a message of another daemon's endpoint to the session.
    pub fn deliver(&mut self, session: SessionId, body: &[u8]) {
        self.deliver_of(session, body, EndpointUid(8), None);
    }

    /// Delivers a message of this endpoint, which has this number there if it is in another process.
    pub fn deliver_of(
        &mut self,
        session: SessionId,
        body: &[u8],
        sender: EndpointUid,
        number: Option<u64>,
    ) {
        let delivered = message(body, (sender, SessionId(1)), 0, number);
        self.event(LinkEvent::Message(delivered, Arc::from([session])));
    }
}

/// A message to the group `g`.
pub fn message(
    body: &[u8],
    sender_session: (EndpointUid, SessionId),
    extra_bits: u32,
    number: Option<u64>,
) -> Delivered {
    let message = Multicast {
        service: Service::Agreed,
        extra_bits,
        hint: [0x80, 0, 0, 0x80],
        groups: [GroupName::from("g")].into(),
        payload: Bytes::copy_from_slice(body),
    };
    Delivered {
        position: somewhere(),
        sender: PrivateName::from("#other#d1"),
        sender_session,
        number: number.map(RequestNumber),
        message,
    }
}
