//! Operational: the token goes round and packets get their place. Where it rests is in `rest`, who is silent in `watch`.

use crate::interface::{Destination, Phase, Reason, Timers};
use crate::rest::Calm;
use crate::ring::{Ring, State};
use crate::watch::Watch;
use core::time::Duration;
use spread_wire::ids::Slot;
use spread_wire::packet::{Data, Packet, Token};
use spread_wire::time::Instant;

/// The token's state at one daemon.
#[derive(Debug)]
pub(crate) struct Operational {
    /// The token rests here.
    pub(crate) resting: Option<Token>,
    pub(crate) rest_until: Instant,
    /// The token is kept back because this daemon is congested, and until when.
    pub(crate) held: Option<(Token, Instant)>,
    /// Visits in a row at which this daemon was congested.
    pub(crate) congested_visits: u32,
    /// Highest visit of a token accepted.
    pub(crate) last_visit: u64,
    /// What the token said when it left here last: all received up to, highest given out.
    pub(crate) left_aru: u64,
    pub(crate) left_seq: u64,
    /// Packets sent since the token came last.
    pub(crate) sent: u32,
    /// When the token came from the predecessor last.
    pub(crate) arrived: Instant,
    /// When the first packet of this stay of the token was sent.
    pub(crate) began: Option<Instant>,
    /// The token as it was passed on, until the successor has shown that it has it.
    pub(crate) passed: Option<Token>,
    pub(crate) passed_again: Instant,
    /// Where the token rests, if it rests.
    pub(crate) last_sender: Slot,
    pub(crate) rests: bool,
    pub(crate) hurry: Option<Instant>,
    pub(crate) token_seen: Instant,
    pub(crate) successor: Slot,
    pub(crate) calm: Calm,
    pub(crate) watch: Watch,
    /// When to look for daemons outside; the representative does.
    probe: Option<Instant>,
    token_loss: Duration,
    idle_token: Duration,
}

impl Operational {
    pub(crate) fn new(
        now: Instant,
        (predecessor, successor): (Slot, Slot),
        (first, represents): (Slot, bool),
        timers: &Timers,
    ) -> Self {
        Self {
            resting: None,
            rest_until: now,
            held: None,
            congested_visits: 0,
            last_visit: 0,
            left_aru: 0,
            left_seq: 0,
            sent: 0,
            arrived: now,
            began: None,
            passed: None,
            passed_again: now,
            last_sender: first,
            rests: false,
            hurry: None,
            token_seen: now,
            successor,
            calm: Calm::default(),
            watch: Watch::new(now, predecessor, timers),
            probe: represents.then(|| now + timers.probe_interval),
            token_loss: timers.token_loss,
            idle_token: timers.idle_token,
        }
    }

    /// Whether it is time to look for daemons outside; if so, the next time is later.
    pub(crate) fn probe_is_due(&mut self, now: Instant, interval: Duration) -> bool {
        let due = self.probe.is_some_and(|probe| now >= probe);
        if due {
            self.probe = Some(now + interval);
        }
        due
    }

    /// Highest sequence number any token seen here had.
    pub(crate) fn seq_seen(&self) -> u64 {
        self.left_seq
    }

    pub(crate) fn deadline(&self) -> Instant {
        let mut next = self.watch.deadline().min(self.token_seen + self.token_loss);
        // In a ring at rest that waits for the token: one thing to wake for instead of two.
        let with_token = if self.rests { self.idle_token } else { Duration::ZERO };
        next = self.probe.map_or(next, |probe| next.min(probe + with_token));
        if self.resting.is_some() {
            next = next.min(self.rest_until);
        }
        if self.passed.is_some() {
            next = next.min(self.passed_again);
        }
        if let Some((_, until)) = &self.held {
            next = next.min(*until);
        }
        self.hurry.map_or(next, |hurry| next.min(hurry))
    }
}

impl Ring {
    /// Enters the phase with the configuration just installed; the representative makes the first token.
    pub(crate) fn operate(&mut self, now: Instant, reason: Reason) {
        let Some(order) = &self.order else { return };
        let (tag, peers) = (order.tag, self.peers(order));
        let first = order.configuration.members.first().map_or(self.me.slot, |member| member.slot);
        let successor = peers.first().copied().unwrap_or(self.me.slot);
        let neighbours = (peers.last().copied().unwrap_or(self.me.slot), successor);
        let operational = Operational::new(
            now,
            neighbours,
            (first, first == self.me.slot),
            &self.settings.timers,
        );
        self.phase = State::Operational(Box::new(operational));
        self.pending = None;
        self.heard.retain(|_, (_, at)| now.since(*at) < Duration::from_secs(60));
        self.trace_phase(Phase::Operational, reason);
        if first == self.me.slot {
            let token = Token {
                tag,
                to: self.me.slot,
                visit: 1,
                seq: 0,
                aru: 0,
                aru_owner: None,
                sent: 0,
                quiet: 0,
                last_sender: first,
                wants_sign: false,
                requests: Vec::new(),
            };
            self.visit(now, token);
        }
    }

