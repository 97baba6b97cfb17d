//! Collecting the tables of all daemons of a new configuration.
//!
//! Each daemon brings its own part, so an exchange that is cut short by another membership change
//! needs no repair: nothing of it was applied, and the next exchange starts from the same parts.

use crate::settings::Bounds;
use bytes::{Bytes, BytesMut};
use spread_bugs::{Bug, planted};
use spread_ring::Delivery;
use spread_wire::ids::{ConfigurationId, Slot};
use spread_wire::ordered::table::Table;
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
