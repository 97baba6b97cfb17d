//! Whether the neighbours in the ring are there.
//!
//! A token that comes round shows that every member is there, the successor among them. Where it does not, each daemon asks its
//! neighbours for a sign: the successor once nothing was heard of it for a while, the predecessor once its token is overdue. The
//! token of an idle ring rests in between and is not overdue before it had time for that.
//!
//! Where a daemon came back after a long silence, daemons go without a processor now and then, and for a while each is given twice the time.

use crate::interface::{Destination, Reason, Timers};
use crate::ring::{Ring, State};
use core::time::Duration;
use spread_wire::ids::Slot;
use spread_wire::packet::Packet;
use spread_wire::time::Instant;

/// The successor may be silent for so many retransmission intervals before it is asked for a sign.
const SILENT_INTERVALS: u32 = 3;

/// After a long silence that was no crash, daemons are given more time for so long ...
const STRAIN: Duration = Duration::from_secs(60);
/// ... and it is so many times what they have else.
const STRAIN_PATIENCE: u32 = 2;

/// Questions to the neighbours.
#[derive(Debug)]
pub(crate) struct Watch {
    predecessor: Slot,
    successor: Questions,
    call: Questions,
}

/// Unanswered questions to one neighbour.
#[derive(Debug)]
struct Questions {
    count: u32,
    last: Instant,
    /// When the next is due.
    due: Instant,
}

impl Questions {
    fn new(due: Instant) -> Self {
        Self { count: 0, last: Instant(0), due }
    }
}

impl Watch {
    pub(crate) fn new(now: Instant, predecessor: Slot, timers: &Timers) -> Self {
        let successor = Questions::new(now + ask_after(timers, false));
        Self { predecessor, successor, call: Questions::new(now + call_after(timers, false)) }
    }

    /// The token came, or time does not count: silence is counted from now.
    pub(crate) fn begin(&mut self, now: Instant, timers: &Timers, rests: bool) {
        self.successor = Questions::new(now + ask_after(timers, rests));
        self.call = Questions::new(now + call_after(timers, rests));
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.successor.due.min(self.call.due)
    }

    /// Whether a neighbour has left so many questions unanswered.
    fn waited_long(&self, timers: &Timers) -> bool {
        let long = timers.token_retransmits / 2;
        self.successor.count > long || self.call.count > long
    }
}

/// Without a sign of the successor for so long it is asked.
fn ask_after(timers: &Timers, rests: bool) -> Duration {
    timers.token_retransmit * SILENT_INTERVALS + timers.rest(rests)
}

/// Without a token for so long the predecessor is called.
fn call_after(timers: &Timers, rests: bool) -> Duration {
    match timers.rest(rests) {
        // Half of the time that makes a silent successor crashed: it may have given the token away and wait itself.
        Duration::ZERO => timers.token_retransmit * timers.token_retransmits / 2,
        // It may be late by one interval.
        rest => timers.token_retransmit + rest,
    }
}

impl Timers {
    /// How much later everything about a token is that may rest elsewhere: not at all where a token that was lost on its way, and
    /// passed again that late, would count as lost for good.
    pub(crate) fn rest(&self, rests: bool) -> Duration {
        let fits = self.idle_token * 2 + self.token_retransmit < self.token_loss;
        if rests && fits { self.idle_token } else { Duration::ZERO }
    }
}

impl Ring {
    /// The token came round.
    pub(crate) fn all_are_there(&mut self, now: Instant) {
        let State::Operational(op) = &mut self.phase else { return };
        if op.watch.waited_long(&self.settings.timers) {
            self.strained = Some(now + STRAIN);
        }
        op.watch.begin(now, &self.settings.timers, op.rests);
    }

    /// A daemon that is so late itself shares its processor with others that may be no better off.
    pub(crate) fn was_late(&mut self, now: Instant, late: Duration) {
        let timers = &self.settings.timers;
        if late > timers.token_retransmit * timers.token_retransmits / 2 {
            self.strained = Some(now + STRAIN);
        }
    }

    /// How many times the usual time daemons are given.
    pub(crate) fn lenience(&self, now: Instant) -> u32 {
        if self.strained.is_some_and(|until| now < until) { STRAIN_PATIENCE } else { 1 }
    }

    /// Unanswered questions that make a neighbour crashed.
    fn questions(&self, now: Instant) -> u32 {
        self.settings.timers.token_retransmits * self.lenience(now)
    }

    /// Silence that makes a neighbour crashed where messages flow.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        self.settings.timers.token_retransmit * (SILENT_INTERVALS + self.questions(now))
    }

    pub(crate) fn watch_neighbours(&mut self, now: Instant) {
        self.watch_successor(now);
        self.call_predecessor(now);
    }

    /// Asks a silent successor for a sign; too many unanswered requests make it crashed.
    fn watch_successor(&mut self, now: Instant) {
        let (timers, most) = (&self.settings.timers, self.questions(now));
        let (interval, long) = (timers.token_retransmit, timers.token_retransmits / 2);
        let State::Operational(op) = &mut self.phase else { return };
        let successor = op.successor;
        if successor == self.me.slot {
            op.watch.successor.due = now + Duration::from_secs(3600);
            return;
        }
        let questions = &mut op.watch.successor;
        if let Some((_, heard)) = self.heard.get(&successor) {
            let due = *heard + ask_after(timers, op.rests);
            if due > now {
                if questions.count > long {
                    self.strained = Some(now + STRAIN);
                }
                (questions.count, questions.due) = (0, due.max(questions.due));
            }
        }
        if now < questions.due {
            return;
        }
        if questions.count >= most {
            return self.gather(now, Reason::SuccessorSilent, &[successor]);
        }
        questions.count += 1;
        questions.due = now + interval;
        self.ping(successor);
    }

    /// No token comes: perhaps this daemon's address has changed, and who passes the token learns the new one from this, or
    /// the token was lost, and is passed again, or the predecessor is gone.
    fn call_predecessor(&mut self, now: Instant) {
        let (timers, most) = (&self.settings.timers, self.questions(now));
        let (interval, long) = (timers.token_retransmit, timers.token_retransmits / 2);
        let State::Operational(op) = &mut self.phase else { return };
        let (predecessor, here) = (op.watch.predecessor, op.resting.is_some() || op.held.is_some());
        let questions = &mut op.watch.call;
        if now < questions.due {
            return;
        }
        questions.due = now + interval;
        if here || predecessor == self.me.slot {
            return;
        }
        let heard = self.heard.get(&predecessor);
        if heard.is_some_and(|(_, heard)| *heard >= questions.last) {
            if questions.count > long {
                self.strained = Some(now + STRAIN);
            }
            questions.count = 0;
        }
        if questions.count >= most {
            return self.gather(now, Reason::PredecessorSilent, &[predecessor]);
        }
        questions.count += 1;
        questions.last = now;
        self.ping(predecessor);
    }

    fn ping(&mut self, slot: Slot) {
        let tag = self.order.as_ref().map_or(0, |order| order.tag);
        self.send(Destination::Slot(slot), &Packet::Ping { tag });
    }
}
