//! Who has a slot, when two daemons want it.
//!
//! A newcomer from another address waits while the daemon that has the slot answers. Of two that were both admitted, each by
//! its own side of a partition, the higher claim stays, then the higher boot id; the other ends.

use crate::interface::{Destination, Occupant, Output, Received, Refusal, Trace};
use crate::ring::{Ring, State};
use bytes::Bytes;
use core::net::SocketAddr;
use spread_wire::ids::{BootId, Claim, DaemonId, Slot};
use spread_wire::packet::Packet;
use spread_wire::time::Instant;
use std::collections::BTreeMap;

/// A claim beyond is not believed: claims are milliseconds of a wall clock, and the highest known has to have a next one.
pub(crate) const CLAIM_MOST: Claim = Claim(1 << 62);
/// A waiting daemon that is not told any more for so many probe intervals stops waiting.
const UNTOLD_PROBES: u32 = 8;

/// A daemon whose address was proved and whose slot another one has.
#[derive(Debug)]
struct Newcomer {
    boot: BootId,
    from: SocketAddr,
    /// What it said; acted on if it gets the slot.
    packet: Option<Bytes>,
    /// Since when the one that has the slot is asked for a sign.
    asked: Instant,
    /// When to ask again, or to decide.
    ask: Instant,
}

/// Claims heard of, newcomers to judge, and whom this daemon itself waits for.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Highest claim heard of for each slot.
    highest: BTreeMap<Slot, Claim>,
    /// At most one for each slot; others come again.
    newcomers: BTreeMap<Slot, Newcomer>,
    /// Who has this daemon's slot, and until when that is believed.
    occupant: Option<(Occupant, Instant)>,
}

impl Claims {
    pub(crate) fn learn(&mut self, daemons: &[DaemonId]) {
        daemons.iter().for_each(|daemon| self.note(daemon.slot, daemon.claim));
    }

    pub(crate) fn hear(&mut self, claims: &[(Slot, Claim)]) {
        claims.iter().for_each(|(slot, claim)| self.note(*slot, *claim));
    }

    fn note(&mut self, slot: Slot, claim: Claim) {
        if claim > Claim(0) && claim <= CLAIM_MOST {
            let highest = self.highest.entry(slot).or_default();
            *highest = claim.max(*highest);
        }
    }

    /// What others have to know when candidates without a claim are admitted.
    pub(crate) fn of<'a>(
        &self,
        candidates: impl Iterator<Item = &'a DaemonId>,
    ) -> Vec<(Slot, Claim)> {
        let new = candidates.filter(|candidate| candidate.claim == Claim(0));
        new.filter_map(|candidate| self.highest.get_key_value(&candidate.slot))
            .map(|(slot, claim)| (*slot, *claim))
            .collect()
    }

    /// The claim of a daemon that is admitted now.
    pub(crate) fn next(&self, slot: Slot, wall_clock_milliseconds: u64) -> Claim {
        let above = self.highest.get(&slot).map_or(1, |highest| highest.0 + 1);
        Claim(above.max(wall_clock_milliseconds.min(CLAIM_MOST.0)))
    }

    pub(crate) fn occupant(&self) -> Option<Occupant> {
        self.occupant.map(|(occupant, _)| occupant)
    }

    /// Until then another daemon has this one's slot.
    pub(crate) fn free_at(&self) -> Option<Instant> {
        self.occupant.map(|(_, until)| until)
    }

    /// This daemon has its slot, or is about to get it.
    pub(crate) fn admitted(&mut self) {
        self.occupant = None;
    }

    /// Nobody has said for long that the slot is taken.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.occupant.take_if(|(_, until)| now >= *until);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.newcomers.values().map(|newcomer| newcomer.ask).min()
    }
}

