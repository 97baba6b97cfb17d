//! The ring's entry points, and the only place where the phase changes.

use crate::candidates::Gather;
use crate::claims::Claims;
use crate::counters::{Counters, Status};
use crate::form::{Form, Pending};
use crate::interface::{
    Destination, Output, Phase, Reason, Received, Refusal, Settings, SubmitError, Trace,
};
use crate::leaving::Leaving;
use crate::meet::Shunned;
use crate::operational::Operational;
use crate::order::Order;
use crate::pack::Backlog;
use crate::parts::Parts;
use crate::paths::Paths;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use spread_bugs::{Bug, planted};
use spread_wire::arena::Arena;
use spread_wire::ids::{BootId, Claim, ConfigurationId, DaemonId, Seq, Slot};
use spread_wire::packet::{Packet, cursor::ReadError};
use spread_wire::queue::take_first;
use spread_wire::service::Guarantee;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A daemon that calls in later than this after a deadline was not scheduled: it accuses nobody for the time.
const LATE: Duration = Duration::from_millis(30);
/// Bytes that own packets share.
const PACKETS_BYTES: usize = 32 << 10;
/// An epoch beyond is not believed: epochs rise by one, and the highest known has to have a next one.
pub(crate) const EPOCH_MOST: u64 = 1 << 62;

/// One daemon's part of a ring.
///
/// The driver's duties, in this order, after each call into the ring:
/// 1. take [`Ring::poll_output`] until it is empty and carry the outputs out in order;
/// 2. call [`Ring::handle_timeout`] at [`Ring::poll_timeout`] at the latest;
/// 3. feed what arrives to [`Ring::handle_received`], and names that were looked up to [`Ring::resolved`];
/// 4. after [`Output::Left`] or [`Output::Superseded`] call no more.
///
/// Time never goes back. Follows Totem (single ring) for order and flow control and extended virtual synchrony for
/// what is delivered around a change; forming is led by the first member rather than by a token.
#[derive(Debug)]
pub struct Ring {
    pub(crate) settings: Settings,
    pub(crate) me: DaemonId,
    pub(crate) phase: State,
    pub(crate) order: Option<Order>,
    pub(crate) backlog: Backlog,
    /// Where own packets are made: they become stable in the order in which they were sent.
    pub(crate) packets: Arena,
    pub(crate) paths: Paths,
    pub(crate) parts: Parts,
    pub(crate) counters: Counters,
    pub(crate) outputs: VecDeque<Output>,
    /// Highest epoch of any configuration heard of.
    pub(crate) epoch: u64,
    /// Counts this daemon's gatherings.
    pub(crate) attempt: u64,
    /// Latest attempt heard of, by boot id.
    pub(crate) attempts: BTreeMap<(Slot, BootId), u64>,
    /// When a slot's daemon was heard last.
    pub(crate) heard: BTreeMap<Slot, (BootId, Instant)>,
    /// Daemons not merged with for a while: they were silent a moment ago.
    pub(crate) shunned: BTreeMap<(Slot, BootId), Shunned>,
    /// Until when daemons are given more time: one was silent for long, and had not crashed.
    pub(crate) strained: Option<Instant>,
    /// Slots of attempts this daemon was complete for and never installed.
    pub(crate) obligation: BTreeSet<Slot>,
    pub(crate) pending: Option<Pending>,
    /// Who has which slot, and who wants it.
    pub(crate) claims: Claims,
    pub(crate) leaving: Option<Leaving>,
    /// When this daemon told everybody last whom it knows.
    pub(crate) announced: Instant,
    /// Clients of this daemon read too slowly: all daemons send no more than a trickle.
    pub(crate) congested: bool,
    started: Instant,
    random: ChaCha12Rng,
}

/// One struct per phase.
#[derive(Debug)]
pub(crate) enum State {
    Operational(Box<Operational>),
    Gather(Box<Gather>),
    Form(Box<Form>),
    /// Left or superseded.
    Stopped,
}

impl Ring {
    /// A daemon that starts: it looks for the others at once.
    #[must_use]
    pub fn new(now: Instant, settings: Settings) -> Self {
        let me = DaemonId { slot: settings.me, claim: Claim(0), boot: settings.boot };
        let mut ring = Self {
            me,
            phase: State::Stopped,
            order: None,
            backlog: Backlog::default(),
            packets: Arena::new(PACKETS_BYTES),
            paths: Paths::default(),
            parts: Parts::default(),
            counters: Counters::default(),
            outputs: VecDeque::new(),
            epoch: 0,
            attempt: 0,
            attempts: BTreeMap::new(),
            heard: BTreeMap::new(),
            shunned: BTreeMap::new(),
            strained: None,
            obligation: BTreeSet::new(),
            pending: None,
            claims: Claims::default(),
            leaving: None,
            announced: Instant(0),
            congested: false,
            started: now,
            random: ChaCha12Rng::seed_from_u64(settings.seed),
            settings,
        };
        ring.gather(now, Reason::Start, &[]);
        ring
    }

