//! The application's side of the client protocol (`client-protocol` sections 2, 4 to 7).

use super::FrameError;
use super::handshake::{AUTH_CHOICE_BYTES, AUTH_METHOD_BYTES, NAME_BYTES_MOST};
use super::header::{Header, Layout, c_slice, put_header, put_name};
use crate::ids::GroupId;
use crate::service::bits;
use bytes::Bytes;

/// Version that a client of ours announces.
const VERSION: [u8; 3] = [4, 4, 0];
/// Most bytes of one message from a daemon: a view of many thousand members is far below.
const INCOMING_BYTES: usize = 64 << 20;

/// A connect request. A name longer than 10 bytes is cut; an empty one lets the daemon invent one.
#[must_use]
pub fn connect_request(name: &[u8], membership: bool) -> Bytes {
    let name = &name[..name.len().min(NAME_BYTES_MOST)];
    let mut bytes = VERSION.to_vec();
    bytes.push(u8::from(membership));
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name);
    bytes.into()
}

/// The choice of authentication methods, at most three; names are cut at 29 bytes.
#[must_use]
pub fn auth_choice(methods: &[&str]) -> Bytes {
    let mut bytes = vec![0; AUTH_CHOICE_BYTES];
    for (slot, method) in bytes.chunks_mut(AUTH_METHOD_BYTES).zip(methods) {
        let length = method.len().min(AUTH_METHOD_BYTES - 1);
        slot[..length].copy_from_slice(&method.as_bytes()[..length]);
    }
    bytes.into()
}

/// The hint that carries an application's message type.
#[must_use]
pub fn hint_of(mess_type: i16) -> [u8; 4] {
    (u32::from(mess_type.cast_unsigned()) << 8 | bits::BYTE_ORDER).to_le_bytes()
}

/// Header and groups of a request; the body of `body` bytes follows.
#[must_use]
pub fn request_head<'a>(
    word: u32,
    sender: &[u8],
    groups: impl ExactSizeIterator<Item = &'a [u8]>,
    (mess_type, body): (i16, usize),
    layout: &Layout,
) -> Vec<u8> {
    let mut head =
        Vec::with_capacity(layout.header_bytes() + groups.len() * layout.name_bytes + body);
    put_header(&mut head, word, sender, (groups.len(), hint_of(mess_type), body), layout);
    for group in groups {
        put_name(&mut head, group, layout.name_bytes);
    }
    head
}

/// A whole message from a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Type word in host order, without the byte order bits.
    pub word: u32,
    /// Sender's private name, or the group of a membership message.
    pub name: Bytes,
    /// Groups as listed.
    pub groups: Vec<Bytes>,
    /// The application's message type.
    pub mess_type: i16,
    /// What follows.
    pub body: IncomingBody,
}

/// What an [`Incoming`] carries after its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncomingBody {
    /// A message of an application.
    Message(Bytes),
    /// A new view; its members are the groups.
    View(IncomingView),
    /// The view with this id is ending.
    Transition(GroupId),
    /// The own leave took effect.
    SelfLeave,
    /// A request was refused: the request's type word, and its body.
    Reject(u32, Bytes),
}

/// Identity and vs-sets of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingView {
    /// Equal at all members.
    pub id: GroupId,
    /// Sets of members that came into the view together, or the one who caused it.
    pub vs_sets: Vec<Vec<Bytes>>,
    /// Index of the receiver's own set.
    pub own: usize,
}

impl Incoming {
    /// How many bytes the message at the start of `input` takes; `None` if its header is not whole yet.
    ///
    /// # Errors
    ///
    /// The daemon sent what is no message, or one beyond 64 MiB: the stream can't be read on.
    pub fn length(input: &[u8], layout: &Layout) -> Result<Option<usize>, FrameError> {
        if input.len() < layout.header_bytes() {
            return Ok(None);
        }
        let header = Header::parse(input, layout)?;
        let length = header.total(layout).saturating_add(reject_bytes(&header));
        if length > INCOMING_BYTES { Err(FrameError::Size) } else { Ok(Some(length)) }
    }

    /// Reads a message; `frame` has exactly [`Incoming::length`] bytes. Names and body are shared with it.
    ///
    /// # Errors
    ///
    /// The daemon sent a membership message that contradicts itself: the stream can't be trusted any more.
    pub fn read(frame: &Bytes, layout: &Layout) -> Result<Self, FrameError> {
        let header = Header::parse(frame, layout)?;
        let width = layout.name_bytes;
        let start = layout.header_bytes() + reject_bytes(&header);
        let groups = (0..header.groups).map(|at| c_slice(frame, start + at * width, width));
        let (groups, rest) = (groups.collect(), frame.slice(start + header.groups * width..));
        let original = || {
            let at = layout.header_bytes();
            word_at(frame, at, header.little).ok_or(FrameError::Size)
        };
        let body = match header.word {
            word if word & bits::REJECT != 0 => {
                IncomingBody::Reject(original()? & !bits::BYTE_ORDER, rest)
            }
            word if word & bits::REG_MEMB != 0 => {
                IncomingBody::View(view(&rest, header.little, layout)?)
            }
            word if word & bits::TRANSITION != 0 => IncomingBody::Transition(id(&rest)?),
            word if word & bits::REGULAR == 0 && word & bits::CAUSED_BY_LEAVE != 0 => {
                IncomingBody::SelfLeave
            }
            word if word & bits::REGULAR != 0 => IncomingBody::Message(rest),
            _ => return Err(FrameError::Type),
        };
        Ok(Self {
            word: header.word,
            name: Bytes::copy_from_slice(&header.name),
            groups,
            mess_type: mess_type(header.hint),
            body,
        })
    }
}

/// A reject has the refused request's type word behind its header.
fn reject_bytes(header: &Header) -> usize {
    if header.word & bits::REJECT == 0 { 0 } else { 4 }
}

/// The hint is in its writer's byte order: both order bits set say little-endian.
fn mess_type(hint: [u8; 4]) -> i16 {
    let little = u32::from_le_bytes(hint);
    let word = if little & bits::BYTE_ORDER == bits::BYTE_ORDER {
        little
    } else {
        u32::from_be_bytes(hint)
    };
    ((word >> 8 & 0xffff) as u16).cast_signed()
}

fn word_at(bytes: &[u8], at: usize, little: bool) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(if little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) })
}

fn id(body: &Bytes) -> Result<GroupId, FrameError> {
    let id = body.get(..12).and_then(|id| id.try_into().ok());
    id.map(GroupId).ok_or(FrameError::Size)
}

fn view(body: &Bytes, little: bool, layout: &Layout) -> Result<IncomingView, FrameError> {
    let width = layout.name_bytes;
    let number =
        |at: usize| word_at(body, at, little).map(|number| number as usize).ok_or(FrameError::Size);
    let (id, sets, offset) = (id(body)?, number(12)?, number(16)?);
    let (mut at, mut own, mut vs_sets) = (20, 0, Vec::new());
    for index in 0..sets {
        if at - 20 == offset {
            own = index;
        }
        let count = number(at)?;
        let end = count.checked_mul(width).and_then(|bytes| bytes.checked_add(at + 4));
        if end.is_none_or(|end| end > body.len()) {
            return Err(FrameError::Size);
        }
        vs_sets.push((0..count).map(|name| c_slice(body, at + 4 + name * width, width)).collect());
        at += 4 + count * width;
    }
    Ok(IncomingView { id, vs_sets, own })
}
