//! Which kinds of faults a run really met: what had no effect does not count.

use crate::fault::Action;
use crate::network::Harm;
use crate::settings::Settings;
use crate::world::World;
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A packet was lost at random.
    Loss,
    /// A packet came twice.
    Duplication,
    /// A packet was overtaken by much later ones.
    Reordering,
    /// Packets took another time than at first.
    Delay,
    /// Packets one way were lost.
    OneWayCut,
    /// Packets between two components were lost.
    Partition,
    /// A running daemon was killed.
    Crash,
    /// A slot's daemon started again.
    Restart,
    /// A running daemon left in an orderly way.
    OrderlyLeave,
    /// A running daemon was not scheduled for a while.
    Pause,
    /// Clocks ran at different rates, or showed different times.
    ClockSkew,
    /// A connected client did not read.
    SlowReader,
    /// A running daemon got another address.
    AddressChange,
    /// Two daemons ran in one slot.
    TwoInOneSlot,
    /// A client's socket closed without a word.
    BrokenSocket,
    /// An endpoint in a process of its own lost its daemon, or its link to it.
    EndpointCutOff,
}

impl Fault {
    /// All kinds, in the order in which they are shown.
    pub const ALL: [Self; 16] = [
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::Delay,
        Self::OneWayCut,
        Self::Partition,
        Self::Crash,
        Self::Restart,
        Self::OrderlyLeave,
        Self::Pause,
        Self::ClockSkew,
        Self::SlowReader,
        Self::AddressChange,
        Self::TwoInOneSlot,
        Self::BrokenSocket,
        Self::EndpointCutOff,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Duplication => "duplication",
            Self::Reordering => "reordering",
            Self::Delay => "delay",
            Self::OneWayCut => "one-way cut",
            Self::Partition => "partition",
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::OrderlyLeave => "orderly leave",
            Self::Pause => "pause",
            Self::ClockSkew => "clock skew",
            Self::SlowReader => "slow reader",
            Self::AddressChange => "address change",
            Self::TwoInOneSlot => "two daemons in one slot",
            Self::BrokenSocket => "broken socket",
            Self::EndpointCutOff => "endpoint cut off",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Kinds of faults that one run met.
pub type Met = BTreeSet<Fault>;

impl World {
    /// Notes the fault in an action that is about to happen, if it will change anything.
    pub(crate) fn note_fault(&mut self, action: &Action) {
        let runs = |site| self.sites.get(site).is_some_and(|index| self.nodes[*index].runs());
        let met = match action {
            Action::Crash(site) if self.sites.contains_key(site) => Fault::Crash,
            Action::Leave(site) if runs(site) => Fault::OrderlyLeave,
            Action::Pause(site) if runs(site) => Fault::Pause,
            Action::Move(site) if self.sites.contains_key(site) => Fault::AddressChange,
            Action::Stall(client) if self.clients[*client].connection.is_some() => {
                Fault::SlowReader
            }
            Action::Drop(client) if self.clients[*client].connection.is_some() => {
                Fault::BrokenSocket
            }
            Action::Delay(..) => Fault::Delay,
            _ => return,
        };
        self.met.insert(met);
    }

    /// Everything that the run has met so far.
    pub(crate) fn met(&self) -> Met {
        let mut met = self.met.clone();
        met.extend(self.network.harm.faults());
        if self.history.processes.iter().any(|process| !process.cuts.is_empty()) {
            met.insert(Fault::EndpointCutOff);
        }
        if has_skew(&self.plan.settings) {
            met.insert(Fault::ClockSkew);
        }
        met
    }
}

fn has_skew(settings: &Settings) -> bool {
    settings.daemons > 1 && (settings.drift > 0 || settings.skew > 0)
}

impl Harm {
    fn faults(&self) -> impl Iterator<Item = Fault> {
        let counts = [
            (self.lost, Fault::Loss),
            (self.doubled, Fault::Duplication),
            (self.late, Fault::Reordering),
            (self.cut_one_way, Fault::OneWayCut),
            (self.parted, Fault::Partition),
        ];
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, fault)| fault)
    }
}

/// How many runs met each kind of fault.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    runs: u64,
    met: BTreeMap<Fault, u64>,
}

impl Coverage {
    /// Counts a run.
    pub fn count(&mut self, met: &Met) {
        self.runs += 1;
        for fault in met {
            *self.met.entry(*fault).or_default() += 1;
        }
    }

    /// How many runs met a kind.
    #[must_use]
    pub fn met(&self, fault: Fault) -> u64 {
        self.met.get(&fault).copied().unwrap_or(0)
    }
}

impl fmt::Display for Coverage {
    /// One line per kind: how many runs met it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "of {} seeds met", self.runs)?;
        for fault in Fault::ALL {
            let count = self.met(fault);
            let share = 100.0 * count as f64 / self.runs.max(1) as f64;
            writeln!(f, "  {count:>8} ({share:4.1} %)  {fault}")?;
        }
        Ok(())
    }
}
