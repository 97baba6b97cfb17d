//! Form and recovery: the representative proposes, members say what they have of their old configuration, hand each
//! other what is missing, and install together.
//!
//! ```text
//! representative            member
//!   Propose        ----->
//!                  <-----   State       what it has of its old configuration
//!   Plan           ----->               the states of its component
//!                  <-->     Request, Data   with the members of its component
//!                  <-----   Complete
//!   Install        ----->
//! ```
//! Every step is repeated by who waits for it. A member that was complete but never heard Install falls back to Gather and
//! remembers the attempt: meeting one that installed it, it installs it late (see [`Ring::late_install`]).

use crate::interface::{Destination, Phase, Reason};
use crate::order::Order;
use crate::ring::{EPOCH_MOST, Ring, State};
use core::time::Duration;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{BootId, ConfigurationId, DaemonId, Slot};
use spread_wire::packet::{OldRing, Packet, Plan, Propose, Proposed, TOKEN_REQUESTS, tag};
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Steps are repeated after this long without an answer.
const REPEAT: Duration = Duration::from_millis(15);
/// Installs are repeated so often for members that may have missed them.
const INSTALLS: usize = 1;

/// A proposal on its way to be installed.
#[derive(Debug)]
pub(crate) struct Form {
    propose: Propose,
    tag: u64,
    started: Instant,
    repeat: Instant,
    /// Progress restarts this clock.
    deadline: Instant,
    /// At the representative: what members said.
    states: BTreeMap<Slot, Option<OldRing>>,
    complete: BTreeSet<Slot>,
    /// The reports of this daemon's component, once known.
    plan: Option<Vec<(Slot, OldRing)>>,
    reported: bool,
}

/// An attempt this daemon was complete for.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) propose: Propose,
    pub(crate) tag: u64,
    pub(crate) reports: Vec<(Slot, OldRing)>,
}

impl Form {
    pub(crate) fn deadline(&self) -> Instant {
        self.repeat.min(self.deadline)
    }

    pub(crate) fn planned(&self) -> bool {
        self.plan.is_some()
    }

    pub(crate) fn has_member(&self, slot: Slot, boot: BootId) -> bool {
        self.propose.members.iter().any(|member| member.is(slot, boot))
    }

    pub(crate) fn member(&self, slot: Slot) -> Option<DaemonId> {
        let mut members = self.propose.members.iter().map(|member| member.daemon);
        members.find(|daemon| daemon.slot == slot)
    }

    pub(crate) fn representative(&self) -> Slot {
        self.propose.id.representative
    }
}

impl Ring {
    /// Enters the phase with a proposal: the representative's own, or one just received.
    pub(crate) fn form(&mut self, now: Instant, propose: Propose) {
        let tag = tag(&propose.id);
        self.epoch = self.epoch.max(propose.id.epoch);
        let timeout = self.settings.timers.form_timeout;
        let form = Form {
            tag,
            started: now,
            repeat: now + REPEAT,
            deadline: now + timeout,
            states: BTreeMap::new(),
            complete: BTreeSet::new(),
            plan: None,
            reported: false,
            propose,
        };
        let representative = form.representative() == self.me.slot;
        self.phase = State::Form(Box::new(form));
        self.trace_phase(Phase::Form, Reason::Consensus);
        let state = self.order.as_ref().map(|order| order.report(&self.obligation));
        if representative {
            self.repeat_step(now);
            self.take_state(now, self.me.slot, state);
        } else {
            self.send_state();
        }
    }

    fn send_state(&mut self) {
        let State::Form(form) = &self.phase else { return };
        let old = self.order.as_ref().map(|order| order.report(&self.obligation));
        let (to, tag) = (form.representative(), form.tag);
        let state = spread_wire::packet::State { tag, old };
        self.send(Destination::Slot(to), &Packet::State(state));
    }

