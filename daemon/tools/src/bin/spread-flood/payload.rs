//! What a message of the flood says in its first bytes.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

/// Bytes that it takes.
pub(crate) const BYTES: usize = 28;
/// Tells messages of the flood from others.
const MAGIC: u32 = 0x666c_6f6f;

/// Distinguishes this run from others at the same daemons. Process ids do not: each container's first process has 1.
pub(crate) fn run() -> u32 {
    static RUN: OnceLock<u32> = OnceLock::new();
    *RUN.get_or_init(|| {
        let [_, _, _, _, bytes @ ..] =
            RandomState::new().hash_one(std::process::id()).to_le_bytes();
        u32::from_le_bytes(bytes)
    })
}

/// Head of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Index of the sender.
    pub(crate) sender: u32,
    /// Distinguishes runs in one group.
    pub(crate) run: u32,
    /// Counted from 0 for each sender.
    pub(crate) number: u64,
    /// Nanoseconds since the origin.
    pub(crate) sent: u64,
}

impl Payload {
    /// Writes the head; the rest of the buffer stays.
    pub(crate) fn write(&self, to: &mut [u8]) {
        to[..4].copy_from_slice(&MAGIC.to_le_bytes());
        to[4..8].copy_from_slice(&self.sender.to_le_bytes());
        to[8..12].copy_from_slice(&self.run.to_le_bytes());
        to[12..20].copy_from_slice(&self.number.to_le_bytes());
        to[20..28].copy_from_slice(&self.sent.to_le_bytes());
    }

    /// Reads a head; `None` if it is none.
    pub(crate) fn read(from: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(from.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(from.get(at..at + 8)?.try_into().ok()?));
        if word(0)? != MAGIC {
            return None;
        }
        Some(Self { sender: word(4)?, run: word(8)?, number: long(12)?, sent: long(20)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_as_it_was_written() {
        let head = Payload { sender: 3, run: 9, number: 1 << 40, sent: 77 };
        let mut bytes = [0; 64];
        head.write(&mut bytes);
        assert_eq!(Payload::read(&bytes), Some(head));
        assert_eq!(Payload::read(&bytes[..27]), None);
        assert_eq!(Payload::read(b"something else, and long enough"), None);
    }
}
