//! A ring and an engine put together: all of a daemon but its sockets.

use crate::engine::{Engine, EngineStatus};
use crate::settings::{EngineOutput, EngineSettings, LinkId};
use core::net::SocketAddr;
use spread_ring::{Configuration, Counters, Output, Received, Ring, Settings, Status, SubmitError};
use spread_wire::ids::{EndpointUid, Slot};
use spread_wire::link::{Attach, LinkEvent, Request};
use spread_wire::queue::take_first;
use spread_wire::time::Instant;
use std::collections::VecDeque;

/// What a daemon wants done, in this order.
#[derive(Clone, Debug)]
pub enum DaemonOutput {
    /// Of the ring: everything but deliveries and installs.
    Ring(Output),
    /// A configuration was installed; for status and logs.
    Installed(Configuration),
    /// Hand this to the endpoint.
    Link {
        /// Which.
        link: LinkId,
        /// What.
        event: LinkEvent,
    },
}

/// A daemon without sockets, clock and files.
///
/// Duties of the driver:
/// 1. hand over packets, requests and time; time never goes back;
/// 2. after every call empty [`Daemon::poll_output`] and do what it says, in order; [`Daemon::take_events`] before it spares moves;
/// 3. call [`Daemon::handle_timeout`] at [`Daemon::poll_timeout`];
/// 4. resolve the slots' names and say what came of it with [`Daemon::resolved`].
#[derive(Debug)]
pub struct Daemon {
    ring: Ring,
    /// What it tells endpoints waits in it: most of all outputs, and each would be moved once more.
    engine: Engine,
    /// All other outputs, each with its place: after so many of the engine's.
    others: VecDeque<(u64, DaemonOutput)>,
    /// An orderly leave was asked for: the ring is told once it has all requests.
    leaving: bool,
}

impl Daemon {
    /// A daemon that begins to look for its peers.
    #[must_use]
    pub fn new(now: Instant, ring: Settings, engine: EngineSettings) -> Self {
        let (ring, engine) = (Ring::new(now, ring), Engine::new(engine));
        let mut daemon = Self { ring, engine, others: VecDeque::new(), leaving: false };
        daemon.pump(now);
        daemon
    }

    /// Links the endpoint built into this daemon.
    pub fn attach_builtin(&mut self, now: Instant, link: LinkId, uid: EndpointUid) {
        self.engine.attach_builtin(link, uid);
        self.pump(now);
    }

    /// Asks for an endpoint in another process to be served.
    pub fn attach(&mut self, now: Instant, link: LinkId, attach: Attach) {
        self.engine.attach(link, attach);
        self.pump(now);
    }

    /// Ends a link.
    pub fn detach(&mut self, now: Instant, link: LinkId) {
        self.engine.detach(link);
        self.pump(now);
    }

    /// Takes requests of the endpoint behind the link, in order. What comes in one call travels together.
    pub fn requests<'a>(
        &mut self,
        now: Instant,
        link: LinkId,
        requests: impl IntoIterator<Item = &'a Request>,
    ) {
        for request in requests {
            self.engine.request(link, request);
        }
        self.pump(now);
    }

    /// Takes packets in the order in which they came.
    pub fn handle_received(&mut self, now: Instant, received: impl IntoIterator<Item = Received>) {
        for received in received {
            self.ring.handle_received(now, received);
        }
        self.pump(now);
    }

    /// Lets timers fire.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ring.handle_timeout(now);
        self.engine.handle_timeout(now);
        self.pump(now);
    }

    /// What a slot's name resolved to.
    pub fn resolved(&mut self, now: Instant, slot: Slot, addresses: &[SocketAddr]) {
        self.ring.resolved(slot, addresses);
        self.pump(now);
    }

    /// Says whether the endpoints can take what is delivered; while they can't, the whole ring sends a trickle only.
    pub fn set_congested(&mut self, now: Instant, congested: bool) {
        self.ring.set_congested(now, congested);
        self.pump(now);
    }

    /// Sends something to every member of the ring, so that all see this daemon's envelope.
    pub fn show_itself(&mut self, now: Instant) {
        self.ring.show_itself();
        self.pump(now);
    }

    /// Begins an orderly leave: what endpoints asked for is ordered first. `Output::Left` says that it is complete.
    pub fn leave(&mut self, now: Instant) {
        self.leaving = true;
        self.pump(now);
    }

    /// Moves everything that endpoints are told behind what waits in `to`, in order, for a driver that hands it over through such a queue: one by
    /// one each event would be moved several times. [`Daemon::poll_output`] then has the rest, in its own order.
    pub fn take_events(&mut self, to: &mut VecDeque<EngineOutput>) {
        self.engine.take_outputs(to);
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<DaemonOutput> {
        if self.others.front().is_some_and(|(after, _)| *after <= self.engine.polled()) {
            return take_first(&mut self.others).map(|(_, output)| output);
        }
        let EngineOutput::Link { link, event } = self.engine.poll_output()?;
        Some(DaemonOutput::Link { link, event })
    }

    /// When to call [`Daemon::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.ring.poll_timeout()
    }

    /// The ring's state.
    #[must_use]
    pub fn ring_status(&self) -> Status {
        self.ring.status()
    }

    /// The ring's counters.
    #[must_use]
    pub fn ring_counters(&self) -> &Counters {
        self.ring.counters()
    }

    /// Numbers of sessions, groups and endpoints.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        self.engine.status()
    }

    /// The engine, to look at.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Moves things between ring and engine until both have nothing left for the other.
    fn pump(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.ring.poll_output() {
                self.take_from_ring(output);
            }
            if self.engine.serves_others()
                && let Some((configuration, seq)) = self.ring.stable()
            {
                self.engine.stable(configuration, seq);
            }
            let submitted = self.submit();
            if submitted {
                self.ring.flush(now);
            }
            if self.leaving && self.engine.peek_submission().is_none() {
                self.ring.leave(now);
                self.leaving = false;
            } else if !submitted {
                return;
            }
        }
    }

    fn take_from_ring(&mut self, output: Output) {
        match output {
            Output::Deliver(delivery) => self.engine.delivered(delivery),
            Output::Install(configuration) => {
                self.engine.installed(&configuration);
                self.put(DaemonOutput::Installed(configuration));
            }
            other => self.put(DaemonOutput::Ring(other)),
        }
    }

    /// Puts an output behind what the engine has told.
    fn put(&mut self, output: DaemonOutput) {
        self.others.push_back((self.engine.told(), output));
    }

    /// Gives the ring what it has room for; returns whether it took anything.
    fn submit(&mut self) -> bool {
        let mut any = false;
        while let Some((guarantee, payload)) = self.engine.peek_submission() {
            match self.ring.submit(guarantee, payload) {
                Ok(()) => {
                    self.engine.submission_taken();
                    any = true;
                }
                Err(SubmitError::TooLarge) => self.engine.submission_impossible(),
                Err(SubmitError::Full | SubmitError::Leaving) => return any,
            }
        }
        any
    }
}
