//! Frames of a link to another process: head, bounds, and who says what.
//!
//! ```text
//! version  kind  length (32 bits, little-endian)  body of so many bytes
//! ```
//! The version stands first, so that a frame of another release is refused by name before its length is believed.
//!
//! | kind | from endpoint to engine | | kind | from engine to endpoint |
//! | --- | --- | --- | --- | --- |
//! | 1 | attach | | 64 | attached |
//! | 2 | request | | 65 | attach refused, with the reason |
//! | 3 to 15 | | | 66 | detached |
//! | 16 | *credit in bytes* | | 67 | acknowledged number |
//! | 17 | *heartbeat* | | 68, 69, 70 | session opened, refused, closed |
//! | | | | 71, 72, 73 | message, view, transitional signal |
//! | | | | 74, 76 | pause, parts lost |
//! | | | | 80 | *credit in bytes* |
//! | | | | 81 | *heartbeat* |
//! | | | | 82 | *position mark* |
//!
//! Those in italics are kept free for what links between processes need besides the values of [`super`].

use crate::packet::cursor::ReadError;
use bytes::{Buf as _, Bytes, BytesMut};

/// Version of the frames written here. The previous release's is to be read, too, once there is one.
pub const VERSION: u8 = 1;
/// Bytes before a frame's body.
pub const HEADER_BYTES: usize = 6;

pub(super) const ATTACH: u8 = 1;
pub(super) const REQUEST: u8 = 2;
pub(super) const ATTACHED: u8 = 64;
pub(super) const ATTACH_REFUSED: u8 = 65;
pub(super) const DETACHED: u8 = 66;
pub(super) const ACKNOWLEDGED: u8 = 67;
pub(super) const SESSION_OPENED: u8 = 68;
pub(super) const SESSION_REFUSED: u8 = 69;
pub(super) const SESSION_CLOSED: u8 = 70;
pub(super) const MESSAGE: u8 = 71;
pub(super) const VIEW: u8 = 72;
pub(super) const TRANSITION: u8 = 73;
pub(super) const PAUSE: u8 = 74;
pub(super) const APPLIED: u8 = 75;
pub(super) const PARTS_LOST: u8 = 76;

/// Why what came over a link can't be used. The link is over: what follows can't be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The other side is of a release that speaks another version.
    #[error(
        "the other side speaks version {0} of the link, this one {VERSION}: run releases that are next to each other"
    )]
    UnknownVersion(u8),
    /// A kind of frame that is not known, or goes in the other direction only.
    #[error("frames of kind {0} are not known in this direction of the link")]
    UnknownKind(u8),
    /// The frame is longer than the receiver takes.
    #[error(
        "a frame of {bytes} bytes, and {most} are taken at most: compare the largest message size of both sides"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// The body is not what its kind says.
    #[error("a frame of kind {kind} can't be read: {error}")]
    Unreadable {
        /// Which kind.
        kind: u8,
        /// What is wrong.
        error: ReadError,
    },
}

/// A frame as it came: of a known version, its body not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// The rest, shared with the buffer it was read into.
    pub body: Bytes,
}

impl Frame {
    /// Takes the next whole frame off `input`; `None` until enough bytes are there. `most` bounds the body, in bytes, and so
    /// what has to be kept of a frame that is not whole yet.
    pub fn take(input: &mut BytesMut, most: usize) -> Result<Option<Self>, LinkError> {
        let Some(version) = input.first() else { return Ok(None) };
        if *version != VERSION {
            return Err(LinkError::UnknownVersion(*version));
        }
        let Some(head) = input.get(..HEADER_BYTES) else { return Ok(None) };
        let kind = head[1];
        let length = head[2..].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        if length > most {
            return Err(LinkError::TooLong { bytes: length, most });
        }
        if input.len() - HEADER_BYTES < length {
            input.reserve(HEADER_BYTES + length - input.len());
            return Ok(None);
        }
        input.advance(HEADER_BYTES);
        Ok(Some(Self { kind, body: input.split_to(length).freeze() }))
    }
}

/// A frame to be written: head, then payload. The payload of a message is shared with the buffer it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Head and body up to the payload.
    pub head: Bytes,
    /// The payload of a message; empty for all others.
    pub payload: Bytes,
}

impl Encoded {
    /// A head that begins with room for the frame's header, now filled in.
    pub(super) fn new(kind: u8, mut head: Vec<u8>, payload: Bytes) -> Self {
        let length = head.len() - HEADER_BYTES + payload.len();
        // No value comes near: messages are bounded far below, and a longer frame is refused by every receiver.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        head[0] = VERSION;
        head[1] = kind;
        head[2..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
        Self { head: head.into(), payload }
    }

    /// Bytes of the whole frame.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// Never: a frame has a header at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Head and payload in one piece, for writers that do not gather.
    #[must_use]
    pub fn concat(&self) -> Bytes {
        [&self.head[..], &self.payload[..]].concat().into()
    }
}
