//! What can happen to a cluster: faults, what clients do, what is expected. One value is one line of a scenario.

use crate::picked::Kind;
use core::time::Duration;
use spread_wire::service::Service;

/// Sites from this slot on are those of endpoints in processes of their own: `e0`, `e1`, …
pub const FIRST_ENDPOINT: usize = 1000;

/// A place on the network: the daemon of a slot, its twin (a second daemon in the same slot), or an endpoint in a process
/// of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// Slot.
    pub slot: usize,
    /// Whether the twin is meant.
    pub twin: bool,
}

impl Site {
    /// The site of an endpoint.
    #[must_use]
    pub fn endpoint(number: usize) -> Self {
        Self { slot: FIRST_ENDPOINT + number, twin: false }
    }

    /// Whether it is an endpoint's.
    #[must_use]
    pub fn is_endpoint(self) -> bool {
        self.slot >= FIRST_ENDPOINT
    }
}

/// Packets of one kind from one daemon to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Picked {
    /// What they are.
    pub kind: Kind,
    /// Who sends them.
    pub from: Site,
    /// Who would get them.
    pub to: Site,
}

/// What happens to a daemon in the middle of a state exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// It is cut off from all others.
    Part,
    /// It is killed.
    Crash,
}

/// Something that happens at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A daemon starts, with a new boot id.
    Start(Site),
    /// A daemon is killed.
    Crash(Site),
    /// A daemon leaves in an orderly way.
    Leave(Site),
    /// As soon as a daemon exchanges state with others, this happens to it.
    Ambush(Site, Blow),
    /// A daemon is not scheduled.
    Pause(Site),
    /// It is scheduled again.
    Resume(Site),
    /// A daemon gets a new address; names resolve to it a little later.
    Move(Site),
    /// An endpoint's link breaks, though its daemon runs.
    Unlink(Site),
    /// An endpoint leaves its daemon for this one, and waits for it as long as it does not serve it.
    Attach(Site, Site),
    /// The sites are cut into components; sites that are not named belong to the first.
    Partition(Vec<Vec<Site>>),
    /// Packets one way are lost.
    Cut(Site, Site),
    /// Packets from a daemon are on their way for so long that they come while their receiver recovers from its loss.
    Hold(Site),
    /// These packets are held.
    HoldPicked(Picked),
    /// They are held no longer, and those that were come now.
    Release(Picked),
    /// They are held no longer, and those that were are lost.
    Discard(Picked),
    /// Something happens as soon as a daemon sends a packet of this kind.
    When(Site, Kind, Box<Action>),
    /// All cuts and partitions end; what was held is lost.
    Heal,
    /// Share of packets that are lost, in thousandths.
    Loss(u32),
    /// Share of packets that come twice, in thousandths.
    Duplicate(u32),
    /// Share of packets that take much longer than others, in thousandths.
    Reorder(u32),
    /// How long packets take.
    Delay(Duration, Duration),
    /// All faults end: the network is whole, every slot has one running daemon, every client reads.
    Calm,
    /// A client connects, if it is not connected.
    Connect {
        /// Which.
        client: usize,
        /// To which daemon.
        site: Site,
        /// Private name; without one it is called like the client.
        name: Option<String>,
        /// Does not want membership messages.
        silent: bool,
    },
    /// A client says goodbye.
    Disconnect(usize),
    /// A client closes its socket without a word.
    Drop(usize),
    /// A client joins a group.
    Join(usize, String),
    /// A client leaves a group.
    Part(usize, String),
    /// A client sends a message.
    Send(Send),
    /// A client stops reading.
    Stall(usize),
    /// A client reads again.
    Read(usize),
    /// Something has to be true now.
    Expect(Expectation),
}

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Who.
    pub client: usize,
    /// Service.
    pub service: Service,
    /// Not to the sender itself.
    pub discard: bool,
    /// Destinations.
    pub groups: Vec<String>,
    /// Bytes of the payload, at least.
    pub bytes: usize,
    /// Text of the payload.
    pub text: String,
}

/// What a scenario claims at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// These daemons are one ring.
    Ring(Vec<Site>),
    /// The last view of the group that the client saw lists exactly these clients.
    Members(usize, String, Vec<usize>),
    /// The client got a message of this text, so many times.
    Received(usize, String, usize),
    /// The messages came to the client in this order, whatever else came between.
    Order(usize, Vec<String>),
    /// So many transitional signals of the group came to the client.
    Transitions(usize, String, usize),
    /// The client is connected, or not.
    Connected(usize, bool),
    /// The daemon runs, or not.
    Running(Site, bool),
}