    pub(crate) fn on_propose(&mut self, now: Instant, from: Slot, propose: Propose) {
        if propose.id.representative != from
            || propose.id.ring != self.settings.ring
            || self.said_farewell()
        {
            return;
        }
        if let State::Form(form) = &self.phase
            && form.propose.id == propose.id
        {
            if !form.planned() {
                self.send_state();
            }
            return;
        }
        let State::Gather(_) = &self.phase else { return };
        let me = propose.members.iter().any(|member| member.is(self.me.slot, self.me.boot));
        let paths = propose.members.iter().all(|Proposed { daemon, .. }| {
            daemon.slot == self.me.slot || self.paths.is_valid(daemon.slot, daemon.boot)
        });
        let fits = propose.members.iter().all(|member| member.daemon.slot.0 < self.settings.slots);
        if !me || !paths || !fits || !(self.epoch + 1..=EPOCH_MOST).contains(&propose.id.epoch) {
            return;
        }
        let olds: Vec<ConfigurationId> =
            propose.members.iter().filter_map(|member| member.old).collect();
        for old in olds {
            self.late_install(now, Some(old));
        }
        // What the proposal says of us has to be what we are: a late install changes it.
        let mine = self.order.as_ref().map(|order| order.id());
        let said = propose
            .members
            .iter()
            .find(|member| member.daemon.slot == self.me.slot)
            .and_then(|member| member.old);
        if said == mine {
            // In a large ring these joins went to the representative alone: what is still on its way is nothing new.
            for Proposed { daemon, attempt, .. } in &propose.members {
                let latest = self.attempts.entry((daemon.slot, daemon.boot)).or_default();
                if !planted(Bug::AttemptsUntold) {
                    *latest = (*latest).max(*attempt);
                }
            }
            self.form(now, propose);
        }
    }

    pub(crate) fn on_state(&mut self, now: Instant, from: Slot, state: spread_wire::packet::State) {
        let State::Form(form) = &self.phase else { return };
        let said = form
            .propose
            .members
            .iter()
            .find(|member| member.daemon.slot == from)
            .map(|member| member.old);
        let told = state.old.as_ref().map(|old| old.id);
        if form.tag == state.tag && form.representative() == self.me.slot && said == Some(told) {
            self.take_state(now, from, state.old);
        }
    }

    fn take_state(&mut self, now: Instant, from: Slot, old: Option<OldRing>) {
        let timeout = self.settings.timers.form_timeout;
        let State::Form(form) = &mut self.phase else { return };
        // The first report counts: plans were made of it, and a member that reports again may have received more since.
        if !form.states.contains_key(&from) || planted(Bug::LastReportCounts) {
            form.states.insert(from, old);
            form.deadline = now + timeout;
        }
        if form.states.len() == form.propose.members.len() {
            self.send_plans(now);
        }
    }

    /// Everybody answered: tells each member what its component has.
    fn send_plans(&mut self, now: Instant) {
        let State::Form(form) = &self.phase else { return };
        let tag = form.tag;
        let waiting: Vec<(Slot, Option<ConfigurationId>)> = form
            .propose
            .members
            .iter()
            .map(|member| (member.daemon.slot, member.old))
            .filter(|(slot, _)| !form.complete.contains(slot))
            .collect();
        let states = form.states.clone();
        let mut own = None;
        for (slot, old) in waiting {
            let reports: Vec<(Slot, OldRing)> = states
                .iter()
                .filter_map(|(slot, report)| report.clone().map(|report| (*slot, report)))
                .filter(|(_, report)| Some(report.id) == old)
                .collect();
            if slot == self.me.slot {
                own = Some(reports);
            } else {
                self.send(Destination::Slot(slot), &Packet::Plan(Plan { tag, reports }));
            }
        }
        if let Some(reports) = own {
            self.take_plan(now, reports);
        }
    }

    pub(crate) fn on_plan(&mut self, now: Instant, from: Slot, plan: Plan) {
        let State::Form(form) = &self.phase else { return };
        if form.tag == plan.tag && form.representative() == from {
            self.take_plan(now, plan.reports);
        }
    }

