//! The 48-byte header and the checks on what a client sends (`client-protocol` sections 3, 4 and 10.2).

use super::FrameError;
use crate::ids::{GroupName, PrivateName};
use crate::link::{Destinations, Multicast};
use crate::name::Name;
use crate::service::{Service, bits};
use bytes::Bytes;

/// Bytes of a header with 32-byte names.
pub const HEADER_BYTES: usize = 48;
/// Most groups of a message.
const GROUPS: usize = 100;
/// Bits that a hint may have.
const HINT_BITS: u32 = 0x80ff_ff80;

/// Sizes that sites set: the width of a name field and the largest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a name field, its NUL included; 32 for stock clients.
    pub name_bytes: usize,
    /// Most bytes of header, groups and body together.
    pub message_bytes: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Self { name_bytes: 32, message_bytes: 16 << 20 }
    }
}

impl Layout {
    /// Bytes of a header.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        16 + self.name_bytes
    }
}

/// A header as it came, numbers in host order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Type word without the byte order bits.
    pub word: u32,
    /// Whether the writer is little-endian.
    pub little: bool,
    /// The private name field up to its NUL.
    pub name: Name,
    /// Number of groups.
    pub groups: usize,
    /// The hint, byte for byte.
    pub hint: [u8; 4],
    /// Bytes of the body.
    pub body: usize,
}

impl Header {
    /// Reads a client's header; `input` holds at least [`Layout::header_bytes`].
    pub fn read(input: &[u8], layout: &Layout) -> Result<Self, FrameError> {
        let header = Self::parse(input, layout)?;
        if header.groups > GROUPS {
            return Err(FrameError::Groups);
        }
        if header.body > layout.message_bytes || header.total(layout) > layout.message_bytes {
            return Err(FrameError::Size);
        }
        // The hint is in its writer's order; the mask reads the same in both.
        if u32::from_le_bytes(header.hint) & !HINT_BITS != 0 {
            return Err(FrameError::Hint);
        }
        Ok(header)
    }

    /// Reads the fields; nothing but the byte order is checked.
    pub(super) fn parse(input: &[u8], layout: &Layout) -> Result<Self, FrameError> {
        let width = layout.name_bytes;
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&input[at..at + 4]);
            bytes
        };
        let raw = u32::from_le_bytes(word(0));
        let little = match raw & bits::BYTE_ORDER {
            bits::BYTE_ORDER => true,
            0 => false,
            _ => return Err(FrameError::ByteOrder),
        };
        let number = |at: usize| {
            if little { u32::from_le_bytes(word(at)) } else { u32::from_be_bytes(word(at)) }
        };
        Ok(Self {
            word: number(0) & !bits::BYTE_ORDER,
            little,
            name: c_string(&input[4..4 + width]).into(),
            groups: number(4 + width) as usize,
            hint: word(8 + width),
            body: number(12 + width) as usize,
        })
    }

    /// Bytes of the whole message.
    #[must_use]
    pub fn total(&self, layout: &Layout) -> usize {
        let names = self.groups.saturating_mul(layout.name_bytes);
        layout.header_bytes().saturating_add(names).saturating_add(self.body)
    }

    /// What is asked.
    pub fn kind(&self) -> Result<RequestKind, FrameError> {
        let requests = bits::JOIN | bits::LEAVE | bits::KILL;
        let asked = self.word & (bits::REGULAR | requests);
        if asked.count_ones() != 1 {
            return Err(FrameError::Type);
        }
        if self.word & bits::FORBIDDEN != 0 {
            return Err(FrameError::Forged);
        }
        Ok(match asked {
            bits::JOIN => RequestKind::Join,
            bits::LEAVE => RequestKind::Leave,
            bits::KILL => RequestKind::Kill,
            _ => RequestKind::Multicast,
        })
    }
}

