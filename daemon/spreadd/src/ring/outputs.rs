//! Carries out what the daemon without sockets wants, in order.

use super::Driver;
use anyhow::anyhow;
use spread_engine::{DaemonOutput, EngineOutput};
use spread_ring::{Destination, Output};

/// Sealed packets of one run to one destination.
#[derive(Default)]
pub(super) struct Burst {
    to: Option<Destination>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Driver {
    /// Carries out everything in order.
    pub(super) fn carry_out(&mut self) {
        self.deliveries.fill(|events| self.daemon.take_events(events));
        while let Some(output) = self.daemon.poll_output() {
            match output {
                DaemonOutput::Link { link, event } => {
                    self.deliveries.push(EngineOutput::Link { link, event });
                }
                DaemonOutput::Installed(configuration) => self.installed(&configuration),
                DaemonOutput::Ring(output) => self.ring_output(output),
            }
        }
        self.flush();
        if !self.deliveries.wake() && self.end.is_none() {
            self.end = Some(Ok(()));
        }
    }

    fn ring_output(&mut self, output: Output) {
        match output {
            Output::Send { to, packet } => {
                if self.burst.to != Some(to) {
                    self.flush();
                    self.burst.to = Some(to);
                }
                self.seal.seal(&packet, &mut self.burst.bytes);
                self.burst.ends.push(self.burst.bytes.len());
            }
            Output::Peers(peers) => {
                self.flush();
                self.peers = peers;
            }
            Output::Path { slot, boot, address } => {
                self.flush();
                self.seal.proved(slot, boot);
                self.paths.insert(slot, address);
            }
            Output::Left => self.end = Some(Ok(())),
            Output::Superseded { by } => {
                let name = self.names.get(usize::from(by.slot.0)).cloned().unwrap_or_default();
                tracing::error!("another daemon has slot {name} and stays: this one ends");
                self.end = Some(Err(anyhow!("another daemon has slot {name}")));
            }
            Output::Trace(trace) => self.trace(trace),
            Output::Deliver(_) | Output::Install(_) => {}
        }
    }

    /// Sends the run gathered so far: sealed once, to each peer in its own burst.
    fn flush(&mut self) {
        let Burst { to, bytes, ends } = &mut self.burst;
        let Some(to) = to.take() else { return };
        match to {
            Destination::Address(address) => self.socket.send(address, bytes, ends),
            Destination::Slot(slot) => {
                if let Some(address) = self.paths.get(&slot) {
                    self.socket.send(*address, bytes, ends);
                }
            }
            Destination::Everyone => {
                let group = self.group.filter(|_| self.peers.len() > 1);
                let peers = self.peers.iter().filter(|_| group.is_none());
                let addresses = peers.filter_map(|peer| self.paths.get(peer)).copied();
                for address in group.into_iter().chain(addresses) {
                    self.socket.send(address, bytes, ends);
                }
            }
        }
        bytes.clear();
        ends.clear();
    }
}
