//! What is known while gathering: who is a candidate, what each said, who is given up.

use core::time::Duration;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{BootId, Claim, ConfigurationId, DaemonId, Slot};
use spread_wire::packet::Join;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What is known while gathering.
#[derive(Debug)]
pub(crate) struct Gather {
    /// Daemons to go on with, this one included.
    pub(crate) candidates: BTreeMap<Slot, DaemonId>,
    /// Daemons to go on without.
    pub(crate) failed: BTreeSet<(Slot, BootId)>,
    /// Latest join of each candidate.
    pub(crate) joins: BTreeMap<Slot, Join>,
    /// When each candidate was heard, or became one.
    pub(crate) heard: BTreeMap<Slot, Instant>,
    /// Candidates that said something in this gathering: they and this daemon reach each other.
    pub(crate) reached: BTreeSet<Slot>,
    /// Rings that candidates said they stand in: they gather only when all their members are reached.
    pub(crate) stands: BTreeMap<Slot, ConfigurationId>,
    /// Daemons of rings that could not come in as a whole: each comes back only by a join of its own, since it may have
    /// lost the others of its ring meanwhile.
    pub(crate) left: BTreeSet<(Slot, BootId)>,
    /// When a candidate that is behind was told so last.
    pub(crate) told: BTreeMap<Slot, Instant>,
    pub(crate) started: Instant,
    /// Somebody outside made us gather: its join is on the way.
    pub(crate) met: bool,
    /// A member was silent for so long that this daemon gathers: the others have had that time, too.
    pub(crate) lost: bool,
    /// When the candidates changed last.
    pub(crate) changed: Instant,
    pub(crate) next_join: Instant,
    /// Next time anything but a join is due.
    pub(crate) check: Instant,
}

impl Gather {
    pub(crate) fn deadline(&self) -> Instant {
        self.next_join.min(self.check)
    }

    /// The candidate that proposes once all say the same.
    pub(crate) fn first(&self) -> Slot {
        // This daemon is always one of them.
        self.candidates.keys().next().copied().unwrap_or(Slot(0))
    }

    /// Gives a daemon up.
    pub(crate) fn fail(&mut self, slot: Slot, boot: BootId) {
        self.failed.insert((slot, boot));
        if self.candidates.get(&slot).is_some_and(|candidate| candidate.boot == boot) {
            self.candidates.remove(&slot);
            let stood = self.stands.get(&slot).copied();
            self.forget(slot);
            if let Some(ring) = stood {
                self.leave_ring(ring);
            }
        }
    }

