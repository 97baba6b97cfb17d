//! What an engine has to know at its start, and what comes out of it.

use core::time::Duration;
use spread_wire::ids::{EndpointName, Slot};
use spread_wire::link::LinkEvent;

/// A way to an endpoint, numbered by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// Everything an engine has to know at its start.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Own slot.
    pub me: Slot,
    /// The listed slots in configuration order.
    pub slots: Vec<SlotDescription>,
    /// Bounds of its queues.
    pub bounds: Bounds,
    /// An endpoint whose daemon or link was lost may attach again for so long.
    pub lost_retention: Duration,
}

impl EngineSettings {
    /// Name of the endpoint that is built into a slot's daemon; empty if no such slot is listed.
    #[must_use]
    pub fn slot_name(&self, slot: Slot) -> EndpointName {
        let listed = self.slots.get(usize::from(slot.0));
        listed.map_or_else(|| EndpointName::from(""), |listed| listed.name.clone())
    }
}

/// How long a lost endpoint may attach again, unless a setting says otherwise.
pub const LOST_RETENTION: Duration = Duration::from_secs(60);

/// A listed slot as groups see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotDescription {
    /// Name of the endpoint built into its daemon.
    pub name: EndpointName,
    /// Orders the vs-sets of components: that of the slot which was their representative.
    pub vs_key: i64,
}

/// Bounds of an engine's queues, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests of one endpoint that wait for the ring: above it its link is paused.
    pub waiting_bytes: usize,
    /// The link goes on once no more than this waits.
    pub resume_bytes: usize,
    /// Largest part of a table in one payload.
    pub chunk_bytes: usize,
    /// Largest table of one daemon; what a daemon sends beyond it is not used.
    pub table_bytes: usize,
    /// Lost endpoints that are remembered, in endpoints.
    pub lost_endpoints: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            waiting_bytes: 4 << 20,
            resume_bytes: 1 << 20,
            chunk_bytes: 60_000,
            table_bytes: 256 << 20,
            lost_endpoints: 1024,
        }
    }
}

/// What an engine wants done, in this order.
#[derive(Clone, Debug)]
pub enum EngineOutput {
    /// Hand this to the endpoint.
    Link {
        /// Which.
        link: LinkId,
        /// What.
        event: LinkEvent,
    },
}
