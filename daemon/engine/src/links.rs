//! The links of a daemon: to its built-in endpoint, and to endpoints in other processes.
//!
//! Over a link to another process an event is handed over only when a second daemon has what it is
//! about, and a request is acknowledged only when every daemon has it: what an endpoint has seen, or
//! has forgotten, survives the crash of its daemon.

use crate::settings::{EngineOutput, LinkId};
use spread_bugs::{Bug, planted};
use spread_wire::ids::{EndpointUid, RequestNumber, Seq};
use spread_wire::link::LinkEvent;
use spread_wire::queue::take_first;
use std::collections::{BTreeMap, VecDeque};

/// The link of the built-in endpoint.
#[derive(Clone, Copy, Debug)]
struct Builtin {
    link: LinkId,
    uid: EndpointUid,
    paused: bool,
}

/// A link to an endpoint in another process.
#[derive(Debug)]
struct Remote {
    link: LinkId,
    /// Its attach was delivered.
    attached: bool,
    paused: bool,
    /// Events in order, each with the sequence number that has to be stable first. Bounded by what the
    /// ring lets be unstable.
    held: VecDeque<(Option<Seq>, LinkEvent)>,
    /// Requests that were applied, by the sequence number that has to be stable first.
    unacknowledged: VecDeque<(Seq, RequestNumber)>,
}

/// All links, and what is to be said over them.
#[derive(Debug, Default)]
pub(crate) struct Links {
    builtin: Option<Builtin>,
    /// By the endpoint's number at this daemon.
    remote: BTreeMap<u32, Remote>,
    numbers: BTreeMap<LinkId, u32>,
    last_number: u32,
    /// What is told now is about a message that only this daemon is known to have.
    hold: Option<Seq>,
    /// The built-in endpoint's request that was applied last and not acknowledged yet: one word acknowledges a run of them.
    applied: Option<RequestNumber>,
    outputs: VecDeque<EngineOutput>,
    /// Outputs that were handed over so far.
    polled: u64,
}

impl Links {
    pub(crate) fn poll_output(&mut self) -> Option<EngineOutput> {
        if self.outputs.is_empty() {
            self.acknowledge();
        }
        let output = take_first(&mut self.outputs)?;
        self.polled += 1;
        Some(output)
    }

    /// Moves all outputs behind those that wait in `to`. Into an empty queue none is moved by itself.
    pub(crate) fn take_outputs(&mut self, to: &mut VecDeque<EngineOutput>) {
        self.acknowledge();
        self.polled += self.outputs.len() as u64;
        if to.is_empty() {
            core::mem::swap(&mut self.outputs, to);
        } else {
            to.append(&mut self.outputs);
        }
    }

    /// Outputs handed over so far.
    pub(crate) fn polled(&self) -> u64 {
        self.polled
    }

    /// Outputs handed over once all there are now were.
    pub(crate) fn told(&mut self) -> u64 {
        self.acknowledge();
        self.polled + self.outputs.len() as u64
    }

    /// Acknowledges what was applied last to the built-in endpoint.
    fn acknowledge(&mut self) {
        if let Some(Builtin { link, .. }) = self.builtin
            && let Some(number) = self.applied.take()
        {
            let event = LinkEvent::Acknowledged { number };
            self.outputs.push_back(EngineOutput::Link { link, event });
        }
    }

    pub(crate) fn set_builtin(&mut self, link: LinkId, uid: EndpointUid) {
        self.builtin = Some(Builtin { link, uid, paused: false });
    }

    pub(crate) fn builtin_uid(&self) -> Option<EndpointUid> {
        self.builtin.map(|builtin| builtin.uid)
    }

    /// A link to another process asks to attach; returns the endpoint's number here.
    pub(crate) fn add(&mut self, link: LinkId) -> u32 {
        self.last_number += 1;
        let remote = Remote {
            link,
            attached: false,
            paused: false,
            held: VecDeque::new(),
            unacknowledged: VecDeque::new(),
        };
        self.remote.insert(self.last_number, remote);
        self.numbers.insert(link, self.last_number);
        self.last_number
    }

    /// The endpoint behind a link that may send requests.
    pub(crate) fn endpoint(&self, link: LinkId) -> Option<u32> {
        if self.builtin.is_some_and(|builtin| builtin.link == link) {
            return Some(0);
        }
        let number = self.numbers.get(&link)?;
        self.remote.get(number).filter(|remote| remote.attached).map(|_| *number)
    }

    /// The attach was delivered. `false`: the link ended before.
    pub(crate) fn attached(&mut self, endpoint: u32) -> bool {
        let Some(remote) = self.remote.get_mut(&endpoint) else { return false };
        remote.attached = true;
        true
    }

