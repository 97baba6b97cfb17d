//! Packets picked out by what they are, so that a scenario says what comes late and what it waits for, and no seed or delay
//! has to happen to bring it about.

use crate::fault::{Action, Picked, Site};
use crate::world::World;
use bytes::Bytes;
use core::net::SocketAddr;
use spread_ring::Received;
use spread_wire::packet::Packet;
use std::collections::BTreeSet;

/// Kinds of packets that a scenario can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ordered payloads, sent for the first time or again.
    Data,
    /// The token.
    Token,
    /// Whom a daemon that gathers knows.
    Join,
    /// A proposal of a configuration.
    Propose,
    /// What a member has of its old configuration.
    State,
    /// What all of its component have.
    Plan,
    /// A member has all that its component has.
    Complete,
    /// The proposal is installed.
    Install,
}

impl Kind {
    /// All kinds with their names.
    pub const ALL: [(Self, &str); 8] = [
        (Self::Data, "data"),
        (Self::Token, "token"),
        (Self::Join, "join"),
        (Self::Propose, "propose"),
        (Self::State, "state"),
        (Self::Plan, "plan"),
        (Self::Complete, "complete"),
        (Self::Install, "install"),
    ];

    /// The kind of a packet, if it is one of these.
    #[must_use]
    pub fn of(packet: &Bytes) -> Option<Self> {
        match Packet::decode(packet.clone()).ok()? {
            Packet::Data(_) => Some(Self::Data),
            Packet::Token(_) => Some(Self::Token),
            Packet::Join(_) => Some(Self::Join),
            Packet::Propose(_) => Some(Self::Propose),
            Packet::State(_) => Some(Self::State),
            Packet::Plan(_) => Some(Self::Plan),
            Packet::Complete { .. } => Some(Self::Complete),
            Packet::Install { .. } => Some(Self::Install),
            _ => None,
        }
    }
}

/// Packets held, and what waits for packets.
#[derive(Debug, Default)]
pub struct PickedPackets {
    holding: BTreeSet<Picked>,
    held: Vec<(Picked, SocketAddr, Received)>,
    /// Done once the site sends a packet of the kind.
    waiting: Vec<(Site, Kind, Action)>,
}

impl PickedPackets {
    /// Holds these packets from now on.
    pub fn hold(&mut self, picked: Picked) {
        self.holding.insert(picked);
    }

    /// Does this as soon as the site sends a packet of the kind.
    pub fn wait(&mut self, site: Site, kind: Kind, action: Action) {
        self.waiting.push((site, kind, action));
    }

    /// Ends holding these packets; returns those that were held, in order.
    pub fn end(&mut self, picked: Picked) -> Vec<(SocketAddr, Received)> {
        self.holding.remove(&picked);
        let (ended, stay) =
            core::mem::take(&mut self.held).into_iter().partition(|(known, ..)| *known == picked);
        self.held = stay;
        let ended: Vec<(Picked, SocketAddr, Received)> = ended;
        ended.into_iter().map(|(_, to, received)| (to, received)).collect()
    }
}

impl World {
    /// Lets the packets come now that were held.
    pub(crate) fn release(&mut self, picked: Picked) {
        for (to, received) in self.picked.end(picked) {
            self.network.post(self.now, to, received);
        }
    }

    /// A packet leaves a site for another; gives it back unless it is held. What waited for it is done next.
    pub(crate) fn pick(
        &mut self,
        (from, to): (Site, Site),
        at: SocketAddr,
        received: Received,
    ) -> Option<Received> {
        if self.picked.holding.is_empty() && self.picked.waiting.is_empty() {
            return Some(received);
        }
        let Some(kind) = Kind::of(&received.packet) else { return Some(received) };
        let waits = |waiting: &(Site, Kind, Action)| (waiting.0, waiting.1) == (from, kind);
        let due: Vec<Action> =
            self.picked.waiting.extract_if(.., |waiting| waits(waiting)).map(|w| w.2).collect();
        let now = due.into_iter().map(|action| (self.now, action));
        self.plan.actions.splice(self.next_action..self.next_action, now);
        let picked = Picked { kind, from, to };
        if !self.picked.holding.contains(&picked) {
            return Some(received);
        }
        self.picked.held.push((picked, at, received));
        None
    }
}
