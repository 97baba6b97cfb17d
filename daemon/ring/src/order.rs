//! The order of one regular configuration: what was received, what is stable, what was delivered.

use crate::interface::{Configuration, Delivery};
use crate::pack::{Assembly, Pieces};
use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{ConfigurationId, Position, Seq, Slot};
use spread_wire::packet::{Data, OldRing, tag};
use spread_wire::service::Guarantee;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// No member is ahead of another by more than so many times its gap; their settings may differ.
const NEAR_GAPS: u64 = 8;

/// Packets by sequence number, and how far each promise has come.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) configuration: Configuration,
    pub(crate) tag: u64,
    /// `window[i]` is sequence number `discarded + 1 + i`.
    window: VecDeque<Option<Data>>,
    discarded: u64,
    pub(crate) aru: u64,
    /// Highest received.
    pub(crate) high: u64,
    /// Known to be at every member.
    pub(crate) stable: u64,
    /// Every payload completed up to here was delivered.
    delivered: u64,
    /// Pieces of packet `delivered + 1` that were consumed.
    consumed: usize,
    assemblies: BTreeMap<Slot, Assembly>,
}

impl Order {
    pub(crate) fn new(configuration: Configuration) -> Self {
        let tag = tag(&configuration.id);
        Self {
            configuration,
            tag,
            window: VecDeque::new(),
            discarded: 0,
            aru: 0,
            high: 0,
            stable: 0,
            delivered: 0,
            consumed: 0,
            assemblies: BTreeMap::new(),
        }
    }

    pub(crate) fn id(&self) -> ConfigurationId {
        self.configuration.id
    }

    /// Whether the slot is another member's.
    pub(crate) fn is_peer(&self, slot: Slot, me: Slot) -> bool {
        slot != me && self.configuration.members.iter().any(|member| member.slot == slot)
    }

    /// Whether a member that keeps to the window can have come to this sequence number. Ranges up to a number
    /// from a packet are walked through, so a number beyond is not believed.
    pub(crate) fn is_near(&self, seq: u64, gap_packets: u32) -> bool {
        seq <= self.aru.saturating_add(u64::from(gap_packets) * NEAR_GAPS)
    }

    /// Takes a packet; `false` if it was there already or lies outside `gap` packets.
    pub(crate) fn insert(&mut self, data: Data, gap: u64) -> bool {
        if data.seq <= self.discarded || data.seq > self.aru.saturating_add(gap) {
            return false;
        }
        let seq = data.seq;
        let index = (seq - self.discarded - 1) as usize;
        match self.window.get_mut(index) {
            Some(Some(_)) => return false,
            Some(place) => *place = Some(data),
            None => {
                while self.window.len() < index {
                    self.window.push_back(None);
                }
                self.window.push_back(Some(data));
            }
        }
        self.high = self.high.max(seq);
        while self.stored(self.aru + 1).is_some() {
            self.aru += 1;
        }
        true
    }

    fn stored(&self, seq: u64) -> Option<&Data> {
        let index = seq.checked_sub(self.discarded + 1)?;
        self.window.get(index as usize)?.as_ref()
    }

    /// The packet, to be sent once more.
    pub(crate) fn packet(&self, seq: u64) -> Option<Bytes> {
        self.stored(seq).map(Data::encode)
    }

    /// Whether the packet is here.
    pub(crate) fn has(&self, seq: u64) -> bool {
        self.stored(seq).is_some()
    }

    /// Missing ranges up to `top`, at most `most`.
    pub(crate) fn missing(&self, top: u64, most: usize) -> Vec<(u64, u32)> {
        let mut ranges: Vec<(u64, u32)> = Vec::new();
        for seq in self.aru + 1..=top {
            if self.stored(seq).is_some() {
                continue;
            }
            let full = ranges.len() == most;
            match ranges.last_mut() {
                Some((first, count)) if *first + u64::from(*count) == seq => *count += 1,
                _ if full => break,
                _ => ranges.push((seq, 1)),
            }
        }
        ranges
    }

    /// Raises the stable mark and forgets what is stable and delivered.
    pub(crate) fn settle(&mut self, stable: u64) {
        self.stable = self.stable.max(stable.min(self.aru));
        while self.discarded < self.stable.min(self.delivered) {
            self.window.pop_front();
            self.discarded += 1;
        }
    }

