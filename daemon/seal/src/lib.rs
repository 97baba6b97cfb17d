//! Authenticated encryption of ring packets: one seal for all receivers.
//!
//! ```text
//! magic 1 | version 1 | key id 4 | newest key id held 4 | ring 4 | slot 2 | boot id 16 | counter 8 | packet … | tag 16
//! ```
//! The header is in the clear and authenticated. A packet's key is HKDF-SHA256 of the ring's secret over cluster uid, key id, ring, slot and boot
//! id; the counter is the nonce, and a boot id is never used twice, so neither is a nonce. Key id 0 is the clear envelope of an unencrypted
//! ring: same header, no tag. A ring that seals takes sealed packets only.
//!
//! **Rotation.** A daemon holds one key or two and opens with both. Each packet says the newest key its sender holds; once all
//! members hold the newer one, [`Seal::settle`] takes it for sealing. Nobody needs to do so at the same moment, so no order is
//! needed: who lacks the key holds the others to the old one, and loses nothing.
//!
//! **Replay.** Each sender has a window of counters. Before a daemon acts on anything of a sender it challenges it; the answer is fresh, so
//! with it the window starts anew: [`Seal::proved`].

mod keys;
mod replay;

pub use keys::{KEY_BYTES, Key, KeyFileError, parse_keys};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use bytes::{Bytes, BytesMut};
use core::ops::Range;
use replay::Window;
use spread_wire::ids::{BootId, RingNumber, Slot};
use std::collections::BTreeMap;

const MAGIC: u8 = 0x53;
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 1 + 4 + 4 + 4 + 2 + 16 + 8;
const TAG_BYTES: usize = 16;
/// Bytes an envelope adds at most.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;
/// Most senders whose keys and windows are kept.
const SENDERS: usize = 2048;

/// Why a packet is not opened. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum OpenError {
    /// Too short, or not of this system.
    #[error("not a ring packet")]
    Malformed,
    /// A version that is not known here.
    #[error("the envelope has a version that is not known here")]
    UnknownVersion,
    /// Of another ring number.
    #[error("the packet is of another ring")]
    ForeignRing,
    /// Sealed with a key that is not held, or not sealed where it has to be.
    #[error("the packet's key is not held here")]
    UnknownKey,
    /// The tag is wrong: another secret under the same id, or a forgery.
    #[error("the packet was sealed with another key")]
    WrongKey,
    /// Seen before, or too old to tell.
    #[error("the packet was seen before")]
    Replayed,
}

/// An opened packet and who sealed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Sender's slot.
    pub slot: Slot,
    /// Sender's boot id.
    pub boot: BootId,
    /// What its ring handed out.
    pub packet: Bytes,
}

/// Who sealed a packet, and where in its envelope it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Sender's slot.
    pub slot: Slot,
    /// Sender's boot id.
    pub boot: BootId,
    /// What its ring handed out, in the opened envelope.
    pub packet: Range<usize>,
}

/// Seals own packets and opens others'.
pub struct Seal {
    cluster: String,
    ring: RingNumber,
    me: (Slot, BootId),
    keys: Vec<Key>,
    /// Id of the key that seals; 0: none.
    active: u32,
    own: Option<LessSafeKey>,
    counter: u64,
    senders: BTreeMap<(u32, Slot, BootId), Sender>,
    /// Newest key that each sender said to hold.
    newest: BTreeMap<(Slot, BootId), u32>,
}

#[derive(Default)]
struct Sender {
    key: Option<LessSafeKey>,
    window: Window,
}

impl Seal {
    /// Without keys packets go in the clear.
    #[must_use]
    pub fn new(cluster: &str, ring: RingNumber, me: (Slot, BootId), keys: Vec<Key>) -> Self {
        let mut seal = Self {
            cluster: cluster.to_owned(),
            ring,
            me,
            keys: Vec::new(),
            active: 0,
            own: None,
            counter: 0,
            senders: BTreeMap::new(),
            newest: BTreeMap::new(),
        };
        seal.hold(keys);
        seal
    }

    /// Holds these keys from now on. The one that seals stays if it is held; else the oldest seals, which all are most
    /// likely to hold.
    pub fn hold(&mut self, keys: Vec<Key>) {
        // Windows of keys that stay are kept: what was seen can't come again.
        self.senders.retain(|(id, ..), _| {
            let (before, after) = (held(&self.keys, *id), held(&keys, *id));
            *id == 0 || before.is_some() && before == after
        });
        let same = held(&self.keys, self.active) == held(&keys, self.active);
        self.keys = keys;
        if self.active == 0 || !same || held(&self.keys, self.active).is_none() {
            self.activate(self.keys.iter().map(Key::id).min().unwrap_or(0));
        }
    }

    /// Takes the newest key for sealing if all of these daemons said to hold it; whether the key changed.
    pub fn settle(&mut self, others: impl IntoIterator<Item = (Slot, BootId)>) -> bool {
        let common = others
            .into_iter()
            .map(|daemon| self.newest.get(&daemon).copied().unwrap_or(0))
            .fold(self.newest_held(), u32::min);
        let change = common > self.active && held(&self.keys, common).is_some();
        if change {
            self.activate(common);
        }
        change
    }

