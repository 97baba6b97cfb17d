//! What a ring counts, and its state in one consistent view.

use crate::interface::{Occupant, Phase, Reason, Refusal};
use spread_wire::ids::{ConfigurationId, DaemonId};
use std::collections::BTreeMap;

/// Rising counts since the start, and two gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets handed out, a packet to everyone counted once.
    pub packets_sent: u64,
    /// Packets that arrived and could be read.
    pub packets_received: u64,
    /// Data packets ordered by this daemon.
    pub packets_ordered: u64,
    /// Payloads delivered.
    pub payloads_delivered: u64,
    /// Data packets sent again on request.
    pub retransmissions: u64,
    /// Data packets that came more than once.
    pub duplicates: u64,
    /// Visits of the token.
    pub token_visits: u64,
    /// Tokens sent again because the successor gave no sign.
    pub token_resends: u64,
    /// Regular configurations installed.
    pub configurations: u64,
    /// Gatherings, by reason.
    pub gatherings: BTreeMap<Reason, u64>,
    /// Packets and daemons refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Payload bytes that wait for the token.
    pub backlog_bytes: u64,
}

/// The state of a ring at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Phase.
    pub phase: Phase,
    /// This daemon, with the claim it was given.
    pub me: DaemonId,
    /// Who has this daemon's slot, while it waits for it.
    pub occupant: Option<Occupant>,
    /// The regular configuration installed last.
    pub configuration: Option<ConfigurationId>,
    /// Its members by slot.
    pub members: Vec<DaemonId>,
    /// Highest sequence number known.
    pub seq: u64,
    /// All received up to.
    pub aru: u64,
    /// Known to be everywhere.
    pub stable: u64,
}