    /// Delivers what may be delivered in the regular configuration.
    pub(crate) fn deliver(&mut self, mut to: impl FnMut(Delivery)) {
        while self.delivered < self.aru && self.deliver_packet(self.stable, &mut to) {}
    }

    /// Delivers the pieces of the next packet. `false`: it ends at a safe payload that is not stable yet.
    fn deliver_packet(&mut self, stable: u64, to: &mut impl FnMut(Delivery)) -> bool {
        let seq = self.delivered + 1;
        let index = (seq - self.discarded - 1) as usize;
        let Some(data) = self.window.get(index).and_then(Option::as_ref) else { return false };
        let sender = if planted(Bug::PiecesMixed) { Slot(0) } else { data.originator };
        let assembly = self.assemblies.entry(sender).or_default();
        for (index, piece) in Pieces::new(&data.body).enumerate().skip(self.consumed) {
            if piece.last && piece.safe && stable < seq && !planted(Bug::SafeAtOnce) {
                return false;
            }
            self.consumed = index + 1;
            let guarantee = if piece.safe { Guarantee::Safe } else { Guarantee::Agreed };
            if let Some(payload) = assembly.take(piece) {
                let position = Position {
                    configuration: self.configuration.id,
                    seq: Seq(seq),
                    index: index as u32,
                };
                to(Delivery { sender: data.originator, guarantee, position, payload });
            }
        }
        self.delivered = seq;
        self.consumed = 0;
        true
    }

    /// What this daemon has, for the recovery.
    pub(crate) fn report(&self, obligation: &BTreeSet<Slot>) -> OldRing {
        let mut bitmap = vec![0_u8; (self.high - self.aru).div_ceil(8) as usize];
        for seq in self.aru + 1..=self.high {
            if self.stored(seq).is_some() {
                let bit = (seq - self.aru - 1) as usize;
                bitmap[bit / 8] |= 1 << (bit % 8);
            }
        }
        OldRing {
            id: self.id(),
            aru: self.aru,
            high: self.high,
            stable: self.stable,
            bitmap: bitmap.into(),
            obligation: obligation.iter().copied().collect(),
        }
    }

    /// Forgets packets that none of the component has reported: they came after the reports, so others may lack them.
    pub(crate) fn restrict(&mut self, reported: impl Fn(u64) -> bool) {
        for seq in self.delivered + 1..=self.high {
            if !reported(seq)
                && let Some(stored) = seq
                    .checked_sub(self.discarded + 1)
                    .and_then(|index| self.window.get_mut(index as usize))
            {
                *stored = None;
            }
        }
        self.aru = self.aru.min(self.delivered);
        while self.stored(self.aru + 1).is_some() {
            self.aru += 1;
        }
        while self.high > self.aru && self.stored(self.high).is_none() {
            self.high -= 1;
        }
    }

    /// Ends the order: what is deliverable under the old guarantees, then the rest for the component.
    ///
    /// `stable` is the highest mark any of the component knows. Beyond the first hole that nobody can fill only
    /// payloads of `senders` count; fragments of others stay incomplete.
    pub(crate) fn finish(
        &mut self,
        stable: u64,
        senders: &BTreeSet<Slot>,
    ) -> (Vec<Delivery>, Vec<Delivery>) {
        let (mut regular, mut transitional) = (Vec::new(), Vec::new());
        let mut to = |delivery| regular.push(delivery);
        while self.delivered < self.aru && self.deliver_packet(stable, &mut to) {}
        let mut to = |delivery| transitional.push(delivery);
        while self.delivered < self.aru {
            self.deliver_packet(u64::MAX, &mut to);
        }
        while self.delivered < self.high && !planted(Bug::HoleEndsDelivery) {
            let sender = self.stored(self.delivered + 1).map(|data| data.originator);
            if sender.is_some_and(|sender| senders.contains(&sender)) {
                self.deliver_packet(u64::MAX, &mut to);
            } else {
                self.delivered += 1;
                self.consumed = 0;
            }
        }
        (regular, transitional)
    }
}