    fn take_plan(&mut self, now: Instant, reports: Vec<(Slot, OldRing)>) {
        let timeout = self.settings.timers.form_timeout;
        let State::Form(form) = &mut self.phase else { return };
        let gap = self.settings.windows.gap_packets;
        let near = |order: &Order| reports.iter().all(|(_, known)| order.is_near(known.high, gap));
        if !self.order.as_ref().is_none_or(near) {
            return self.refuse_malformed();
        }
        if form.plan.is_none() {
            form.plan = Some(reports);
            form.deadline = now + timeout;
            self.trace_phase(Phase::Recovery, Reason::Formed);
        }
        self.ask_missing();
        self.recovered(now);
    }

    /// Asks for what others of the component have and this daemon lacks, each packet of its first holder.
    fn ask_missing(&mut self) {
        let State::Form(form) = &self.phase else { return };
        let (Some(plan), Some(order)) = (&form.plan, &self.order) else { return };
        let top = plan.iter().map(|(_, report)| report.high).max().unwrap_or(0);
        let mut asks: BTreeMap<Slot, Vec<(u64, u32)>> = BTreeMap::new();
        for (first, count) in order.missing(top, usize::MAX) {
            for seq in first..first + u64::from(count) {
                let holder =
                    plan.iter().find(|(slot, report)| *slot != self.me.slot && report.has(seq));
                let Some((holder, _)) = holder else { continue };
                let ranges = asks.entry(*holder).or_default();
                match ranges.last_mut() {
                    Some((first, count)) if *first + u64::from(*count) == seq => *count += 1,
                    _ => ranges.push((seq, 1)),
                }
            }
        }
        let tag = order.tag;
        for (holder, ranges) in asks {
            for ranges in ranges.chunks(TOKEN_REQUESTS) {
                self.send(
                    Destination::Slot(holder),
                    &Packet::Request { tag, ranges: ranges.to_vec() },
                );
            }
        }
    }

    /// Serves a member of the old configuration that misses packets.
    pub(crate) fn on_request(&mut self, from: Slot, tag: u64, ranges: &[(u64, u32)]) {
        let Some(order) = self.order.as_ref().filter(|order| order.tag == tag) else { return };
        let most = self.settings.windows.gap_packets;
        let packets: Vec<_> = ranges
            .iter()
            .flat_map(|(first, count)| *first..first.saturating_add(u64::from((*count).min(most))))
            .filter_map(|seq| order.packet(seq))
            .collect();
        self.counters.retransmissions += packets.len() as u64;
        for packet in packets {
            self.send_bytes(Destination::Slot(from), packet);
        }
    }

    /// Whether nothing is missing any more: then says so.
    pub(crate) fn recovered(&mut self, now: Instant) {
        let State::Form(form) = &mut self.phase else { return };
        let Some(plan) = &form.plan else { return };
        if let Some(order) = &self.order {
            let top = plan.iter().map(|(_, report)| report.high).max().unwrap_or(0);
            let misses = (order.aru + 1..=top)
                .any(|seq| !order.has(seq) && plan.iter().any(|(_, report)| report.has(seq)));
            if misses && !planted(Bug::RecoveredTooEarly) {
                return;
            }
        }
        if !form.reported {
            form.reported = true;
            form.deadline = now + self.settings.timers.form_timeout;
            let reports = plan.clone();
            self.pending = Some(Pending { propose: form.propose.clone(), tag: form.tag, reports });
        }
        let (to, tag) = (form.representative(), form.tag);
        if to == self.me.slot {
            self.take_complete(now, self.me.slot);
        } else {
            self.send(Destination::Slot(to), &Packet::Complete { tag });
        }
    }

    pub(crate) fn on_complete(&mut self, now: Instant, from: Slot, tag: u64) {
        match &self.phase {
            State::Form(form)
                if form.tag == tag
                    && form.representative() == self.me.slot
                    && form.propose.members.iter().any(|member| member.daemon.slot == from) =>
            {
                self.take_complete(now, from);
            }
            // It missed our Install.
            State::Operational(_) if self.order.as_ref().is_some_and(|order| order.tag == tag) => {
                self.send(Destination::Slot(from), &Packet::Install { tag });
            }
            _ => {}
        }
    }