    /// Asks for `payload` to be put into the order.
    pub fn submit(&mut self, guarantee: Guarantee, payload: Bytes) -> Result<(), SubmitError> {
        if self.leaving.is_some() || matches!(self.phase, State::Stopped) {
            return Err(SubmitError::Leaving);
        }
        if payload.len() > self.settings.windows.payload_bytes {
            return Err(SubmitError::TooLarge);
        }
        let full = self.backlog.bytes() > 0 && self.backlog_room() < payload.len();
        if full && !planted(Bug::BacklogUnlimited) {
            return Err(SubmitError::Full);
        }
        self.backlog.push(guarantee, payload);
        self.counters.backlog_bytes = self.backlog.bytes() as u64;
        Ok(())
    }

    /// Says that no more is submitted for now: a token that rests is woken. What was submitted together travels together.
    pub fn flush(&mut self, now: Instant) {
        if !self.backlog.is_empty() {
            self.wake_token(now);
        }
    }

    /// Bytes that [`Ring::submit`] still takes.
    #[must_use]
    pub fn backlog_room(&self) -> usize {
        self.settings.windows.backlog_bytes.saturating_sub(self.backlog.bytes())
    }

    /// Says whether this daemon can take what is delivered. While it can't, all daemons of the ring send a trickle only, so
    /// that what waits for slow readers stays bounded; submissions wait in their backlogs.
    pub fn set_congested(&mut self, now: Instant, congested: bool) {
        let before = core::mem::replace(&mut self.congested, congested);
        if before && !congested {
            self.release_held(now);
        }
    }

    /// What a slot's name resolved to. May be called at any time, with the same addresses too.
    pub fn resolved(&mut self, slot: Slot, addresses: &[SocketAddr]) {
        let new = self.paths.tries(slot);
        self.paths.resolved(slot, addresses);
        if matches!(self.phase, State::Gather(_)) && new != self.paths.tries(slot) {
            self.send_join_to_slot(slot);
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The state at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let order = self.order.as_ref();
        let occupant = self.claims.occupant();
        Status {
            phase: match &self.phase {
                _ if self.leaving.is_some() => Phase::Leaving,
                State::Gather(_) if occupant.is_some() => Phase::Waiting,
                State::Operational(_) => Phase::Operational,
                State::Gather(_) => Phase::Gather,
                State::Form(form) if form.planned() => Phase::Recovery,
                State::Form(_) => Phase::Form,
                State::Stopped => Phase::Leaving,
            },
            me: self.me,
            occupant,
            configuration: order.map(Order::id),
            members: order.map(|order| order.configuration.members.clone()).unwrap_or_default(),
            seq: order.map_or(0, |order| order.high),
            aru: order.map_or(0, |order| order.aru),
            stable: order.map_or(0, |order| order.stable),
        }
    }

    /// Up to where every member of the configuration has everything, as far as this one knows.
    #[must_use]
    pub fn stable(&self) -> Option<(ConfigurationId, Seq)> {
        self.order.as_ref().map(|order| (order.id(), Seq(order.stable)))
    }

    /// The next thing to do; call until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        take_first(&mut self.outputs)
    }