    /// Goes on without those who stand in this ring: it comes as a whole or not at all.
    pub(crate) fn leave_ring(&mut self, ring: ConfigurationId) {
        let stands = self.stands.iter().filter(|(_, stands)| **stands == ring);
        let slots: Vec<Slot> = stands.map(|(slot, _)| *slot).collect();
        for slot in slots {
            if let Some(daemon) = self.candidates.remove(&slot)
                && !planted(Bug::HearsayCounts)
            {
                self.left.insert((slot, daemon.boot));
            }
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: Slot) {
        self.joins.remove(&slot);
        self.reached.remove(&slot);
        self.stands.remove(&slot);
    }

    /// Something of a candidate arrived; whether it is the first.
    pub(crate) fn hear(&mut self, slot: Slot, boot: BootId, now: Instant) -> bool {
        let candidate = self.candidates.get(&slot).is_some_and(|known| known.boot == boot);
        if candidate {
            self.heard.insert(slot, now);
        }
        candidate && self.reached.insert(slot)
    }

    /// A candidate is a member of this ring and does not gather.
    pub(crate) fn stands_in(&mut self, slot: Slot, ring: ConfigurationId) {
        // An answer may be overtaken by the join of one that gathers since.
        if !self.joins.contains_key(&slot) {
            self.stands.insert(slot, ring);
        }
    }

    pub(crate) fn changed(&mut self, now: Instant) {
        self.changed = now;
        self.check = now;
    }

    pub(crate) fn is_reached(&self, slot: Slot, boot: BootId) -> bool {
        let candidate = self.candidates.get(&slot).is_some_and(|known| known.boot == boot);
        candidate && self.reached.contains(&slot)
    }

    /// Candidates that have not said anything in this gathering.
    pub(crate) fn unreached(&self, me: Slot) -> Vec<Slot> {
        let others = self.candidates.keys().filter(|slot| **slot != me);
        others.filter(|slot| !self.reached.contains(slot)).copied().collect()
    }

    pub(crate) fn all_reached(&self, me: Slot) -> bool {
        self.candidates.keys().all(|slot| *slot == me || self.reached.contains(slot))
    }

    /// Candidates that have said nothing for longer than each of them may.
    pub(crate) fn silent(
        &self,
        me: Slot,
        now: Instant,
        patience: impl Fn(&DaemonId) -> Duration,
    ) -> Vec<DaemonId> {
        let quiet = |daemon: &&DaemonId| {
            let heard = self.heard.get(&daemon.slot).copied().unwrap_or(self.started);
            daemon.slot != me && now.since(heard) >= patience(daemon)
        };
        self.candidates.values().filter(quiet).copied().collect()
    }

    /// Configurations that the candidates come from; a daemon that just started counts for none.
    pub(crate) fn rings(&self, mine: Option<ConfigurationId>) -> usize {
        let olds: BTreeSet<ConfigurationId> =
            self.joins.values().filter_map(|join| join.old).chain(mine).collect();
        olds.len()
    }

    /// Takes what a candidate says. If its slot has another daemon that stays, that one is returned and nothing else happens.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        (slot, boot): (Slot, BootId),
        me: DaemonId,
        join: &Join,
    ) -> Option<DaemonId> {
        if let Some(known) = self.candidates.get(&slot).copied()
            && known.boot != boot
            && join.me.claim == Claim(0)
        {
            // A fresh daemon whose path was proved has the slot: whoever had it is gone.
            self.fail(slot, known.boot);
        }
        self.left.remove(&(slot, boot));
        self.admit(join.me, now);
        if let Some(known) = self.candidates.get(&slot)
            && known.boot != boot
        {
            return Some(*known);
        }
        self.hear(slot, boot, now);
        // It gathers, so it does not stand in its ring any more.
        self.stands.remove(&slot);
        for (failed, boot) in &join.failed {
            if (*failed, *boot) != (me.slot, me.boot) {
                self.fail(*failed, *boot);
            }
        }
        for candidate in &join.candidates {
            let key = (candidate.slot, candidate.boot);
            let given_up = self.failed.contains(&key) || self.left.contains(&key);
            if candidate.slot != me.slot && !given_up {
                self.admit(*candidate, now);
            }
        }
        if self.candidates.get(&slot).is_some_and(|known| known.boot == boot) {
            self.joins.insert(slot, join.clone());
        }
        None
    }

    /// Takes a daemon in, unless its slot has one with a higher claim. A fresh daemon has claim 0: it takes the place of
    /// a claimed one only when that one has failed.
    pub(crate) fn admit(&mut self, daemon: DaemonId, now: Instant) {
        match self.candidates.get(&daemon.slot) {
            Some(known) if known.boot == daemon.boot => {
                if daemon.claim > known.claim {
                    self.candidates.insert(daemon.slot, daemon);
                }
            }
            Some(known) if (known.claim, known.boot) > (daemon.claim, daemon.boot) => {}
            _ => {
                self.candidates.insert(daemon.slot, daemon);
                self.forget(daemon.slot);
                self.heard.insert(daemon.slot, now);
            }
        }
    }
}

impl core::fmt::Display for Gather {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = |list: Vec<(Slot, BootId)>| {
            let names: Vec<String> =
                list.iter().map(|(slot, boot)| format!("d{slot}/{boot:?}")).collect();
            names.join(" ")
        };
        let key = |daemon: &DaemonId| (daemon.slot, daemon.boot);
        write!(f, "gathers {}", names(self.candidates.values().map(key).collect()))?;
        write!(f, " without {}", names(self.failed.iter().copied().collect()))?;
        for (slot, join) in &self.joins {
            write!(f, " | d{slot} says {}", names(join.candidates.iter().map(key).collect()))?;
        }
        Ok(())
    }
}
