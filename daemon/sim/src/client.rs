//! A model client: writes and reads the bytes of the client protocol as a stock library does.

use crate::history::{Message, MessageId, Seen, SeenView, SessionIndex};
use crate::node::MESSAGE_BYTES;
use bytes::{Buf, Bytes, BytesMut};
use spread_front::ConnectionId;
use spread_wire::frame::{AUTH_CHOICE_BYTES, Header, Layout};
use spread_wire::ids::{GroupId, PrivateName, SessionId};
use spread_wire::name::Name;
use spread_wire::service::{Service, bits};
use spread_wire::time::Instant;

/// Bytes that the kernel takes for a client that does not read.
const KERNEL_BYTES: usize = 4096;
/// Bytes of a name field.
const NAME_BYTES: usize = 32;
/// Bytes of a view's id and its two numbers.
const VIEW_HEAD_BYTES: usize = 20;

/// How far the handshake has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for the list of methods.
    Methods,
    /// Waits for the accept byte.
    Answer,
    /// Has a session.
    Open(SessionIndex),
}

/// The client's end of a connection.
#[derive(Debug)]
pub struct Connection {
    /// The daemon's process.
    pub process: usize,
    /// Name of the connection.
    pub id: ConnectionId,
    /// How far it is.
    pub stage: Stage,
    /// Asked for no membership messages.
    pub silent: bool,
    /// The session's number at its endpoint, once it was accepted.
    pub session: Option<SessionId>,
    /// Bytes on their way to the client, read by nobody yet.
    arriving: BytesMut,
    /// How many of them the kernel took.
    kernel: usize,
    /// Bytes that are read and not parsed yet.
    input: BytesMut,
    /// The daemon closed its end.
    pub closing: bool,
    /// The client said goodbye: what still comes is not looked at.
    pub gone: bool,
}

/// A model client.
#[derive(Debug, Default)]
pub struct Client {
    /// Its connection, if any.
    pub connection: Option<Connection>,
    /// It does not read, since then.
    pub stalled_since: Option<Instant>,
    /// How often it stopped reading.
    pub stalls: u32,
    /// How often it connected.
    pub connections: u32,
}

/// Something a client reads.
#[derive(Debug)]
pub enum Read {
    /// The list of methods: the choice has to be written.
    Methods,
    /// The session begins.
    Accepted(PrivateName),
    /// The daemon refuses.
    Refused(i8),
    /// A frame.
    Seen(Seen),
}

fn layout() -> Layout {
    Layout { message_bytes: MESSAGE_BYTES, ..Layout::default() }
}

impl Connection {
    /// A connection that was just made.
    #[must_use]
    pub fn new(process: usize, id: ConnectionId, silent: bool) -> Self {
        Self {
            process,
            id,
            stage: Stage::Methods,
            silent,
            session: None,
            arriving: BytesMut::new(),
            kernel: 0,
            input: BytesMut::new(),
            closing: false,
            gone: false,
        }
    }

    /// The daemon writes; returns how many bytes left it.
    pub fn write(&mut self, chunk: &Bytes, stalled: bool) -> usize {
        self.arriving.extend_from_slice(chunk);
        self.take(stalled)
    }

    /// Lets the kernel, and a client that reads, take what they can; returns how many bytes left the daemon.
    pub fn take(&mut self, stalled: bool) -> usize {
        let room =
            if stalled { KERNEL_BYTES.min(self.arriving.len()) } else { self.arriving.len() };
        let left = room.saturating_sub(self.kernel);
        self.kernel += left;
        if !stalled {
            self.input.unsplit(self.arriving.split());
            self.kernel = 0;
        }
        left
    }

    /// The daemon closed at once: what did not leave it is lost.
    pub fn cut_off(&mut self) {
        self.arriving.truncate(self.kernel);
    }

