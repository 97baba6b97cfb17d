//! The virtual network: what is on its way, and what the network does to it.

use crate::fault::Site;
use crate::node::Up;
use crate::random::Random;
use core::net::SocketAddr;
use core::time::Duration;
use spread_engine::LinkId;
use spread_ring::Received;
use spread_wire::link::LinkEvent;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A packet that was reordered takes so many times as long as others may take.
const LATE_TIMES: u64 = 8;
/// So many packets are held at most.
const HELD_PACKETS: usize = 2000;
/// Held packets come within so many times as long as packets take.
const RELEASE_DELAYS: u64 = 4;

/// Something that arrives later.
#[derive(Debug)]
pub enum Arrival {
    /// A packet at an address.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// What.
        received: Received,
    },
    /// Something of an endpoint at the daemon that serves it.
    Up {
        /// The daemon's process.
        process: usize,
        /// Over which link.
        link: LinkId,
        /// What.
        what: Up,
    },
    /// Something of a daemon at an endpoint.
    Down {
        /// The endpoint's process.
        process: usize,
        /// Over which link.
        link: LinkId,
        /// What.
        event: LinkEvent,
    },
    /// Everybody looks the slot's name up again.
    Resolve {
        /// Which slot.
        slot: usize,
    },
}

#[derive(Debug)]
struct Flying {
    at: Instant,
    order: u64,
    arrival: Arrival,
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Flying {}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// What the network did to packets so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Harm {
    /// Lost at random.
    pub lost: u64,
    /// Came twice.
    pub doubled: u64,
    /// Took much longer than others.
    pub late: u64,
    /// Lost for a cut in their direction only.
    pub cut_one_way: u64,
    /// Lost between two components.
    pub parted: u64,
}

/// The network between daemons.
#[derive(Debug)]
pub struct Network {
    /// What it did to packets so far.
    pub harm: Harm,
    random: Random,
    flying: BinaryHeap<Flying>,
    count: u64,
    /// Packets lost, in thousandths.
    pub loss: u32,
    /// Packets that come twice, in thousandths.
    pub duplicate: u32,
    /// Packets that are overtaken by later ones, in thousandths.
    pub reorder: u32,
    /// How long packets take.
    pub delay: (Duration, Duration),
    component: BTreeMap<Site, usize>,
    cuts: BTreeSet<(Site, Site)>,
    /// Whose packets are held.
    holding: BTreeSet<Site>,
    /// Held packets: for whom, where to, what.
    held: Vec<(Site, SocketAddr, Received)>,
}

impl Network {
    /// A whole network.
    #[must_use]
    pub fn new(random: Random, delay: (Duration, Duration)) -> Self {
        Self {
            harm: Harm::default(),
            random,
            flying: BinaryHeap::new(),
            count: 0,
            loss: 0,
            duplicate: 0,
            reorder: 0,
            delay,
            component: BTreeMap::new(),
            cuts: BTreeSet::new(),
            holding: BTreeSet::new(),
            held: Vec::new(),
        }
    }

    /// Cuts the network into components.
    pub fn partition(&mut self, components: &[Vec<Site>]) {
        self.component.clear();
        for (index, sites) in components.iter().enumerate() {
            self.component.extend(sites.iter().map(|site| (*site, index)));
        }
    }

    /// Cuts one way.
    pub fn cut(&mut self, from: Site, to: Site) {
        self.cuts.insert((from, to));
    }

    /// Ends cuts and partitions.
    pub fn heal(&mut self) {
        self.component.clear();
        self.cuts.clear();
        self.holding.clear();
        self.held.clear();
    }

    /// From now on packets of this site are held.
    pub fn hold(&mut self, site: Site) {
        self.holding.insert(site);
    }

    /// Takes a packet whose sender's packets are held; gives it back if they are not.
    pub fn keep(
        &mut self,
        (from, to): (Site, Site),
        at: SocketAddr,
        received: Received,
    ) -> Option<Received> {
        if !self.holding.contains(&from) {
            return Some(received);
        }
        if self.held.len() < HELD_PACKETS {
            self.held.push((to, at, received));
        }
        None
    }

    /// Whether packets are held for the site.
    #[must_use]
    pub fn holds_for(&self, site: Site) -> bool {
        self.held.iter().any(|(to, ..)| *to == site)
    }

    /// Lets all packets for the site come now or a little later.
    pub fn release(&mut self, now: Instant, site: Site) {
        let most = self.delay.1.as_micros() as u64 * RELEASE_DELAYS;
        let (come, stay) =
            core::mem::take(&mut self.held).into_iter().partition(|(to, ..)| *to == site);
        self.held = stay;
        let come: Vec<(Site, SocketAddr, Received)> = come;
        for (_, to, received) in come {
            self.harm.late += 1;
            let at = now + Duration::from_micros(self.random.below(most));
            self.push(at, Arrival::Packet { to, received });
        }
    }

    /// Ends everything that is bad.
    pub fn calm(&mut self) {
        self.heal();
        (self.loss, self.duplicate, self.reorder) = (0, 0, 0);
    }

    /// Whether a packet from one site reaches the other.
    pub fn reaches(&mut self, from: Site, to: Site) -> bool {
        let side = |site| self.component.get(&site).copied().unwrap_or(0);
        if side(from) != side(to) {
            self.harm.parted += 1;
            return false;
        }
        let cut = self.cuts.contains(&(from, to));
        self.harm.cut_one_way += u64::from(cut && !self.cuts.contains(&(to, from)));
        !cut
    }

    /// Sends a packet on its way, or loses it; returns whether any copy flies.
    pub fn post(&mut self, now: Instant, to: SocketAddr, received: Received) -> bool {
        if self.random.chance(self.loss) {
            self.harm.lost += 1;
            return false;
        }
        if self.random.chance(self.duplicate) {
            self.harm.doubled += 1;
            self.fly(now, to, received.clone());
        }
        self.fly(now, to, received);
        true
    }

    fn fly(&mut self, now: Instant, to: SocketAddr, received: Received) {
        let (least, most) = self.delay;
        let (least, most) = (least.as_micros() as u64, most.as_micros() as u64);
        let late = self.random.chance(self.reorder);
        self.harm.late += u64::from(late);
        let bound = if late { most * LATE_TIMES } else { most };
        let delay = Duration::from_micros(self.random.between(least, bound.max(least)));
        self.push(now + delay, Arrival::Packet { to, received });
    }

    /// Has something arrive at a moment.
    pub fn push(&mut self, at: Instant, arrival: Arrival) {
        self.count += 1;
        self.flying.push(Flying { at, order: self.count, arrival });
    }

    /// When the next thing arrives.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.flying.peek().map(|flying| flying.at)
    }

    /// How much is on its way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.flying.len()
    }

    /// What arrives by `now`, one at a time.
    pub fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        if self.next()? > now {
            return None;
        }
        self.flying.pop().map(|flying| flying.arrival)
    }
}
