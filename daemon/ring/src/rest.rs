//! Where the token rests, and for how long.
//!
//! The token of an idle ring rests with the daemon that sent last. While one daemon alone sends, it rests there between its
//! rounds, too: what is sent meanwhile has its place at once, and a round serves many messages. Who else wants to send wakes it.

use crate::interface::Destination;
use crate::operational::Operational;
use crate::ring::{Ring, State};
use core::time::Duration;
use spread_bugs::{Bug, planted};
use spread_wire::ids::Slot;
use spread_wire::packet::{Packet, Token};
use spread_wire::time::Instant;

/// A daemon that wants a resting token asks again after this long.
const HURRY_INTERVAL: Duration = Duration::from_millis(4);
/// A congested daemon keeps the token for so long at a visit, and orders one payload of its own in that time. A payload may
/// cost its receivers much more than its bytes (a join is a view of the whole group), so each visit in a row doubles this.
const HOLD: Duration = Duration::from_millis(2);
/// Doublings at most.
const HOLD_DOUBLINGS: u32 = 5;
/// All members together hold a token no longer than this part of the time after which it counts as lost.
const HOLD_SHARE: u32 = 4;
/// The token rests with its only sender after so many calm rounds: a SAFE payload sent before is delivered everywhere then.
const CALM_ROUNDS: u32 = 3;
/// It rests there so long between two rounds: a lost packet is noticed that much later.
const ROUND_INTERVAL: Duration = Duration::from_millis(6);
/// And less than this part of the time after which a token without a sign is passed again.
const ROUND_SHARE: u32 = 3;
/// So many packets leave a resting token at once ...
const REST_BURST: u32 = 2;
/// ... and one more in each such time. Whoever sends faster lets the token go: packets get fuller while it is away.
const REST_PACE: Duration = Duration::from_micros(400);

/// Rounds of the token in which one daemon alone sent, nothing was missing, and nothing waited for all to have it.
#[derive(Debug, Default)]
pub(crate) struct Calm {
    rounds: u32,
    /// Somebody else than the last sender has sent since the token was here.
    another: bool,
    /// Nobody else has in the round before.
    one: bool,
}

impl Calm {
    /// Somebody else than the last sender sent.
    pub(crate) fn another_sent(&mut self) {
        self.another = true;
    }

    /// The token came round.
    pub(crate) fn round(&mut self, settled: bool) {
        let calm = settled && !self.another;
        self.rounds = if calm { self.rounds.saturating_add(1) } else { 0 };
        self.one = !self.another;
        self.another = false;
    }

    /// Something needs the token to go round.
    pub(crate) fn end(&mut self) {
        self.rounds = 0;
    }

    /// Nobody but the last sender has sent in the last round.
    pub(crate) fn one_sends(&self) -> bool {
        self.one
    }
}

impl Operational {
    /// Until when the token may rest between two rounds, if so.
    fn rest_of_calm(&self, now: Instant, token_retransmit: Duration) -> Option<Instant> {
        let pace = now.since(self.arrived).as_nanos() / REST_PACE.as_nanos();
        let slow = u128::from(self.sent) <= u128::from(REST_BURST) + pace;
        let until =
            self.began.unwrap_or(self.arrived) + ROUND_INTERVAL.min(token_retransmit / ROUND_SHARE);
        (self.calm.rounds >= CALM_ROUNDS && slow && until > now).then_some(until)
    }
}

impl Ring {
    /// Passes the token on, unless it rests here or is kept back for clients that read slowly.
    pub(crate) fn keep(&mut self, now: Instant, token: Token) {
        let (congested, lone) = (self.congested, self.is_lone());
        let rests_here = self.rests_here(token.last_sender);
        let members = self.order.as_ref().map_or(1, |order| order.configuration.members.len());
        let timers = &self.settings.timers;
        let most = timers.token_loss / (HOLD_SHARE * members as u32);
        let State::Operational(op) = &mut self.phase else { return };
        let hold = (HOLD * (1 << op.congested_visits.min(HOLD_DOUBLINGS))).min(most);
        op.congested_visits = if congested { op.congested_visits.saturating_add(1) } else { 0 };
        let calm = op.rest_of_calm(now, timers.token_retransmit).filter(|_| rests_here);
        if lone || op.rests && rests_here {
            op.rest_until = now + if lone && congested { hold } else { timers.idle_token };
            op.resting = Some(token);
        } else if congested {
            op.held = Some((token, now + hold));
        } else if let Some(until) = calm {
            op.rest_until = until;
            op.resting = Some(token);
        } else {
            self.pass(now, token);
        }
    }