impl Ring {
    /// The address was proved: use it, and act on what was remembered, unless the slot has another daemon.
    pub(crate) fn prove(&mut self, now: Instant, received: &Received, remembered: Option<Bytes>) {
        let (slot, boot) = (received.slot, received.boot);
        let claim = claim_of(remembered.as_ref());
        if claim > CLAIM_MOST {
            return self.refuse(slot, received.from, Refusal::Malformed);
        }
        if slot == self.me.slot {
            return self.meet_namesake(now, received, remembered);
        }
        let occupant = self.occupant_of(slot).filter(|occupant| {
            // Another boot id at the same address is a restart: whoever had the slot is gone.
            occupant.boot != boot && self.paths.address(slot) != Some(received.from)
        });
        let Some(occupant) = occupant else { return self.accept(now, received, remembered) };
        if matches!(&self.phase, State::Gather(gather) if gather.failed.contains(&(slot, boot))) {
            return;
        }
        if claim == Claim(0) {
            return self.ask_occupant(now, received, remembered);
        }
        if (claim, boot) > (occupant.claim, occupant.boot) {
            let by = DaemonId { slot, claim, boot };
            self.send(Destination::Slot(slot), &Packet::Superseded { by });
            return self.accept(now, received, remembered);
        }
        self.refuse(slot, received.from, Refusal::SlotClaimed);
        self.send(Destination::Address(received.from), &Packet::Superseded { by: occupant });
    }

    fn accept(&mut self, now: Instant, received: &Received, remembered: Option<Bytes>) {
        let (slot, boot) = (received.slot, received.boot);
        self.claims.newcomers.remove(&slot);
        self.paths.set(slot, boot, received.from);
        self.heard.insert(slot, (boot, now));
        self.outputs.push_back(Output::Path { slot, boot, address: received.from });
        if let Some(packet) = remembered.and_then(|bytes| Packet::decode(bytes).ok()) {
            self.act(now, received, packet);
        }
    }

    /// The daemon that a slot has now, in the phase this daemon is in.
    fn occupant_of(&self, slot: Slot) -> Option<DaemonId> {
        match &self.phase {
            State::Operational(_) => self.member(slot),
            State::Gather(gather) => gather.candidates.get(&slot).copied(),
            State::Form(form) => form.member(slot),
            State::Stopped => None,
        }
    }

    /// A newcomer waits until the daemon that has the slot has shown that it lives, or has not.
    fn ask_occupant(&mut self, now: Instant, received: &Received, packet: Option<Bytes>) {
        let slot = received.slot;
        let ask = now + self.settings.timers.token_retransmit;
        let newcomer = self.claims.newcomers.entry(slot).or_insert_with(|| Newcomer {
            boot: received.boot,
            from: received.from,
            packet: None,
            asked: now,
            ask,
        });
        if (newcomer.boot, newcomer.from) != (received.boot, received.from) {
            return;
        }
        newcomer.packet = packet.or(newcomer.packet.take());
        if newcomer.asked == now {
            self.ping_occupant(slot);
        }
    }

    /// A member answers this with a sign. One that gathers or forms is heard anyway.
    fn ping_occupant(&mut self, slot: Slot) {
        if let Some(tag) = self.order.as_ref().map(|order| order.tag) {
            self.send(Destination::Slot(slot), &Packet::Ping { tag });
        }
    }

    /// A daemon was heard: if somebody wants its slot, that one has to wait.
    pub(crate) fn occupant_answers(&mut self, slot: Slot, boot: BootId) {
        let wanted = self.claims.newcomers.get(&slot).is_some_and(|newcomer| newcomer.boot != boot);
        if !wanted {
            return;
        }
        let Some(by) = self.occupant_of(slot).filter(|occupant| occupant.boot == boot) else {
            return;
        };
        if let Some(newcomer) = self.claims.newcomers.remove(&slot) {
            self.refuse(slot, newcomer.from, Refusal::SlotClaimed);
            let at = self.paths.address(slot);
            let claimed = Packet::SlotClaimed { by, at };
            self.send(Destination::Address(newcomer.from), &claimed);
        }
    }