/// The four requests of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// Send a message.
    Multicast,
    /// Join a group.
    Join,
    /// Leave a group.
    Leave,
    /// Disconnect.
    Kill,
}

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Send a message.
    Multicast(Multicast),
    /// Join this group; the rest is kept for a reject.
    Join(GroupName, Multicast),
    /// Leave this group.
    Leave(GroupName, Multicast),
    /// Disconnect.
    Kill,
}

impl Request {
    /// Reads a whole request; `frame` has exactly [`Header::total`] bytes. The body is shared with it.
    pub fn read(
        header: &Header,
        frame: &Bytes,
        sender: &PrivateName,
        layout: &Layout,
    ) -> Result<Self, FrameError> {
        let kind = header.kind()?;
        if header.name != sender.0 {
            return Err(FrameError::Sender);
        }
        let (start, width) = (layout.header_bytes(), layout.name_bytes);
        let groups: Destinations = (0..header.groups)
            .map(|at| GroupName(c_string(&frame[start + at * width..][..width]).into()))
            .collect();
        let message = Multicast {
            service: Service::from_bits(header.word).unwrap_or(Service::Agreed),
            extra_bits: header.word & !bits::REGULAR & !(bits::JOIN | bits::LEAVE | bits::KILL),
            hint: header.hint,
            payload: frame.slice(start + header.groups * width..),
            groups,
        };
        let first = || message.groups.first().cloned().ok_or(FrameError::NoGroup);
        Ok(match kind {
            RequestKind::Kill => Self::Kill,
            RequestKind::Join => Self::Join(first()?, message),
            RequestKind::Leave => Self::Leave(first()?, message),
            RequestKind::Multicast => Self::Multicast(message),
        })
    }
}

/// A name field up to its NUL; the last byte always is one.
fn c_string(field: &[u8]) -> &[u8] {
    &field[..c_length(field)]
}

pub(super) fn c_slice(frame: &Bytes, start: usize, width: usize) -> Bytes {
    let length = c_length(&frame[start..start + width]);
    frame.slice(start..start + length)
}

fn c_length(field: &[u8]) -> usize {
    let most = field.len() - 1;
    field[..most].iter().position(|byte| *byte == 0).unwrap_or(most)
}

/// Appends a name field.
pub(super) fn put_name(to: &mut Vec<u8>, name: &[u8], width: usize) {
    let begin = to.len();
    to.resize(begin + width, 0);
    fill_name(&mut to[begin..], name);
}

/// Writes a name into its field of zeros, whose last byte stays one.
#[inline]
pub(super) fn fill_name(field: &mut [u8], name: &[u8]) {
    let length = name.len().min(field.len() - 1);
    field[..length].copy_from_slice(&name[..length]);
}

/// Appends a header in little-endian order.
pub(super) fn put_header(
    to: &mut Vec<u8>,
    word: u32,
    name: &[u8],
    (groups, hint, body): (usize, [u8; 4], usize),
    layout: &Layout,
) {
    let begin = to.len();
    to.resize(begin + layout.header_bytes(), 0);
    fill_header(&mut to[begin..], word, name, (groups, hint, body), layout.name_bytes);
}

/// Writes a header into zeros of its size.
#[inline]
pub(super) fn fill_header(
    to: &mut [u8],
    word: u32,
    name: &[u8],
    (groups, hint, body): (usize, [u8; 4], usize),
    name_bytes: usize,
) {
    let (first, rest) = to.split_at_mut(4);
    let (field, rest) = rest.split_at_mut(name_bytes);
    first.copy_from_slice(&(word | bits::BYTE_ORDER).to_le_bytes());
    fill_name(field, name);
    let [a, b, c, d] = (groups as u32).to_le_bytes();
    let [e, f, g, h] = hint;
    let [i, j, k, l] = (body as u32).to_le_bytes();
    rest.copy_from_slice(&[a, b, c, d, e, f, g, h, i, j, k, l]);
}

/// Hint of messages that the daemon itself makes.
pub(super) const OWN_HINT: [u8; 4] = bits::BYTE_ORDER.to_le_bytes();