    /// Whether nothing more will come.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.closing && self.arriving.is_empty()
    }

    /// The next whole thing that was read.
    pub fn next(&mut self) -> Option<Read> {
        match self.stage {
            Stage::Methods => {
                let first = i8::from_le_bytes([*self.input.first()?]);
                if first < 0 {
                    return Some(Read::Refused(first));
                }
                if self.input.len() < 1 + first as usize {
                    return None;
                }
                self.input.advance(1 + first as usize);
                self.stage = Stage::Answer;
                Some(Read::Methods)
            }
            Stage::Answer => {
                let first = i8::from_le_bytes([*self.input.first()?]);
                if first < 0 {
                    return Some(Read::Refused(first));
                }
                let length = usize::from(*self.input.get(4)?);
                if self.input.len() < 5 + length {
                    return None;
                }
                self.input.advance(5);
                let name = self.input.split_to(length).freeze();
                Some(Read::Accepted(PrivateName(name.into())))
            }
            Stage::Open(_) => self.next_frame().map(Read::Seen),
        }
    }

    fn next_frame(&mut self) -> Option<Seen> {
        let layout = layout();
        if self.input.len() < layout.header_bytes() {
            return None;
        }
        let header = match Header::read(&self.input, &layout) {
            Ok(header) => header,
            Err(error) => {
                self.input.clear();
                return Some(Seen::Unreadable(error.to_string()));
            }
        };
        let total = header.total(&layout);
        if self.input.len() < total {
            return None;
        }
        let frame = self.input.split_to(total).freeze();
        Some(parse(&header, &frame))
    }
}

/// The connect request of a library of today.
#[must_use]
pub fn hello(name: &str, silent: bool) -> Bytes {
    let mut bytes = vec![4, 4, 0, u8::from(!silent), name.len() as u8];
    bytes.extend_from_slice(name.as_bytes());
    bytes.into()
}

/// The choice of the method NULL.
#[must_use]
pub fn choice() -> Bytes {
    let mut bytes = b"NULL".to_vec();
    bytes.resize(AUTH_CHOICE_BYTES, 0);
    bytes.into()
}

/// A request: header, groups, body.
#[must_use]
pub fn request(word: u32, name: &PrivateName, groups: &[Name], body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(48 + groups.len() * NAME_BYTES + body.len());
    bytes.extend_from_slice(&(word | bits::BYTE_ORDER).to_le_bytes());
    put_name(&mut bytes, &name.0);
    bytes.extend_from_slice(&(groups.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&bits::BYTE_ORDER.to_le_bytes());
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    groups.iter().for_each(|group| put_name(&mut bytes, group));
    bytes.extend_from_slice(body);
    bytes.into()
}

fn put_name(to: &mut Vec<u8>, name: &[u8]) {
    to.extend_from_slice(name);
    to.resize(to.len() + NAME_BYTES - name.len(), 0);
}

fn name(field: &[u8]) -> Name {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    field[..end].into()
}

fn names(bytes: &[u8]) -> Vec<Name> {
    bytes.chunks(NAME_BYTES).map(name).collect()
}

fn parse(header: &Header, frame: &Bytes) -> Seen {
    let start = layout().header_bytes();
    let body_at = start + header.groups * NAME_BYTES;
    let (groups, body) = (names(&frame[start..body_at]), frame.slice(body_at..));
    let group_id = |bytes: &[u8]| bytes.get(..12)?.try_into().ok().map(GroupId);
    let name = header.name.clone();
    let group = name.clone();
    if header.word & bits::REG_MEMB != 0 {
        let cause = header.word & !bits::REG_MEMB;
        let view = group_id(&body).and_then(|id| parse_view((group, id, cause), groups, &body));
        return view.map_or_else(|| Seen::Unreadable("a view".into()), Seen::View);
    }
    if header.word & bits::TRANSITION != 0 {
        return match group_id(&body) {
            Some(id) => Seen::Transition { group, id },
            None => Seen::Unreadable("a transitional signal".into()),
        };
    }
    if header.word == bits::CAUSED_BY_LEAVE {
        return Seen::SelfLeave { group };
    }
    Seen::Message(Message {
        id: MessageId::read(&body),
        sender: name,
        service: Service::from_bits(header.word),
        groups,
        payload: body,
        place: None,
    })
}

fn parse_view(
    (group, id, cause): (Name, GroupId, u32),
    members: Vec<Name>,
    body: &[u8],
) -> Option<SeenView> {
    let number = |at: usize| {
        let bytes: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes) as usize)
    };
    let (count, offset) = (number(12)?, number(16)?);
    let (mut vs_sets, mut own, mut at) = (Vec::new(), None, VIEW_HEAD_BYTES);
    for index in 0..count {
        if at - VIEW_HEAD_BYTES == offset {
            own = Some(index);
        }
        let end = at + 4 + number(at)? * NAME_BYTES;
        vs_sets.push(names(body.get(at + 4..end)?));
        at = end;
    }
    Some(SeenView { group, id, place: None, cause, members, vs_sets, own })
}