    pub(crate) fn on_data(&mut self, now: Instant, from: Slot, data: Data) {
        self.installed_elsewhere(now, data.tag);
        let gap = u64::from(self.settings.windows.gap_packets) * 2;
        let Some(order) = &mut self.order else { return };
        if data.tag != order.tag || !order.is_peer(data.originator, self.me.slot) {
            return;
        }
        let (originator, visit, stable) = (data.originator, data.visit, data.stable);
        if !order.insert(data, gap) {
            self.counters.duplicates += 1;
        }
        match &mut self.phase {
            State::Operational(op) => {
                if originator == from && from == op.successor {
                    op.shown(visit);
                }
                if originator != op.last_sender {
                    op.calm.another_sent();
                }
                // Sooner than by the token's next visit here.
                order.settle(stable);
                self.deliver();
            }
            State::Form(_) => self.recovered(now),
            _ => {}
        }
    }

    pub(crate) fn on_sign(&mut self, from: Slot, tag: u64, visit: u64) {
        if self.order.as_ref().is_none_or(|order| order.tag != tag) {
            return;
        }
        let State::Operational(op) = &mut self.phase else { return };
        if from == op.successor {
            op.shown(visit);
        }
    }

    /// Sends something to every member: the envelope tells them what has changed at this daemon. In an idle ring most members hear
    /// nothing of most others.
    pub fn show_itself(&mut self) {
        let (Some(order), State::Operational(op)) = (&self.order, &self.phase) else { return };
        let (tag, visit) = (order.tag, op.last_visit);
        self.send(Destination::Everyone, &Packet::Sign { tag, visit });
    }

    /// Somebody wants a sign. If it is the one that the token was passed to, it may not have come: it is passed again.
    pub(crate) fn on_ping(&mut self, now: Instant, from: Slot, tag: u64) {
        let State::Operational(op) = &mut self.phase else { return };
        if self.order.as_ref().is_some_and(|order| order.tag == tag) {
            let visit = op.last_visit;
            if from == op.successor {
                op.passed_again = now;
            }
            self.send(Destination::Slot(from), &Packet::Sign { tag, visit });
            self.pass_again(now);
        }
    }

    pub(crate) fn operational_timeout(&mut self, now: Instant, late: bool) {
        let timers = self.settings.timers.clone();
        let State::Operational(op) = &mut self.phase else { return };
        if late {
            // This daemon was not scheduled: silence in that time is its own.
            op.token_seen = now;
            op.watch.begin(now, &timers, op.rests);
        }
        if op.resting.is_some() && now >= op.rest_until {
            self.release(now);
        }
        let State::Operational(op) = &mut self.phase else { return };
        if let Some((token, _)) = op.held.take_if(|(_, until)| now >= *until) {
            self.pass(now, token);
        }
        self.hurry_again(now);
        self.pass_again(now);
        self.watch_neighbours(now);
        self.probe_outside(now);
        let State::Operational(op) = &self.phase else { return };
        let alone = self.order.as_ref().is_some_and(|order| order.configuration.members.len() == 1);
        if !alone && now.since(op.token_seen) >= timers.token_loss {
            self.gather(now, Reason::TokenLoss, &[]);
        } else if alone && let State::Operational(op) = &mut self.phase {
            op.token_seen = now;
        }
    }

    fn pass_again(&mut self, now: Instant) {
        let interval = self.settings.timers.token_retransmit;
        let State::Operational(op) = &mut self.phase else { return };
        if now < op.passed_again {
            return;
        }
        let Some(mut token) = op.passed.clone() else { return };
        op.passed_again = now + interval;
        let successor = op.successor;
        token.wants_sign = true;
        self.counters.token_resends += 1;
        self.send(Destination::Slot(successor), &Packet::Token(token));
    }
}

impl Operational {
    /// The successor has shown that it saw the token of `visit`.
    fn shown(&mut self, visit: u64) {
        if self.passed.as_ref().is_some_and(|token| token.visit <= visit) {
            self.passed = None;
        }
    }
}
