//! What is known at one moment.

use spread_operator_api::{PlacementType, SpreadCluster};

/// All facts that a decision rests on.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    /// What the user asks for.
    pub cluster: &'a SpreadCluster,
    /// Time of the driver's choice in milliseconds; the facts below use the same one.
    pub now_millis: u64,
    /// Slots of the ring that runs, by ordinal. Empty: there is no ring yet.
    pub slots: Vec<SlotFact>,
    /// Nodes that may get a daemon; counts with placement PerNode only.
    pub eligible_nodes: u32,
}

impl Snapshot<'_> {
    /// Daemons that the object asks for.
    pub fn wanted(&self) -> u32 {
        match self.cluster.spec.placement.r#type {
            PlacementType::PerNode => self.eligible_nodes,
            PlacementType::Pods => self.cluster.spec.replicas.unwrap_or_default(),
        }
    }

    /// Slots of the ring: those that run, or those of the first ring.
    pub fn slot_count(&self) -> u32 {
        match u32::try_from(self.slots.len()) {
            Ok(0) | Err(_) => self.cluster.spec.slots.initial,
            Ok(count) => count,
        }
    }

    /// What is in a slot.
    pub fn slot(&self, ordinal: u32) -> SlotFact {
        self.slots.get(ordinal as usize).copied().unwrap_or(SlotFact::Vacant)
    }
}

/// What is in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotFact {
    /// Nothing.
    Vacant,
    /// A daemon that runs.
    Running {
        /// It is in a configuration with as many daemons as run.
        in_ring: bool,
        /// It accepts sessions, as whoever runs it says.
        ready: bool,
        /// It was made from what the object no longer says.
        outdated: bool,
    },
    /// A daemon that was asked to leave and has not ended.
    Leaving,
    /// A daemon ended that nobody asked to.
    Died {
        /// When.
        at_millis: u64,
        /// How often in a row, this time counted.
        times: u32,
    },
}

impl SlotFact {
    /// A daemon that runs as wanted.
    pub const fn running(in_ring: bool) -> Self {
        Self::Running { in_ring, ready: in_ring, outdated: false }
    }
}

/// The name of a slot; it outlives daemons and rings.
pub fn slot_name(ordinal: u32) -> String {
    format!("d{ordinal}")
}