    /// Asks again for a sign; after as much silence as makes a successor crashed, the newcomer gets the slot.
    pub(crate) fn claims_timeout(&mut self, now: Instant, late: bool) {
        let interval = self.settings.timers.token_retransmit;
        let patience = interval * self.settings.timers.token_retransmits;
        // While a configuration is formed its members talk to the representative only.
        let postpone = late || matches!(self.phase, State::Form(_));
        let due: Vec<Slot> = self
            .claims
            .newcomers
            .iter()
            .filter(|(_, newcomer)| now >= newcomer.ask)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in due {
            let occupied = self.occupant_of(slot).is_some();
            let Some(newcomer) = self.claims.newcomers.get_mut(&slot) else { continue };
            newcomer.ask = now + interval;
            if postpone {
                newcomer.asked = now;
            } else if occupied && now.since(newcomer.asked) < patience {
                self.ping_occupant(slot);
            } else if let Some(newcomer) = self.claims.newcomers.remove(&slot) {
                let Newcomer { boot, from, packet, .. } = newcomer;
                let received = Received { from, slot, boot, packet: Bytes::new() };
                self.accept(now, &received, packet);
            }
        }
    }

    /// Another daemon has this one's slot, too.
    fn meet_namesake(&mut self, now: Instant, received: &Received, remembered: Option<Bytes>) {
        let claim = match remembered.map(Packet::decode) {
            Some(Ok(Packet::SlotClaimed { by, .. } | Packet::Superseded { by })) => {
                return self.on_slot_claimed(now, by, Some(received.from));
            }
            Some(Ok(Packet::Join(join))) => join.me.claim,
            Some(Ok(Packet::Answer(answer))) => answer.me.claim,
            Some(Ok(Packet::Probe { claim, .. } | Packet::Part { claim, .. })) => claim,
            _ => return,
        };
        let (slot, boot, from) = (received.slot, received.boot, received.from);
        if (claim, boot) > (self.me.claim, self.me.boot) {
            return self.on_slot_claimed(now, DaemonId { slot, claim, boot }, Some(from));
        }
        self.refuse(slot, from, Refusal::SlotClaimed);
        let by = self.me;
        let packet = if claim == Claim(0) {
            Packet::SlotClaimed { by, at: None }
        } else {
            Packet::Superseded { by }
        };
        self.send(Destination::Address(from), &packet);
    }

    /// Somebody says that another daemon has this one's slot. One that was never admitted waits for it; one that was ends, if
    /// the other's claim is the higher one.
    pub(crate) fn on_slot_claimed(&mut self, now: Instant, by: DaemonId, at: Option<SocketAddr>) {
        if by.slot != self.me.slot || by.boot == self.me.boot || by.claim > CLAIM_MOST {
            return;
        }
        if self.me.claim > Claim(0) {
            if (by.claim, by.boot) > (self.me.claim, self.me.boot) {
                self.phase = State::Stopped;
                self.outputs.push_back(Output::Superseded { by });
            }
            return;
        }
        if !matches!(self.phase, State::Gather(_)) {
            return;
        }
        let timers = &self.settings.timers;
        let until = now + timers.singleton_delay.max(timers.probe_interval * UNTOLD_PROBES);
        let occupant = Occupant { daemon: by, at };
        self.claims.occupant = Some((occupant, until));
        self.outputs.push_back(Output::Trace(Trace::Waiting(occupant)));
    }
}

/// The claim that the sender of a packet has; 0 for one that was never admitted, or does not say.
fn claim_of(packet: Option<&Bytes>) -> Claim {
    match packet.cloned().map(Packet::decode) {
        Some(Ok(Packet::Join(join))) => join.me.claim,
        Some(Ok(Packet::Answer(answer))) => answer.me.claim,
        Some(Ok(Packet::Probe { claim, .. } | Packet::Part { claim, .. })) => claim,
        _ => Claim(0),
    }
}