    /// When [`Ring::handle_timeout`] has to be called, if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let phase = match &self.phase {
            State::Operational(operational) => Some(operational.deadline()),
            State::Gather(gather) => Some(gather.deadline()),
            State::Form(form) => Some(form.deadline()),
            State::Stopped => return None,
        };
        let leaving = self
            .leaving
            .as_ref()
            .filter(|leaving| leaving.farewells > 0)
            .map(|leaving| leaving.next);
        phase.into_iter().chain(leaving).chain(self.claims.deadline()).min()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        let behind = self.poll_timeout().map_or(Duration::ZERO, |deadline| now.since(deadline));
        let late = behind > LATE;
        self.was_late(now, behind);
        match &self.phase {
            State::Operational(_) => self.operational_timeout(now, late),
            State::Gather(_) => self.gather_timeout(now, late),
            State::Form(_) => self.form_timeout(now, late),
            State::Stopped => {}
        }
        self.claims_timeout(now, late);
        self.continue_leaving(now);
    }

    /// A packet arrived. What can't be read or does not belong here is refused and counted.
    pub fn handle_received(&mut self, now: Instant, received: Received) {
        if matches!(self.phase, State::Stopped)
            || received.slot.0 >= self.settings.slots
            || received.boot == self.me.boot
        {
            return;
        }
        match Packet::decode(received.packet.clone()) {
            Ok(packet) => {
                self.counters.packets_received += 1;
                self.dispatch(now, &received, packet);
                self.continue_leaving(now);
            }
            Err(ReadError::Unknown(_)) => {
                self.refuse(received.slot, received.from, Refusal::UnknownVersion)
            }
            Err(_) => self.refuse(received.slot, received.from, Refusal::Malformed),
        }
    }

    /// Proves the sender's address first, then acts.
    fn dispatch(&mut self, now: Instant, received: &Received, packet: Packet) {
        let key = (received.slot, received.boot, received.from);
        match packet {
            Packet::Challenge { nonce } => {
                return self.send(Destination::Address(received.from), &Packet::Echo { nonce });
            }
            Packet::Echo { nonce } => {
                if let Some(remembered) = self.paths.echoed(key, nonce) {
                    self.prove(now, received, remembered);
                }
                return;
            }
            _ => {}
        }
        if self.paths.matches(received.slot, received.boot, received.from) {
            self.heard.insert(received.slot, (received.boot, now));
            self.occupant_answers(received.slot, received.boot);
            return self.act(now, received, packet);
        }
        let known = self.paths.is_valid(received.slot, received.boot);
        let worth = matches!(
            packet,
            Packet::Join(_)
                | Packet::Answer(_)
                | Packet::Probe { .. }
                | Packet::Propose(_)
                | Packet::Part { .. }
                | Packet::SlotClaimed { .. }
                | Packet::Superseded { .. }
        );
        if known || worth {
            let remember = (!known).then(|| received.packet.clone());
            let random = &mut self.random;
            let nonce = self.paths.challenge(now, key, remember, || random.next_u64());
            if let Some(nonce) = nonce {
                self.send(Destination::Address(received.from), &Packet::Challenge { nonce });
            }
        }
        if known {
            // Same daemon, new address: its packets count, the address only after the echo.
            self.heard.insert(received.slot, (received.boot, now));
            self.occupant_answers(received.slot, received.boot);
            self.act(now, received, packet);
        }
    }

    pub(crate) fn act(&mut self, now: Instant, received: &Received, packet: Packet) {
        let slot = received.slot;
        match packet {
            Packet::Data(data) => self.on_data(now, slot, data),
            Packet::Token(token) => self.on_token(now, slot, token),
            Packet::Sign { tag, visit } => self.on_sign(slot, tag, visit),
            Packet::Ping { tag } => self.on_ping(now, slot, tag),
            Packet::Hurry { tag } => self.on_hurry(now, tag),
            Packet::Join(join) => self.on_join(now, received, join),
            Packet::Answer(answer) => self.on_answer(now, received, answer),
            Packet::Propose(propose) => self.on_propose(now, slot, propose),
            Packet::State(state) => self.on_state(now, slot, state),
            Packet::Plan(plan) => self.on_plan(now, slot, plan),
            Packet::Request { tag, ranges } => self.on_request(slot, tag, &ranges),
            Packet::Complete { tag } => self.on_complete(now, slot, tag),
            Packet::Install { tag } => self.on_install(now, tag),
            Packet::Probe { tag, hash, ring, .. } => {
                self.on_probe(now, received, tag, (hash, ring));
            }
            Packet::Leave { tag } => self.on_leave(now, received, tag),
            Packet::SlotClaimed { by, at } => self.on_slot_claimed(now, by, at),
            Packet::Superseded { by } => self.on_slot_claimed(now, by, None),
            Packet::Part { message, index, count, bytes, .. } => {
                if let Some(whole) =
                    self.parts.take((slot, received.boot), (message, index, count), bytes)
                    && let Ok(packet) = Packet::decode(whole.clone())
                    && !matches!(packet, Packet::Part { .. })
                {
                    self.act(now, &Received { packet: whole, ..received.clone() }, packet);
                }
            }
            Packet::Challenge { .. } | Packet::Echo { .. } => {}
        }
    }

    // --- shared by the phases -----------------------------------------------------------------------

    pub(crate) fn member(&self, slot: Slot) -> Option<DaemonId> {
        let members = &self.order.as_ref()?.configuration.members;
        members.iter().find(|member| member.slot == slot).copied()
    }

    pub(crate) fn wall_clock_milliseconds(&self, now: Instant) -> u64 {
        let since = now.since(self.started).as_millis();
        self.settings.wall_clock_milliseconds + u64::try_from(since).unwrap_or(u64::MAX / 2)
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    pub(crate) fn refuse(&mut self, slot: Slot, from: SocketAddr, why: Refusal) {
        *self.counters.refused.entry(why).or_default() += 1;
        self.outputs.push_back(Output::Trace(Trace::Refused { slot, from, why }));
    }

    /// Counts a packet that a daemon which keeps to the protocol does not send.
    pub(crate) fn refuse_malformed(&mut self) {
        *self.counters.refused.entry(Refusal::Malformed).or_default() += 1;
    }

    pub(crate) fn trace_phase(&mut self, phase: Phase, reason: Reason) {
        self.outputs.push_back(Output::Trace(Trace::Phase { phase, reason }));
    }
}

impl core::fmt::Display for Ring {
    /// One line for a timeline: phase and whom it knows.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "d{} epoch {} attempt {} ", self.me.slot, self.epoch, self.attempt)?;
        match &self.phase {
            State::Operational(_) => write!(f, "operational")?,
            State::Gather(gather) => write!(f, "{gather}")?,
            State::Form(form) => write!(f, "forming, led by d{}", form.representative())?,
            State::Stopped => write!(f, "stopped")?,
        }
        match &self.order {
            Some(order) => {
                let members: Vec<u16> =
                    order.configuration.members.iter().map(|member| member.slot.0).collect();
                write!(
                    f,
                    "; from {members:?} aru {} high {} stable {}",
                    order.aru, order.high, order.stable
                )
            }
            None => write!(f, "; new"),
        }
    }
}