    fn activate(&mut self, id: u32) {
        self.own = self.derive(id, self.me.0, self.me.1);
        self.active = if self.own.is_some() { id } else { 0 };
    }

    fn newest_held(&self) -> u32 {
        self.keys.iter().map(Key::id).max().unwrap_or(0)
    }

    /// Id of the key that seals; 0: packets go in the clear.
    #[must_use]
    pub fn active(&self) -> u32 {
        self.active
    }

    fn derive(&self, id: u32, slot: Slot, boot: BootId) -> Option<LessSafeKey> {
        let key = held(&self.keys, id)?;
        let prk: Prk = Salt::new(HKDF_SHA256, self.cluster.as_bytes()).extract(key.secret());
        let info: [&[u8]; 4] = [
            &id.to_le_bytes(),
            &self.ring.0.to_le_bytes(),
            &slot.0.to_le_bytes(),
            &boot.0.to_le_bytes(),
        ];
        let mut bytes = [0; KEY_BYTES];
        prk.expand(&info, HKDF_SHA256).ok()?.fill(&mut bytes).ok()?;
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?))
    }

    /// Appends the envelope of `packet` to `to`.
    pub fn seal(&mut self, packet: &[u8], to: &mut Vec<u8>) {
        self.counter += 1;
        let start = to.len();
        to.push(MAGIC);
        to.push(VERSION);
        to.extend_from_slice(&self.active.to_le_bytes());
        to.extend_from_slice(&self.newest_held().to_le_bytes());
        to.extend_from_slice(&self.ring.0.to_le_bytes());
        to.extend_from_slice(&self.me.0.0.to_le_bytes());
        to.extend_from_slice(&self.me.1.0.to_le_bytes());
        to.extend_from_slice(&self.counter.to_le_bytes());
        to.extend_from_slice(packet);
        let Some(key) = &self.own else { return };
        let (head, body) = to[start..].split_at_mut(HEADER_BYTES);
        let sealed = key.seal_in_place_separate_tag(nonce(self.counter), Aad::from(&*head), body);
        match sealed {
            Ok(tag) => to.extend_from_slice(tag.as_ref()),
            // Only a packet of many gigabytes fails: nothing is sent rather than something clear.
            Err(_) => to.truncate(start),
        }
    }

    /// The sender has just answered a fresh challenge: what it sent before is stale, whoever sends it again now.
    pub fn proved(&mut self, slot: Slot, boot: BootId) {
        let senders =
            self.senders.iter_mut().filter(|((_, of, which), _)| (*of, *which) == (slot, boot));
        senders.for_each(|(_, sender)| sender.window.start());
    }

    /// Opens an envelope.
    pub fn open(&mut self, mut envelope: BytesMut) -> Result<Opened, OpenError> {
        let Inside { slot, boot, packet } = self.open_in_place(&mut envelope)?;
        Ok(Opened { slot, boot, packet: envelope.freeze().slice(packet) })
    }

    /// Opens an envelope where it is; after an error its bytes are of no use.
    pub fn open_in_place(&mut self, envelope: &mut [u8]) -> Result<Inside, OpenError> {
        if envelope.len() < HEADER_BYTES || envelope[0] != MAGIC {
            return Err(OpenError::Malformed);
        }
        if envelope[1] != VERSION {
            return Err(OpenError::UnknownVersion);
        }
        let head: [u8; HEADER_BYTES] = core::array::from_fn(|at| envelope[at]);
        let mut end = envelope.len();
        let (id, newest) = (number(&head[2..6]) as u32, number(&head[6..10]) as u32);
        let ring = number(&head[10..14]) as u32;
        let (slot, boot) = (Slot(number(&head[14..16]) as u16), BootId(number(&head[16..32])));
        let counter = number(&head[32..40]) as u64;
        if ring != self.ring.0 {
            return Err(OpenError::ForeignRing);
        }
        if (id == 0) != (self.active == 0) {
            return Err(OpenError::UnknownKey);
        }
        let sender_id = (id, slot, boot);
        if !self.senders.contains_key(&sender_id) {
            let key = self.derive(id, slot, boot);
            if key.is_none() && id != 0 {
                return Err(OpenError::UnknownKey);
            }
            if self.senders.len() >= SENDERS {
                // A sender forgotten could be replayed: boot ids of the dead go first in practice, all go here.
                self.senders.clear();
                self.newest.clear();
            }
            self.senders.insert(sender_id, Sender { key, window: Window::default() });
        }
        let Some(sender) = self.senders.get_mut(&sender_id) else {
            return Err(OpenError::UnknownKey);
        };
        if let Some(key) = &sender.key {
            let sealed = &mut envelope[HEADER_BYTES..];
            let opened = key.open_in_place(nonce(counter), Aad::from(&head), sealed);
            end = HEADER_BYTES + opened.map_err(|_| OpenError::WrongKey)?.len();
        }
        if !sender.window.admit(counter) {
            return Err(OpenError::Replayed);
        }
        if self.newest.len() < SENDERS {
            self.newest.insert((slot, boot), newest);
        }
        Ok(Inside { slot, boot, packet: HEADER_BYTES..end })
    }
}

