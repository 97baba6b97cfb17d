//! Leaving in order: what was submitted is ordered and made stable, then farewells are said.

use crate::interface::{Destination, Output, Reason, Received};
use crate::ring::{Ring, State};
use core::time::Duration;
use spread_wire::packet::Packet;
use spread_wire::time::Instant;

/// A leaving daemon repeats its farewell so often.
const FAREWELLS: u32 = 4;
/// Time between farewells.
const FAREWELL_INTERVAL: Duration = Duration::from_millis(10);

/// How far an orderly leave is.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) farewells: u32,
    pub(crate) next: Instant,
}

impl Ring {
    /// Begins an orderly leave: what was submitted is ordered and made stable, then [`Output::Left`] comes.
    pub fn leave(&mut self, now: Instant) {
        if self.leaving.is_none() && !matches!(self.phase, State::Stopped) {
            self.leaving = Some(Leaving { farewells: 0, next: now });
            self.continue_leaving(now);
        }
    }

    /// Goes on with an orderly leave as far as it can: everything ordered and stable, then farewells.
    pub(crate) fn continue_leaving(&mut self, now: Instant) {
        let Some(leaving) = &self.leaving else { return };
        let State::Operational(operational) = &self.phase else {
            if self.order.is_none() && self.backlog.is_empty() {
                self.stop();
            }
            return;
        };
        let Some(order) = &self.order else { return };
        if order.configuration.members.len() == 1 {
            return if self.backlog.is_empty() {
                self.stop()
            };
        }
        let done =
            self.backlog.is_empty() && order.stable >= operational.seq_seen().max(order.high);
        if leaving.farewells == 0 && !done || now < leaving.next {
            return;
        }
        if leaving.farewells >= FAREWELLS {
            return self.stop();
        }
        let tag = order.tag;
        self.leaving =
            Some(Leaving { farewells: leaving.farewells + 1, next: now + FAREWELL_INTERVAL });
        self.send(Destination::Everyone, &Packet::Leave { tag });
    }

    pub(crate) fn stop(&mut self) {
        self.phase = State::Stopped;
        self.outputs.push_back(Output::Left);
    }

    /// Whether the farewell was said: from then on this daemon takes part in nothing new.
    pub(crate) fn said_farewell(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.farewells > 0)
    }

    pub(crate) fn on_leave(&mut self, now: Instant, received: &Received, tag: u64) {
        if self.said_farewell() {
            return;
        }
        let member = self.member(received.slot).is_some_and(|member| member.boot == received.boot);
        match &mut self.phase {
            State::Operational(_)
                if member && self.order.as_ref().is_some_and(|order| order.tag == tag) =>
            {
                self.begin_gather(now, Reason::Leaving, &[received.slot]);
                self.follow(now);
                self.consider(now);
            }
            State::Gather(gather) => gather.fail(received.slot, received.boot),
            _ => {}
        }
    }
}