    /// The link ended; returns the endpoint's number if it was not the built-in one.
    pub(crate) fn end(&mut self, link: LinkId) -> Option<u32> {
        if self.builtin.is_some_and(|builtin| builtin.link == link) {
            self.builtin = None;
        }
        let number = self.numbers.remove(&link)?;
        self.remote.remove(&number);
        Some(number)
    }

    /// The endpoint is no longer served: says this last thing, held events or not, and ends its link.
    pub(crate) fn dismiss(&mut self, endpoint: u32, event: LinkEvent) {
        let Some(remote) = self.remote.remove(&endpoint) else { return };
        self.numbers.remove(&remote.link);
        self.outputs.push_back(EngineOutput::Link { link: remote.link, event });
    }

    /// Whether there are links to other processes.
    pub(crate) fn any_remote(&self) -> bool {
        !self.remote.is_empty()
    }

    /// What is told from now on waits until this is stable; `None`: it need not wait.
    pub(crate) fn hold(&mut self, until: Option<Seq>) {
        self.hold = until;
    }

    /// Says something to an endpoint.
    #[inline]
    pub(crate) fn tell(&mut self, endpoint: u32, event: LinkEvent) {
        if endpoint == 0 {
            if let Some(Builtin { link, .. }) = self.builtin {
                self.outputs.push_back(EngineOutput::Link { link, event });
            }
            return;
        }
        let Some(remote) = self.remote.get_mut(&endpoint) else { return };
        if self.hold.is_none() && remote.held.is_empty() {
            self.outputs.push_back(EngineOutput::Link { link: remote.link, event });
        } else {
            remote.held.push_back((self.hold, event));
        }
    }

    /// A request of an endpoint was applied.
    pub(crate) fn applied(
        &mut self,
        endpoint: u32,
        number: RequestNumber,
        event: LinkEvent,
        seq: Seq,
    ) {
        if endpoint == 0 {
            self.applied = Some(number);
            return;
        }
        self.tell(endpoint, event);
        if let Some(remote) = self.remote.get_mut(&endpoint) {
            let early = planted(Bug::AcknowledgedEarly);
            remote.unacknowledged.push_back((if early { Seq(0) } else { seq }, number));
        }
    }

    /// Every daemon has what stands up to this place.
    pub(crate) fn stable(&mut self, seq: Seq) {
        for remote in self.remote.values_mut() {
            let ready = |held: &(Option<Seq>, LinkEvent)| held.0.is_none_or(|until| until <= seq);
            while remote.held.front().is_some_and(ready) {
                if let Some((_, event)) = remote.held.pop_front() {
                    self.outputs.push_back(EngineOutput::Link { link: remote.link, event });
                }
            }
            let mut acknowledged = None;
            while remote.unacknowledged.front().is_some_and(|(at, _)| *at <= seq) {
                acknowledged = remote.unacknowledged.pop_front();
            }
            if let Some((_, number)) = acknowledged {
                let event = LinkEvent::Acknowledged { number };
                self.outputs.push_back(EngineOutput::Link { link: remote.link, event });
            }
        }
    }

    /// Pauses an endpoint's link, or lets it go on.
    pub(crate) fn pause(&mut self, endpoint: u32, pause: impl FnOnce(bool) -> bool) {
        let (link, paused) = match (endpoint, &mut self.builtin) {
            (0, Some(builtin)) => (builtin.link, &mut builtin.paused),
            (0, None) => return,
            _ => match self.remote.get_mut(&endpoint) {
                Some(remote) => (remote.link, &mut remote.paused),
                None => return,
            },
        };
        let now = pause(*paused);
        if now != *paused {
            *paused = now;
            self.outputs.push_back(EngineOutput::Link { link, event: LinkEvent::Pause(now) });
        }
    }
}

#[cfg(test)]
mod links_tests {
    use super::*;
    use spread_wire::ids::SessionId;

    fn links() -> Links {
        let mut links = Links::default();
        links.set_builtin(LinkId(1), EndpointUid(1));
        links
    }

    /// What is told and applied in a turn.
    fn turn(links: &mut Links, turn: u64) {
        links.tell(0, LinkEvent::SessionClosed { session: SessionId(turn) });
        let number = RequestNumber(turn);
        links.applied(0, number, LinkEvent::Detached, Seq(turn));
    }

    #[test]
    fn outputs_taken_at_once_are_those_that_come_one_by_one() {
        let (mut single, mut whole, mut taken) = (links(), links(), VecDeque::new());
        let mut polled = Vec::new();
        for number in 1..=3 {
            turn(&mut single, number);
            polled.extend(std::iter::from_fn(|| single.poll_output()));
            turn(&mut whole, number);
            // Into an empty queue first, then behind what waits in it.
            whole.take_outputs(&mut taken);
            assert_eq!((whole.polled(), whole.told()), (single.polled(), single.told()));
        }
        assert_eq!(format!("{taken:?}"), format!("{polled:?}"));
        assert_eq!(taken.len(), 6);
        assert!(whole.poll_output().is_none());
    }
}