fn held(keys: &[Key], id: u32) -> Option<&Key> {
    keys.iter().find(|key| key.id() == id)
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

#[cfg(test)]
mod seal_tests {
    use super::*;

    fn seal(slot: u16, keys: &str) -> Seal {
        let keys = parse_keys(keys).expect("the keys are right");
        Seal::new("uid", RingNumber(1), (Slot(slot), BootId(u128::from(slot) + 9)), keys)
    }

    fn key(id: u32, byte: &str) -> String {
        format!("{id} {}\n", byte.repeat(KEY_BYTES))
    }

    fn sent(from: &mut Seal, packet: &[u8]) -> BytesMut {
        let mut envelope = Vec::new();
        from.seal(packet, &mut envelope);
        assert!(envelope.len() <= packet.len() + OVERHEAD_BYTES);
        BytesMut::from(&envelope[..])
    }

    #[test]
    fn what_was_sealed_is_opened_once_and_names_its_sender() {
        for keys in [String::new(), key(1, "ab"), key(1, "ab") + &key(2, "cd")] {
            let (mut a, mut b) = (seal(3, &keys), seal(4, &keys));
            let envelope = sent(&mut a, b"hello");
            let opened = b.open(envelope.clone()).expect("it opens");
            assert_eq!(
                (opened.slot, opened.boot, &opened.packet[..]),
                (Slot(3), BootId(12), &b"hello"[..])
            );
            assert_eq!(b.open(envelope), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn another_key_a_flipped_bit_and_the_clear_are_refused() {
        let (mut a, mut b) = (seal(3, &key(1, "ab")), seal(4, &key(1, "ac")));
        let envelope = sent(&mut a, b"hello");
        assert_eq!(b.open(envelope.clone()), Err(OpenError::WrongKey));
        let mut same = seal(4, &key(1, "ab"));
        for bit in 14 * 8..envelope.len() * 8 {
            let mut flipped = envelope.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(same.open(flipped).is_err(), "bit {bit}");
        }
        let clear = sent(&mut seal(3, ""), b"hello");
        assert_eq!(same.open(clear), Err(OpenError::UnknownKey));
        assert_eq!(seal(4, "").open(envelope), Err(OpenError::UnknownKey));
    }

    /// A daemon that starts knows of no packet that it was sent before.
    #[test]
    fn packets_from_before_the_echo_are_not_taken_after_it() {
        let (mut a, mut b) = (seal(3, &key(1, "ab")), seal(4, &key(1, "ab")));
        let recorded = [sent(&mut a, b"one"), sent(&mut a, b"two")];
        assert!(b.open(sent(&mut a, b"echo")).is_ok());
        b.proved(Slot(3), BootId(12));
        for envelope in recorded {
            assert_eq!(b.open(envelope), Err(OpenError::Replayed));
        }
        assert!(b.open(sent(&mut a, b"after")).is_ok());
    }

    #[test]
    fn short_input_is_malformed() {
        for length in 0..HEADER_BYTES {
            assert!(seal(1, "").open(BytesMut::zeroed(length)).is_err());
        }
    }

    #[test]
    fn a_newer_key_seals_once_all_members_hold_it() {
        let (old, both, new) = (key(1, "ab"), key(1, "ab") + &key(2, "cd"), key(2, "cd"));
        let hold = |seal: &mut Seal, keys: &str| seal.hold(parse_keys(keys).expect("keys"));
        let (mut a, mut b) = (seal(3, &old), seal(4, &old));
        let others = [(Slot(4), BootId(13))];
        hold(&mut a, &both);
        assert_eq!(a.active(), 1);
        assert!(b.open(sent(&mut a, b"x")).is_ok());
        assert!(a.open(sent(&mut b, b"x")).is_ok() && !a.settle(others), "b has no newer key");
        hold(&mut b, &both);
        let replay = sent(&mut b, b"x");
        assert!(a.open(replay.clone()).is_ok() && a.settle(others));
        assert_eq!((a.active(), b.active()), (2, 1));
        assert!(b.open(sent(&mut a, b"new")).is_ok() && a.open(sent(&mut b, b"old")).is_ok());
        hold(&mut a, &both);
        assert_eq!(a.open(replay), Err(OpenError::Replayed), "windows outlive a reload");
        assert!(b.settle([(Slot(3), BootId(12))]));
        hold(&mut a, &new);
        hold(&mut b, &new);
        assert!(b.open(sent(&mut a, b"x")).is_ok() && a.open(sent(&mut b, b"x")).is_ok());
        assert_eq!(b.open(sent(&mut seal(5, &old), b"x")), Err(OpenError::UnknownKey));
    }
}
