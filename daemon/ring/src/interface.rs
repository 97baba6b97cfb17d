//! What goes into a ring and what comes out.

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use spread_wire::ids::{BootId, ConfigurationId, DaemonId, Position, RingNumber, Slot};
use spread_wire::service::Guarantee;

/// Everything a ring has to know at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which ring of the cluster.
    pub ring: RingNumber,
    /// Own slot.
    pub me: Slot,
    /// Own boot id.
    pub boot: BootId,
    /// How many slots the configuration lists; slots are `0..slots`.
    pub slots: u16,
    /// Hash of the configuration file: daemons with another one are refused, counted and reported.
    pub configuration_hash: u64,
    /// Wall clock at start, milliseconds since 1970; only used to make claims and epochs rise.
    pub wall_clock_milliseconds: u64,
    /// Seed of all random choices.
    pub seed: u64,
    /// Most bytes a packet may have as the ring hands it out (before sealing).
    pub packet_bytes: usize,
    /// Timers.
    pub timers: Timers,
    /// Windows and bounds.
    pub windows: Windows,
}

/// Named durations. See the profiles of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// No sign that the successor has the token for so long: send it again and ask for a sign.
    pub token_retransmit: Duration,
    /// How many resends without a sign make the successor crashed.
    pub token_retransmits: u32,
    /// No token at all for so long: gather.
    pub token_loss: Duration,
    /// While gathering: how often joins are repeated.
    pub join_interval: Duration,
    /// While gathering: a listed peer that has not answered for so long is left out.
    pub consensus_timeout: Duration,
    /// How long forming and recovery may take before gathering starts again.
    pub form_timeout: Duration,
    /// A token of an idle ring goes round this often. A crash is noticed that much later than in one where messages flow.
    pub idle_token: Duration,
    /// How often the representative looks for daemons outside the ring.
    pub probe_interval: Duration,
    /// A daemon alone waits so long for any listed peer before it installs a configuration of its own.
    pub singleton_delay: Duration,
}

/// Windows and bounds, each with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Packets in flight per token round, all daemons together.
    pub window_packets: u32,
    /// Packets one daemon may send per token visit.
    pub personal_packets: u32,
    /// Packets a daemon may send after it passed the token on; 0 is the plain ring.
    pub accelerated_packets: u32,
    /// Highest sequence number may be so far ahead of what everybody has.
    pub gap_packets: u32,
    /// Payload bytes that may wait for the token; beyond it `submit` refuses.
    pub backlog_bytes: usize,
    /// Largest payload `submit` takes.
    pub payload_bytes: usize,
}

/// A packet that arrived, already opened by the sealing layer.
#[derive(Clone, Debug)]
pub struct Received {
    /// Address it came from.
    pub from: SocketAddr,
    /// Slot its sender claims (authenticated where encryption is on).
    pub slot: Slot,
    /// Boot id of its sender (likewise).
    pub boot: BootId,
    /// What the sender's ring handed out.
    pub packet: Bytes,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// Every other member of the current (or forming) configuration, the next token holder first. The
    /// preceding [`Output::Peers`] says who that is.
    Everyone,
    /// The daemon in this slot, at its best known addresses.
    Slot(Slot),
    /// Exactly this address (answers to challenges).
    Address(SocketAddr),
}

/// What a ring wants done, in this order. Runs of [`Output::Send`] to one destination are a burst: the
/// driver hands them to the kernel in one call per peer.
#[derive(Clone, Debug)]
pub enum Output {
    /// From now on `Destination::Everyone` means these, in sending order.
    Peers(Vec<Slot>),
    /// Send this.
    Send {
        /// Where.
        to: Destination,
        /// At most `packet_bytes` bytes.
        packet: Bytes,
    },
    /// The slot's daemon was proved to be reachable at this address; use it from now on.
    Path {
        /// Whose.
        slot: Slot,
        /// Which daemon of that slot: what was heard of it before is stale.
        boot: BootId,
        /// Where.
        address: SocketAddr,
    },
    /// A payload, in order.
    Deliver(Delivery),
    /// A new configuration, in order with the deliveries.
    Install(Configuration),
    /// The orderly leave is complete: nothing is owed to anybody; the process may end.
    Left,
    /// Another daemon has this slot and stays: end all sessions and exit.
    Superseded {
        /// The daemon that stays.
        by: DaemonId,
    },
    /// For logs and metrics only.
    Trace(Trace),
}

