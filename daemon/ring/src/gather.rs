//! Gather: who is there? Everybody repeats whom it knows until all say the same; no timer is needed when all answer.

use crate::candidates::Gather;
use crate::interface::{Destination, Phase, Reason, Received};
use crate::order::Order;
use crate::ring::{Ring, State};
use core::time::Duration;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{BootId, Claim, ConfigurationId, DaemonId, Slot};
use spread_wire::packet::{Join, Packet, Propose, Proposed};
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// After so many consensus timeouts without any change the attempt is given up.
const STALE_TIMEOUTS: u32 = 4;
/// After a loss so long is waited for daemons that now can be reached.
const LOSS_SETTLE: Duration = Duration::from_millis(4);
/// A candidate that is behind is told so at most this often.
const TELL: Duration = Duration::from_millis(2);

/// Up to so many slots everybody says at once what he knows.
const FEW_SLOTS: u16 = 10;
/// Beyond, a round in which each candidate writes to each slot costs much: so long is taken for each of these packets, so that
/// something is left of the processors.
const PACE: Duration = Duration::from_micros(25);
/// A candidate is silent after so many rounds without a word.
const SILENT_ROUNDS: u32 = 6;

impl Ring {
    /// Begins to gather, without those of `failed` slots that are members now, and says so.
    pub(crate) fn gather(&mut self, now: Instant, reason: Reason, failed: &[Slot]) {
        self.begin_gather(now, reason, failed);
        self.announce_soon(now);
        self.consider(now);
    }

    /// Begins to gather; whoever calls this tells the others, once it knows more.
    pub(crate) fn begin_gather(&mut self, now: Instant, reason: Reason, failed: &[Slot]) {
        if self.said_farewell() {
            // All it had to say is out and known everywhere: what comes is for those who stay.
            return self.stop();
        }
        self.attempt += 1;
        let members = self.order.as_ref().map(|order| order.configuration.members.clone());
        let lost = matches!(
            reason,
            Reason::SuccessorSilent | Reason::PredecessorSilent | Reason::TokenLoss
        );
        let mut gather = Gather {
            candidates: BTreeMap::from([(self.me.slot, self.me)]),
            failed: BTreeSet::new(),
            joins: BTreeMap::new(),
            heard: BTreeMap::new(),
            reached: BTreeSet::new(),
            stands: BTreeMap::new(),
            left: BTreeSet::new(),
            told: BTreeMap::new(),
            started: now,
            met: !lost && reason != Reason::Leaving,
            lost,
            changed: now,
            next_join: now,
            check: now,
        };
        for member in members.into_iter().flatten() {
            if failed.contains(&member.slot) {
                gather.failed.insert((member.slot, member.boot));
            } else {
                gather.candidates.entry(member.slot).or_insert(member);
                gather.heard.insert(member.slot, now);
            }
        }
        *self.counters.gatherings.entry(reason).or_default() += 1;
        self.phase = State::Gather(Box::new(gather));
        self.trace_phase(Phase::Gather, reason);
    }

    /// Least time between two announcements of one daemon.
    fn pace(&self) -> Duration {
        let State::Gather(gather) = &self.phase else { return Duration::ZERO };
        if self.settings.slots <= FEW_SLOTS {
            return Duration::ZERO;
        }
        PACE * u32::from(self.settings.slots) * gather.candidates.len() as u32
    }

    /// How long a candidate may say nothing that was not heard yet.
    fn patience(&self) -> Duration {
        self.settings.timers.consensus_timeout.max(self.pace() * SILENT_ROUNDS)
    }

    /// The same for a member of the ring, or whoever was heard. Nobody is left behind for less silence than makes a crash while messages flow.
    fn patience_with_known(&self, now: Instant) -> Duration {
        let State::Gather(gather) = &self.phase else { return Duration::ZERO };
        // Rounds of many slots are long: so many without a word are enough for anybody.
        let rounds = self.pace() * SILENT_ROUNDS;
        let least = self.settings.timers.consensus_timeout * self.lenience(now);
        let patience = if gather.lost { least } else { least.max(self.silence(now)) };
        patience.max(rounds)
    }

    /// Tells everybody as soon as the pace allows, and until then the one who proposes; what changes meanwhile is told with it.
    pub(crate) fn announce_soon(&mut self, now: Instant) {
        let due = self.announced + self.pace();
        if now >= due {
            return self.announce(now);
        }
        let State::Gather(gather) = &mut self.phase else { return };
        gather.next_join = gather.next_join.max(now).min(due);
        let first = gather.first();
        if first != self.me.slot {
            self.tell(now, first);
        }
    }

