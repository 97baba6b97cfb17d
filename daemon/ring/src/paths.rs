//! Which address reaches which daemon.
//!
//! Addresses are no identity. A new address is used, and a packet of an unknown boot id acted on, only after
//! that peer has echoed a fresh random challenge sent to that very address.

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use spread_wire::ids::{BootId, Slot};
use spread_wire::time::Instant;
use std::collections::BTreeMap;

/// A challenge that stays unanswered is sent again after this long.
const CHALLENGE_INTERVAL: Duration = Duration::from_millis(10);
/// Most addresses a slot's name may resolve to.
const CANDIDATES: usize = 8;
/// Most challenges under way.
const PENDING: usize = 1024;

#[derive(Debug)]
struct Pending {
    nonce: u64,
    sent: Instant,
    /// The packet that made us ask: acted on after the echo.
    packet: Option<Bytes>,
}

/// Validated paths, candidates from the resolver, challenges under way.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    valid: BTreeMap<Slot, (BootId, SocketAddr)>,
    candidates: BTreeMap<Slot, Vec<SocketAddr>>,
    /// Where somebody else reached a slot's daemon; the latest.
    told: BTreeMap<Slot, SocketAddr>,
    pending: BTreeMap<(Slot, BootId, SocketAddr), Pending>,
}

impl Paths {
    pub(crate) fn resolved(&mut self, slot: Slot, addresses: &[SocketAddr]) {
        self.candidates.insert(slot, addresses.iter().copied().take(CANDIDATES).collect());
    }

    /// Addresses worth a try for a slot: the proved one, then what the name resolved to, then what others said.
    pub(crate) fn tries(&self, slot: Slot) -> Vec<SocketAddr> {
        let mut tries: Vec<SocketAddr> =
            self.valid.get(&slot).map(|(_, address)| *address).into_iter().collect();
        let candidates = self.candidates.get(&slot).into_iter().flatten();
        for candidate in candidates.chain(self.told.get(&slot)) {
            if !tries.contains(candidate) {
                tries.push(*candidate);
            }
        }
        tries
    }

    /// Somebody else reaches the slot's daemon there; whether that is new.
    pub(crate) fn told(&mut self, slot: Slot, address: SocketAddr) -> bool {
        let new = !self.tries(slot).contains(&address);
        if new {
            self.told.insert(slot, address);
        }
        new
    }

    pub(crate) fn is_valid(&self, slot: Slot, boot: BootId) -> bool {
        self.valid.get(&slot).is_some_and(|(known, _)| *known == boot)
    }

    pub(crate) fn matches(&self, slot: Slot, boot: BootId, from: SocketAddr) -> bool {
        self.valid.get(&slot) == Some(&(boot, from))
    }

    /// Address proved for whatever boot id has the slot.
    pub(crate) fn address(&self, slot: Slot) -> Option<SocketAddr> {
        self.valid.get(&slot).map(|(_, address)| *address)
    }

    /// Remembers `packet` until the sender is proved; returns the challenge to send, if one is due.
    pub(crate) fn challenge(
        &mut self,
        now: Instant,
        key: (Slot, BootId, SocketAddr),
        packet: Option<Bytes>,
        fresh: impl FnOnce() -> u64,
    ) -> Option<u64> {
        if self.pending.len() >= PENDING {
            self.pending.retain(|_, pending| now.since(pending.sent) < CHALLENGE_INTERVAL * 10);
        }
        if let Some(pending) = self.pending.get_mut(&key) {
            pending.packet = packet.or(pending.packet.take());
            if now.since(pending.sent) < CHALLENGE_INTERVAL {
                return None;
            }
            pending.sent = now;
            return Some(pending.nonce);
        }
        if self.pending.len() >= PENDING {
            return None;
        }
        let nonce = fresh();
        self.pending.insert(key, Pending { nonce, sent: now, packet });
        Some(nonce)
    }

    /// An echo came: the address is proved if the number is the one sent there. Returns what was remembered.
    pub(crate) fn echoed(
        &mut self,
        (slot, boot, from): (Slot, BootId, SocketAddr),
        nonce: u64,
    ) -> Option<Option<Bytes>> {
        let key = (slot, boot, from);
        if self.pending.get(&key).is_none_or(|pending| pending.nonce != nonce) {
            return None;
        }
        let pending = self.pending.remove(&key)?;
        Some(pending.packet)
    }

    pub(crate) fn set(&mut self, slot: Slot, boot: BootId, address: SocketAddr) {
        self.told.remove(&slot);
        self.valid.insert(slot, (boot, address));
    }
}