    pub(crate) fn rests_here(&self, last_sender: Slot) -> bool {
        let sender = self.member(last_sender).map(|member| member.slot);
        let first = self.order.as_ref().and_then(|order| order.configuration.members.first());
        sender.or(first.map(|member| member.slot)) == Some(self.me.slot)
    }

    /// Somebody has something to send.
    pub(crate) fn on_hurry(&mut self, now: Instant, tag: u64) {
        if self.order.as_ref().is_none_or(|order| order.tag != tag) {
            return;
        }
        let State::Operational(op) = &mut self.phase else { return };
        op.calm.end();
        if let Some(token) = &mut op.resting {
            token.quiet = 0;
            op.rests = false;
        }
        self.release(now);
    }

    /// Lets a resting token go, unless it may rest on.
    pub(crate) fn release(&mut self, now: Instant) {
        let lone = self.is_lone();
        let State::Operational(op) = &mut self.phase else { return };
        let Some(mut token) = op.resting.take() else { return };
        // To leave the rest is a visit of its own: it carries what waits here.
        token.visit += 1;
        if lone {
            token.quiet = 0;
            self.visit(now, token);
        } else {
            op.last_visit = token.visit;
            self.send_from_rest(now, token);
        }
    }

    /// Orders what waits here while the token rests. The token has not been round since the last visit: what this daemon reads
    /// in it says nothing new about the others.
    fn send_from_rest(&mut self, now: Instant, mut token: Token) {
        if planted(Bug::RestIsRound) {
            self.settle_with(&token);
        }
        let seq_before = token.seq;
        let fresh = self.order_waiting(now, &mut token);
        if fresh.is_empty() {
            return self.pass(now, token);
        }
        self.report(&mut token, seq_before, true);
        for packet in fresh {
            self.send_bytes(Destination::Everyone, packet);
        }
        self.keep(now, token);
        self.deliver();
    }

    /// This daemon's clients have read: a token that is kept back for them goes on.
    pub(crate) fn release_held(&mut self, now: Instant) {
        let State::Operational(op) = &mut self.phase else { return };
        op.congested_visits = 0;
        if let Some((token, _)) = op.held.take() {
            self.pass(now, token);
        }
        self.flush(now);
    }

    /// There is something to send: wakes a token that rests, here or elsewhere.
    pub(crate) fn wake_token(&mut self, now: Instant) {
        let lone = self.is_lone();
        let State::Operational(op) = &mut self.phase else { return };
        if op.resting.is_some() {
            if !(lone && self.congested && now < op.rest_until) {
                self.release(now);
            }
            return;
        }
        // The last sender may have counted one round more.
        let rests = op.rests || op.calm.rounds + 1 >= CALM_ROUNDS;
        if rests && op.last_sender != self.me.slot && op.hurry.is_none() {
            self.hurry(now);
        }
    }

    pub(crate) fn hurry_again(&mut self, now: Instant) {
        let State::Operational(op) = &self.phase else { return };
        if op.hurry.is_some_and(|due| now >= due) {
            self.hurry(now);
        }
    }

    fn hurry(&mut self, now: Instant) {
        let tag = self.order.as_ref().map_or(0, |order| order.tag);
        let State::Operational(op) = &mut self.phase else { return };
        op.hurry = Some(now + HURRY_INTERVAL);
        let to = op.last_sender;
        self.send(Destination::Slot(to), &Packet::Hurry { tag });
    }
}