    fn take_complete(&mut self, now: Instant, from: Slot) {
        let timeout = self.settings.timers.form_timeout;
        let State::Form(form) = &mut self.phase else { return };
        if form.complete.insert(from) {
            form.deadline = now + timeout;
        }
        if form.complete.len() < form.propose.members.len() {
            return;
        }
        let tag = form.tag;
        let others: Vec<Slot> = form
            .propose
            .members
            .iter()
            .map(|member| member.daemon.slot)
            .filter(|slot| *slot != self.me.slot)
            .collect();
        for _ in 0..INSTALLS {
            for slot in &others {
                self.send(Destination::Slot(*slot), &Packet::Install { tag });
            }
        }
        self.install_pending(now, tag);
    }

    pub(crate) fn on_install(&mut self, now: Instant, tag: u64) {
        self.installed_elsewhere(now, tag);
    }

    /// A packet of a configuration this daemon is complete for: all were complete, so it installs too.
    pub(crate) fn installed_elsewhere(&mut self, now: Instant, tag: u64) {
        if let State::Form(form) = &self.phase
            && form.tag == tag
            && form.reported
        {
            self.install_pending(now, tag);
        }
    }

    fn install_pending(&mut self, now: Instant, tag: u64) {
        if let Some(pending) = self.pending.take()
            && pending.tag == tag
        {
            self.install(&pending);
            self.operate(now, Reason::Recovered);
        }
    }

    /// Installs an attempt late, on meeting a daemon that comes from it: both are one component again.
    pub(crate) fn late_install(&mut self, _now: Instant, old: Option<ConfigurationId>) {
        let met = old.is_some() && self.pending.as_ref().map(|pending| pending.propose.id) == old;
        if !met || !matches!(self.phase, State::Gather(_)) {
            return;
        }
        if let Some(pending) = self.pending.take() {
            self.install(&pending);
        }
    }

    pub(crate) fn form_timeout(&mut self, now: Instant, late: bool) {
        let timeout = self.settings.timers.form_timeout;
        let State::Form(form) = &mut self.phase else { return };
        if late {
            // This daemon was not scheduled: silence in that time is its own.
            form.deadline = now + timeout;
        }
        if now >= form.deadline {
            return self.give_up(now);
        }
        if now >= form.repeat {
            form.repeat = now + REPEAT;
            self.repeat_step(now);
        }
    }

    /// The attempt failed: gather again, without those who stayed silent.
    fn give_up(&mut self, now: Instant) {
        let State::Form(form) = &self.phase else { return };
        let members = form.propose.members.iter().map(|member| member.daemon.slot);
        let silent: Vec<Slot> = if form.representative() == self.me.slot {
            let answered = |slot: &Slot| match form.plan {
                None => form.states.contains_key(slot),
                Some(_) => form.complete.contains(slot),
            };
            members.filter(|slot| !answered(slot) && *slot != self.me.slot).collect()
        } else {
            let quiet =
                |slot: &Slot| self.heard.get(slot).is_none_or(|(_, at)| *at <= form.started);
            members.filter(|slot| *slot == form.representative() && quiet(slot)).collect()
        };
        if let Some(pending) = &self.pending {
            let mine = self.order.as_ref().map(|order| order.id());
            self.obligation.extend(pending.component(mine));
        }
        self.gather(now, Reason::FormTimeout, &silent);
    }

    fn repeat_step(&mut self, now: Instant) {
        let State::Form(form) = &self.phase else { return };
        if form.representative() != self.me.slot {
            return if form.reported {
                self.recovered(now);
            } else if form.planned() {
                self.ask_missing();
            } else {
                self.send_state();
            };
        }
        if form.states.len() == form.propose.members.len() {
            return self.send_plans(now);
        }
        let propose = Packet::Propose(form.propose.clone());
        let silent: Vec<Slot> = form
            .propose
            .members
            .iter()
            .map(|member| member.daemon.slot)
            .filter(|slot| *slot != self.me.slot && !form.states.contains_key(slot))
            .collect();
        for slot in silent {
            self.send(Destination::Slot(slot), &propose);
        }
    }
}
