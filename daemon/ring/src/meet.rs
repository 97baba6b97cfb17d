//! Meeting daemons outside the ring, without any harm to the ring while they can't come in.
//!
//! ```text
//! outsider                  member
//!   Join           ----->               gathers, perhaps alone, and says whom it reaches
//!                  <-----   Answer      "I don't gather: these are the members, and here they are"
//!   Join           ----->               once every member has answered
//!                  <-----   Join        now the ring gathers
//! ```
//! A ring that looks for others is answered, too, and answers back. The smaller of two rings is the outsider: it gathers when it is answered
//! by the larger. So a daemon that only some members reach disturbs nobody but itself.

use crate::interface::{Destination, Reason, Received, Refusal};
use crate::ring::{EPOCH_MOST, Ring, State};
use core::net::SocketAddr;
use core::time::Duration;
use spread_wire::ids::{BootId, ConfigurationId, DaemonId, Slot};
use spread_wire::packet::{Join, Packet, tag};
use spread_wire::time::Instant;

/// A daemon given up for silence is not merged with again at once: an unreachable pair would flap.
const SHUN: Duration = Duration::from_millis(600);
/// Each further time doubles it until the two were members together, up to this: a healed network is one ring again in less than two seconds.
const SHUN_MOST: Duration = Duration::from_millis(1200);
/// Most daemons remembered as silent.
const SHUNNED: usize = 1024;

/// A daemon that was silent a moment ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shunned {
    until: Instant,
    time: Duration,
}

impl Ring {
    /// The representative looks for daemons outside the ring.
    pub(crate) fn probe_outside(&mut self, now: Instant) {
        let State::Operational(op) = &mut self.phase else { return };
        if !op.probe_is_due(now, self.settings.timers.probe_interval) {
            return;
        }
        let Some(order) = &self.order else { return };
        let members = &order.configuration.members;
        let outside: Vec<Slot> = (0..self.settings.slots)
            .map(Slot)
            .filter(|slot| members.iter().all(|member| member.slot != *slot))
            .collect();
        let probe = Packet::Probe {
            tag: order.tag,
            hash: self.settings.configuration_hash,
            ring: self.settings.ring.0,
            claim: self.me.claim,
        };
        // The own slot's name may lead to another daemon that has it.
        for slot in outside.into_iter().chain([self.me.slot]) {
            for address in self.paths.tries(slot) {
                self.send(Destination::Address(address), &probe);
            }
        }
    }

    /// Another ring looks for us.
    pub(crate) fn on_probe(
        &mut self,
        now: Instant,
        received: &Received,
        tag: u64,
        (hash, ring): (u64, u32),
    ) {
        if ring != self.settings.ring.0 {
            return self.refuse(received.slot, received.from, Refusal::ForeignRing);
        }
        if hash != self.settings.configuration_hash {
            return self.refuse(received.slot, received.from, Refusal::ConfigurationMismatch);
        }
        let ours = self.order.as_ref().is_some_and(|order| order.tag == tag);
        let displaced = self.member(received.slot).filter(|member| member.boot != received.boot);
        match &self.phase {
            State::Operational(_) if ours || self.said_farewell() => {}
            State::Operational(_) if displaced.is_some() => {
                // The sender's claim to the slot is higher than that of the member we have there.
                self.gather(now, Reason::Restarted, &[received.slot]);
                self.send_join_to_slot(received.slot);
            }
            State::Operational(_) if self.member(received.slot).is_some() => {}
            State::Operational(_) if self.is_shunned(now, received.slot, received.boot) => {}
            State::Operational(_) => self.answer(received.from),
            State::Gather(_) => self.send_join_to_slot(received.slot),
            State::Form(_) | State::Stopped => {}
        }
    }

    /// Whether this ring goes to that one, rather than that one to this.
    fn is_smaller_than(&self, members: usize, tag: u64) -> bool {
        let Some(order) = &self.order else { return true };
        (order.configuration.members.len(), order.tag) < (members, tag)
    }

    /// Whether somebody outside that gathers has shown that all members can reach it and it them. Alone there is nobody
    /// whom it could disturb.
    pub(crate) fn reaches_all(&self, join: &Join) -> bool {
        let Some(order) = &self.order else { return true };
        let members = &order.configuration.members;
        let reached = |slot: Slot, boot: BootId| {
            join.candidates.iter().any(|known| (known.slot, known.boot) == (slot, boot))
                && !join.unreached.contains(&slot)
        };
        members.len() == 1 || members.iter().all(|member| reached(member.slot, member.boot))
    }

