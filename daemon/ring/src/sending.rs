//! Packets on their way out, and what each join and answer says of its sender.

use crate::candidates::Gather;
use crate::interface::{Destination, Output};
use crate::order::Order;
use crate::ring::{Ring, State};
use bytes::Bytes;
use core::net::SocketAddr;
use spread_wire::ids::{DaemonId, Slot};
use spread_wire::packet::{Join, Packet};

impl Ring {
    /// Sends a packet; one that is too large travels in parts.
    pub(crate) fn send(&mut self, to: Destination, packet: &Packet) {
        for bytes in self.encoded(packet) {
            self.send_bytes(to, bytes);
        }
    }

    /// A packet as it travels: whole, or in parts.
    pub(crate) fn encoded(&mut self, packet: &Packet) -> Vec<Bytes> {
        let bytes = packet.encode();
        if bytes.len() <= self.settings.packet_bytes {
            return vec![bytes];
        }
        let parts = self.parts.split(&bytes, self.me.claim, self.settings.packet_bytes);
        parts.iter().map(Packet::encode).collect()
    }

    pub(crate) fn send_bytes(&mut self, to: Destination, packet: Bytes) {
        self.counters.packets_sent += 1;
        self.outputs.push_back(Output::Send { to, packet });
    }

    /// The join this daemon sends for a slot that has no proved path: to every address its name resolved to.
    pub(crate) fn send_join_to_slot(&mut self, slot: Slot) {
        let State::Gather(gather) = &self.phase else { return };
        let join = Packet::Join(self.join(gather));
        for address in self.paths.tries(slot) {
            self.send(Destination::Address(address), &join);
        }
    }

    pub(crate) fn join(&self, gather: &Gather) -> Join {
        let candidates: Vec<DaemonId> = gather.candidates.values().copied().collect();
        Join {
            failed: gather.failed.iter().copied().collect(),
            claims: self.claims.of(candidates.iter()),
            unreached: gather.unreached(self.me.slot),
            addresses: self.addresses_of(&candidates),
            candidates,
            ..self.identity()
        }
    }

    /// What each join and answer says of its sender.
    pub(crate) fn identity(&self) -> Join {
        Join {
            ring: self.settings.ring,
            hash: self.settings.configuration_hash,
            attempt: self.attempt,
            epoch: self.epoch,
            me: self.me,
            old: self.order.as_ref().map(Order::id),
            candidates: Vec::new(),
            failed: Vec::new(),
            claims: Vec::new(),
            unreached: Vec::new(),
            addresses: Vec::new(),
        }
    }

    /// Where these daemons were proved to be.
    pub(crate) fn addresses_of(&self, daemons: &[DaemonId]) -> Vec<(Slot, SocketAddr)> {
        let proved = daemons.iter().filter(|daemon| self.paths.is_valid(daemon.slot, daemon.boot));
        proved.filter_map(|daemon| Some((daemon.slot, self.paths.address(daemon.slot)?))).collect()
    }
}