    /// Follows others into gathering. In a large ring only the one who proposes is told at first: it tells everybody itself.
    /// If all wrote to all, 64 daemons would send 4,000 joins for one that comes. Where nothing follows, the next round is for all.
    pub(crate) fn follow(&mut self, now: Instant) {
        let (large, pace) = (self.settings.slots > FEW_SLOTS, self.pace());
        let jitter = Duration::from_micros(self.random() % 2000);
        let State::Gather(gather) = &mut self.phase else { return };
        let first = gather.first();
        if !large || first == self.me.slot {
            return self.announce_soon(now);
        }
        gather.next_join = now + self.settings.timers.join_interval.max(pace) + jitter;
        self.announced = now;
        self.tell(now, first);
    }

    /// Tells one candidate, unless it was told a moment ago: two that can't agree would otherwise answer each other without end.
    fn tell(&mut self, now: Instant, slot: Slot) {
        let pause = TELL.max(self.pace());
        let State::Gather(gather) = &mut self.phase else { return };
        if gather.told.get(&slot).is_none_or(|told| now.since(*told) >= pause) {
            gather.told.insert(slot, now);
            self.send_join_to_slot(slot);
        }
    }

    /// Tells everybody whom this daemon knows.
    fn announce(&mut self, now: Instant) {
        if self.said_farewell() {
            return;
        }
        self.announced = now;
        let mut interval = self.settings.timers.join_interval.max(self.pace());
        if self.claims.occupant().is_some() {
            interval = interval.max(self.settings.timers.probe_interval);
        }
        let jitter = Duration::from_micros(self.random() % 2000);
        let State::Gather(gather) = &mut self.phase else { return };
        gather.next_join = now + interval + jitter;
        let State::Gather(gather) = &self.phase else { return };
        let join = Packet::Join(self.join(gather));
        let packets = self.encoded(&join);
        // The own slot's name may lead to another daemon that has it.
        for slot in (0..self.settings.slots).map(Slot) {
            for address in self.paths.tries(slot) {
                for packet in &packets {
                    self.send_bytes(Destination::Address(address), packet.clone());
                }
            }
        }
    }

    pub(crate) fn on_join(&mut self, now: Instant, received: &Received, join: Join) {
        if !self.is_ours(received, &join) || self.said_farewell() {
            return;
        }
        let latest = self.attempts.entry((received.slot, received.boot)).or_default();
        let newer = join.attempt > *latest;
        if join.attempt < *latest {
            return;
        }
        *latest = join.attempt;
        if self.attempts.len() > 4096 {
            self.attempts.clear();
        }
        let mut began = false;
        match &self.phase {
            // It goes on without us for now.
            State::Operational(_) if join.failed.contains(&(self.me.slot, self.me.boot)) => return,
            State::Operational(_) => {
                let member = self.member(received.slot);
                began = true;
                match member {
                    Some(member) if member.boot == received.boot => {
                        let ours = self.order.as_ref().map(|order| order.id());
                        if !newer && join.old != ours {
                            return;
                        }
                        self.begin_gather(now, Reason::PeerGathers, &[]);
                    }
                    Some(member) => self.begin_gather(now, Reason::Restarted, &[member.slot]),
                    None if self.is_shunned(now, received.slot, received.boot) => return,
                    None if !self.reaches_all(&join) => return self.answer(received.from),
                    None if join.old.is_some() => self.begin_gather(now, Reason::ForeignRing, &[]),
                    None => self.begin_gather(now, Reason::Joining, &[]),
                }
            }
            State::Form(form) => {
                if !newer || !form.has_member(received.slot, received.boot) {
                    return;
                }
                self.begin_gather(now, Reason::PeerGathers, &[]);
                began = true;
            }
            State::Gather(_) => {}
            State::Stopped => return,
        }
        self.late_install(now, join.old);
        let changed = self.take_join(now, received, &join);
        self.learn_addresses(&join);
        if began {
            self.follow(now);
        } else if changed {
            self.announce_soon(now);
        }
        self.consider(now);
    }

    /// Joins the sender's knowledge with ours; whether ours changed.
    fn take_join(&mut self, now: Instant, received: &Received, join: &Join) -> bool {
        self.epoch = self.epoch.max(join.epoch);
        self.claims.learn(&[join.me]);
        self.claims.hear(&join.claims);
        let waits = self.claims.occupant().is_some();
        if waits && join.candidates.iter().any(|candidate| candidate.boot == self.me.boot) {
            // Somebody counts on us: the slot is ours to take.
            self.claims.admitted();
        }
        let me = self.me;
        let mine = self.order.as_ref().map(Order::id);
        let fellows: Vec<(Slot, BootId)> = match &self.order {
            Some(order) if join.old != mine => order
                .configuration
                .members
                .iter()
                .map(|fellow| (fellow.slot, fellow.boot))
                .collect(),
            _ => Vec::new(),
        };
        let State::Gather(gather) = &mut self.phase else { return false };
        let (slot, boot) = (received.slot, received.boot);
        if gather.failed.contains(&(slot, boot)) {
            return false;
        }
        let before = gather.candidates.clone();
        let cuts_fellow = join.failed.iter().any(|(failed, boot)| {
            fellows.contains(&(*failed, *boot)) && gather.is_reached(*failed, *boot)
        });
        if join.failed.contains(&(me.slot, me.boot)) || cuts_fellow {
            // It goes on without us, or without one of ours that we hear and it does not: we go on without it. The two meet
            // again when both stand.
            gather.fail(slot, boot);
            if cuts_fellow {
                self.shun(now, slot, boot);
            }
        } else if let Some(known) = gather.take(now, (slot, boot), me, join) {
            let superseded = Packet::Superseded { by: known };
            self.send(Destination::Address(received.from), &superseded);
            return false;
        }
        let State::Gather(gather) = &mut self.phase else { return false };
        let changed = before != gather.candidates;
        let behind = join.candidates.iter().copied().ne(gather.candidates.values().copied());
        if changed {
            gather.changed(now);
        } else if behind {
            self.tell(now, slot);
        }
        changed
    }