    /// Tells a daemon outside who is in this ring and where.
    pub(crate) fn answer(&mut self, to: SocketAddr) {
        let Some(order) = &self.order else { return };
        let members = order.configuration.members.clone();
        let answer = Packet::Answer(Join {
            unreached: Vec::new(),
            addresses: self.addresses_of(&members),
            claims: self.claims.of(members.iter()),
            candidates: members,
            failed: Vec::new(),
            ..self.identity()
        });
        self.send(Destination::Address(to), &answer);
    }

    /// Whether a join or an answer is of this ring's configuration and can be believed; refuses it else.
    pub(crate) fn is_ours(&mut self, received: &Received, join: &Join) -> bool {
        let why = if join.ring != self.settings.ring {
            Refusal::ForeignRing
        } else if join.hash != self.settings.configuration_hash {
            Refusal::ConfigurationMismatch
        } else if join.epoch > EPOCH_MOST || join.me.claim > crate::claims::CLAIM_MOST {
            Refusal::Malformed
        } else {
            return join.me.slot == received.slot && join.me.boot == received.boot;
        };
        self.refuse(received.slot, received.from, why);
        false
    }

    /// A member of a ring says who is in it.
    pub(crate) fn on_answer(&mut self, now: Instant, received: &Received, answer: Join) {
        if self.said_farewell() || !self.is_ours(received, &answer) {
            return;
        }
        let mut members = answer.candidates.iter().map(|member| (member.slot, member.boot));
        if members.any(|(slot, boot)| self.is_shunned(now, slot, boot)) {
            // The ring comes as a whole or not at all.
            return;
        }
        let Some(ring) = answer.old else { return };
        let mut began = false;
        match &self.phase {
            State::Operational(_) => {
                if self.member(received.slot).is_some() {
                    return;
                }
                if !self.is_smaller_than(answer.candidates.len(), tag(&ring)) {
                    return self.answer(received.from);
                }
                self.begin_gather(now, Reason::ForeignRing, &[]);
                began = true;
            }
            State::Gather(_) => {}
            State::Form(_) | State::Stopped => return,
        }
        self.late_install(now, Some(ring));
        let news = self.take_answer(now, received, &answer, ring);
        self.learn_addresses(&answer);
        if began || news {
            self.announce_soon(now);
        }
        self.consider(now);
    }

    /// Takes the members of a ring as candidates; whether the others have to know: they are new, or all have answered now.
    fn take_answer(
        &mut self,
        now: Instant,
        received: &Received,
        answer: &Join,
        ring: ConfigurationId,
    ) -> bool {
        self.epoch = self.epoch.max(answer.epoch);
        self.claims.learn(&answer.candidates);
        self.claims.hear(&answer.claims);
        let me = self.me.slot;
        let State::Gather(gather) = &mut self.phase else { return false };
        let before = gather.candidates.len();
        let given_up = |member: &&DaemonId| {
            let key = (member.slot, member.boot);
            gather.failed.contains(&key) || gather.left.contains(&key)
        };
        if answer.candidates.iter().any(|member| given_up(&member)) {
            // Whoever stands in it may have come in by what others said.
            gather.stands_in(received.slot, ring);
            gather.leave_ring(ring);
            return false;
        }
        for member in answer.candidates.iter().filter(|member| member.slot != me) {
            gather.admit(*member, now);
            gather.stands_in(member.slot, ring);
        }
        let new = gather.candidates.len() != before;
        if new {
            gather.changed(now);
        }
        let first = gather.hear(received.slot, received.boot, now);
        new || first && gather.all_reached(me)
    }

    /// Tries addresses at which others reach candidates that this daemon does not hear: it may know an old one.
    pub(crate) fn learn_addresses(&mut self, join: &Join) {
        for (slot, address) in &join.addresses {
            let State::Gather(gather) = &self.phase else { return };
            let candidate = gather.candidates.get(slot);
            let unheard = candidate.is_some_and(|known| !gather.is_reached(*slot, known.boot));
            if unheard && *slot != self.me.slot && self.paths.told(*slot, *address) {
                self.send_join_to_slot(*slot);
            }
        }
    }

    /// Does not look at this daemon again for a while.
    pub(crate) fn shun(&mut self, now: Instant, slot: Slot, boot: BootId) {
        if self.shunned.len() >= SHUNNED {
            self.shunned.clear();
        }
        let before = self.shunned.get(&(slot, boot));
        let time = before.map_or(SHUN, |shunned| (shunned.time * 2).min(SHUN_MOST));
        self.shunned.insert((slot, boot), Shunned { until: now + time, time });
    }

    pub(crate) fn is_shunned(&self, now: Instant, slot: Slot, boot: BootId) -> bool {
        self.shunned.get(&(slot, boot)).is_some_and(|shunned| now < shunned.until)
    }
}
