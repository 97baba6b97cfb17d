//! Control packets that do not fit one packet.

use bytes::Bytes;
use spread_wire::ids::{BootId, Claim, Slot};
use spread_wire::packet::Packet;
use std::collections::BTreeMap;

/// Most parts of one control packet.
const PARTS: u16 = 256;
/// Bytes of a part's header at most.
const HEADER_BYTES: usize = 2 + 5 + 3 + 3 + 10;
/// Most senders whose parts are kept.
const SENDERS: usize = 2048;

#[derive(Debug, Default)]
struct Incomplete {
    message: u32,
    parts: Vec<Option<Bytes>>,
}

/// Splits own packets and puts others' together; of each sender only the latest.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    last: u32,
    from: BTreeMap<(Slot, BootId), Incomplete>,
}

impl Parts {
    pub(crate) fn split(
        &mut self,
        packet: &Bytes,
        claim: Claim,
        packet_bytes: usize,
    ) -> Vec<Packet> {
        self.last = self.last.wrapping_add(1);
        let size = packet_bytes - HEADER_BYTES;
        let count = packet.len().div_ceil(size) as u16;
        (0..count)
            .map(|index| {
                let start = usize::from(index) * size;
                let bytes = packet.slice(start..packet.len().min(start + size));
                Packet::Part { message: self.last, index, count, claim, bytes }
            })
            .collect()
    }

    /// Takes a part; returns the whole when nothing is missing any more.
    pub(crate) fn take(
        &mut self,
        sender: (Slot, BootId),
        (message, index, count): (u32, u16, u16),
        bytes: Bytes,
    ) -> Option<Bytes> {
        if count == 0 || count > PARTS || index >= count {
            return None;
        }
        if self.from.len() >= SENDERS && !self.from.contains_key(&sender) {
            self.from.clear();
        }
        let incomplete = self.from.entry(sender).or_default();
        if incomplete.message != message || incomplete.parts.len() != usize::from(count) {
            *incomplete = Incomplete { message, parts: vec![None; usize::from(count)] };
        }
        incomplete.parts[usize::from(index)] = Some(bytes);
        let whole: Option<Vec<Bytes>> = incomplete.parts.iter().cloned().collect();
        let whole = whole?;
        self.from.remove(&sender);
        Some(whole.concat().into())
    }
}