    /// Proposes a configuration if all candidates say the same and this daemon is the first of them.
    pub(crate) fn consider(&mut self, now: Instant) {
        let (timers, pace) = (self.settings.timers.clone(), self.pace());
        let mine = self.order.as_ref().map(|order| order.id());
        let slots = usize::from(self.settings.slots);
        let State::Gather(gather) = &mut self.phase else { return };
        if gather.first() != self.me.slot {
            return;
        }
        let names: Vec<(Slot, BootId)> =
            gather.candidates.values().map(|candidate| (candidate.slot, candidate.boot)).collect();
        let agreed = gather.candidates.keys().filter(|slot| **slot != self.me.slot).all(|slot| {
            gather.joins.get(slot).is_some_and(|join| {
                join.candidates
                    .iter()
                    .map(|candidate| (candidate.slot, candidate.boot))
                    .eq(names.iter().copied())
            })
        });
        if !agreed {
            return;
        }
        // Rings that meet wait a moment for further ones, so that all become one in a single step.
        let waits = gather.rings(mine) > 1 || names.len() == 1 && gather.met;
        let settle = if waits {
            timers.join_interval.max(pace)
        } else if gather.met {
            Duration::ZERO
        } else {
            // Who was lost may have gone over to another ring that we meet in the same moment.
            LOSS_SETTLE
        };
        let alone = names.len() == 1 && mine.is_none() && slots > 1;
        let earliest =
            if alone { gather.started + timers.singleton_delay } else { gather.changed + settle };
        // Nothing is installed while another daemon has the slot.
        let earliest = self.claims.free_at().map_or(earliest, |free| free.max(earliest));
        if now < earliest {
            gather.check = earliest;
            return;
        }
        let own = (mine, self.attempt);
        let said =
            |slot: &Slot| gather.joins.get(slot).map_or(own, |join| (join.old, join.attempt));
        let propose = |daemon: &DaemonId| {
            let (old, attempt) = said(&daemon.slot);
            Proposed { daemon: *daemon, old, attempt }
        };
        let members = gather.candidates.values().map(propose).collect();
        self.propose(now, members);
    }

    fn propose(&mut self, now: Instant, mut members: Vec<Proposed>) {
        let clock = self.wall_clock_milliseconds(now);
        for Proposed { daemon, .. } in &mut members {
            if daemon.claim == Claim(0) {
                daemon.claim = self.claims.next(daemon.slot, clock);
            }
        }
        let id = ConfigurationId {
            ring: self.settings.ring,
            epoch: self.epoch + u64::from(!planted(Bug::EpochTwice)),
            representative: self.me.slot,
            boot: self.me.boot,
        };
        self.form(now, Propose { id, members });
    }

    pub(crate) fn gather_timeout(&mut self, now: Instant, late: bool) {
        let (timers, patience) = (self.settings.timers.clone(), self.patience());
        let longer = self.patience_with_known(now);
        let order = self.order.as_ref();
        let fellows = order.map_or(&[][..], |order| &order.configuration.members);
        let State::Gather(gather) = &mut self.phase else { return };
        if late {
            for heard in gather.heard.values_mut() {
                *heard = now;
            }
        }
        let silent = gather.silent(self.me.slot, now, |daemon| {
            let known = gather.is_reached(daemon.slot, daemon.boot)
                || fellows.iter().any(|member| member.boot == daemon.boot);
            if known { longer } else { patience }
        });
        for daemon in &silent {
            gather.fail(daemon.slot, daemon.boot);
            gather.changed = now;
        }
        silent.iter().for_each(|daemon| self.shun(now, daemon.slot, daemon.boot));
        let State::Gather(gather) = &mut self.phase else { return };
        if now.since(gather.changed) >= longer * STALE_TIMEOUTS && gather.candidates.len() > 1 {
            // All are heard and still do not agree: what was given up in this attempt is forgotten.
            return self.gather(now, Reason::FormTimeout, &[]);
        }
        gather.check = now + timers.join_interval;
        self.claims.expire(now);
        let State::Gather(gather) = &self.phase else { return };
        if !silent.is_empty() || now >= gather.next_join {
            self.announce(now);
        }
        self.consider(now);
    }
}
