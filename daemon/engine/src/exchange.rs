//! Collecting the tables of all daemons of a new configuration.
//!
//! Each daemon brings its own part, so an exchange that is cut short by another membership change
//! needs no repair: nothing of it was applied, and the next exchange starts from the same parts.

use crate::engine::Engine;
use crate::settings::Bounds;
use crate::view::configuration_hash;
use bytes::{Bytes, BytesMut};
use spread_bugs::{Bug, planted};
use spread_ring::Delivery;
use spread_wire::ids::{ConfigurationId, Position, Seq, Slot};
use spread_wire::ordered::table::{Origin, Table};
use spread_wire::ordered::{Chunk, encode_chunk};
use std::collections::{BTreeMap, BTreeSet};

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) configuration: ConfigurationId,
    hash: u64,
    missing: BTreeSet<Slot>,
    parts: BTreeMap<Slot, BytesMut>,
    tables: Vec<Table>,
    /// Requests delivered meanwhile; at most what lay in the backlogs of the ring.
    pub(crate) held: Vec<Delivery>,
}

impl Exchange {
    pub(crate) fn new(configuration: ConfigurationId, hash: u64, members: BTreeSet<Slot>) -> Self {
        Self {
            configuration,
            hash,
            missing: members,
            parts: BTreeMap::new(),
            tables: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Takes a part of a sender's table. A table that can't be read counts as empty: all daemons get
    /// the same bytes and so decide alike.
    pub(crate) fn take(&mut self, sender: Slot, chunk: &Chunk, bounds: &Bounds) {
        if chunk.configuration != self.hash || !self.missing.contains(&sender) {
            return;
        }
        let part = self.parts.entry(sender).or_default();
        if planted(Bug::ChunkReplaces) {
            part.clear();
        }
        if part.len() + chunk.bytes.len() <= bounds.table_bytes {
            part.extend_from_slice(&chunk.bytes);
        }
        if !chunk.last {
            return;
        }
        self.missing.remove(&sender);
        let bytes = self.parts.remove(&sender).unwrap_or_default().freeze();
        if let Ok(table) = Table::decode(bytes)
            && table.slot == sender
        {
            self.tables.push(table);
        }
    }

    /// All tables, once none is missing.
    pub(crate) fn complete(&self) -> Option<&[Table]> {
        self.missing.is_empty().then_some(&self.tables)
    }
}

impl Engine {
    pub(crate) fn begin_exchange(&mut self, configuration: ConfigurationId) {
        let hash = configuration_hash(&configuration);
        let table = self.state.table_of(self.settings.me, self.origin, &self.kin);
        self.outbound.set_chunks(chunks(&table, hash, self.settings.bounds.chunk_bytes));
        self.exchange = Some(Exchange::new(configuration, hash, self.members.clone()));
    }

    /// The membership changed again before all tables were there. If all daemons of the exchange go on together, none of
    /// them has applied anything of it, and own requests that were delivered into it are submitted again.
    ///
    /// Otherwise those that are lost may have completed it and applied what it held. So it counts here too, once and
    /// before anything new, for those with the same state; the others were in no view together with its senders yet.
    pub(crate) fn abandon_exchange(&mut self, next: ConfigurationId) -> bool {
        let Some(exchange) = self.exchange.take() else { return false };
        self.counters.abandoned += 1;
        self.outbound.set_chunks(Vec::new());
        let all = planted(Bug::HeldAgain);
        let all =
            all || self.transition.as_ref().is_some_and(|phase| phase.members == self.members);
        if all {
            let own = exchange.held.iter().any(|delivery| delivery.sender == self.settings.me);
            if own && !planted(Bug::HeldForgotten) {
                self.outbound.submit_again();
            }
            return true;
        }
        self.mark_lost();
        let kin = self.kin.clone();
        let mut held = exchange.held;
        held.retain(|delivery| kin.contains(&delivery.sender));
        if !held.is_empty() {
            let component = self.parting().map(|parting| parting.component);
            let first = component.and_then(|component| component.first().copied());
            let first = first.unwrap_or(self.settings.me);
            self.origin = Some(Origin { settled: exchange.configuration, branch: next, first });
        }
        for delivery in held {
            self.position = Some(delivery.position);
            self.apply(delivery);
        }
        true
    }

    /// May also happen in the transitional configuration: everyone who goes on together has the same
    /// tables there, and the loss is told after the views.
    pub(crate) fn complete_exchange(&mut self) {
        let complete = self.exchange.as_ref().and_then(Exchange::complete);
        let Some(tables) = complete.map(<[Table]>::to_vec) else { return };
        let Some(exchange) = self.exchange.take() else { return };
        self.counters.exchanges += 1;
        // The views come before all that was held, so they stand before it in the order too.
        let configuration = exchange.configuration;
        self.position = Some(Position { configuration, seq: Seq(0), index: 0 });
        self.settle(&tables, configuration);
        self.mark_lost();
        for delivery in exchange.held.into_iter().filter(|_| !planted(Bug::HeldDropped)) {
            self.position = Some(delivery.position);
            self.apply(delivery);
        }
    }
}

/// A table as payloads.
pub(crate) fn chunks(table: &Table, hash: u64, chunk_bytes: usize) -> Vec<Bytes> {
    let bytes = table.encode();
    let count = bytes.len().div_ceil(chunk_bytes).max(1);
    (0..count)
        .map(|index| {
            let from = index * chunk_bytes;
            let bytes = bytes.slice(from..bytes.len().min(from + chunk_bytes));
            encode_chunk(&Chunk { configuration: hash, last: index + 1 == count, bytes })
        })
        .collect()
}