/// An ordered payload.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Daemon that submitted it.
    pub sender: Slot,
    /// How it was submitted.
    pub guarantee: Guarantee,
    /// Its place.
    pub position: Position,
    /// What was submitted.
    pub payload: Bytes,
}

/// A set of daemons that is installed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// For a transitional one: the id of the regular configuration that follows.
    pub id: ConfigurationId,
    /// Regular or transitional.
    pub kind: ConfigurationKind,
    /// Its daemons by slot.
    pub members: Vec<DaemonId>,
    /// For a regular one: who came together, and from where; ordered by first slot. Each member is in
    /// exactly one component. A daemon that was in no configuration before is a component of its own.
    pub components: Vec<Component>,
}

/// The two kinds of extended virtual synchrony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigurationKind {
    /// Messages are ordered in it.
    Regular,
    /// Those of the previous regular configuration that go on together: the rest of its messages is
    /// delivered under this smaller set.
    Transitional,
}

/// Daemons that came from one configuration to the next together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The configuration they come from; `None` for a daemon that just started.
    pub from: Option<ConfigurationId>,
    /// Slots of that configuration that did not come along (within this component's knowledge).
    pub lost: Vec<Slot>,
    /// Who.
    pub members: Vec<Slot>,
}

/// `submit` did not take the payload; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The backlog is full: try again when [`Counters::backlog_bytes`](crate::Counters) has fallen.
    #[error("the backlog of the ring is full")]
    Full,
    /// Larger than [`Windows::payload_bytes`].
    #[error("the payload is larger than the ring carries")]
    TooLarge,
    /// The daemon is leaving.
    #[error("the daemon is leaving the ring")]
    Leaving,
}

/// Things worth a log line or a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The phase changed.
    Phase {
        /// Name of the new phase.
        phase: Phase,
        /// Why.
        reason: Reason,
    },
    /// A daemon was refused.
    Refused {
        /// Its slot.
        slot: Slot,
        /// Where it is.
        from: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// This daemon waits: another one has its slot and answers. Said again while that lasts.
    Waiting(Occupant),
}

/// Who has the slot that this daemon wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// The daemon.
    pub daemon: DaemonId,
    /// Where it is, as far as that is known.
    pub at: Option<SocketAddr>,
}

/// Phases of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ordering messages.
    Operational,
    /// Finding out who is there.
    Gather,
    /// Waiting while another daemon has its slot: nothing is installed until that one is gone.
    Waiting,
    /// The form token is on its way.
    Form,
    /// Exchanging what is missing of the old configurations.
    Recovery,
    /// Finishing an orderly leave.
    Leaving,
}

/// Why a phase was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The daemon started.
    Start,
    /// The successor did not show that it has the token.
    SuccessorSilent,
    /// No token came, and the predecessor did not answer.
    PredecessorSilent,
    /// No token came.
    TokenLoss,
    /// A daemon outside the ring wants in.
    Joining,
    /// A member announced that it leaves.
    Leaving,
    /// A member's slot shows another boot id.
    Restarted,
    /// Another ring was met.
    ForeignRing,
    /// A peer gathers.
    PeerGathers,
    /// Everyone agrees who is there.
    Consensus,
    /// Forming or recovery took too long.
    FormTimeout,
    /// The form token came round.
    Formed,
    /// Recovery is complete.
    Recovered,
}

/// Why a daemon was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Its configuration file differs.
    ConfigurationMismatch,
    /// It belongs to another ring number.
    ForeignRing,
    /// Its slot is taken by a member that answers.
    SlotClaimed,
    /// Its packet can't be read.
    Malformed,
    /// Its packet has a version that is not known here.
    UnknownVersion,
}
