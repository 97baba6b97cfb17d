//! A small deterministic network of rings: virtual clock, latency, loss, partitions, crashes; one seed replays it.

mod promises;

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use spread_ring::{
    Configuration, ConfigurationKind, Delivery, Destination, Output, Received, Ring, Settings,
    Timers, Trace, Windows,
};
use spread_wire::ids::{BootId, DaemonId, RingNumber, Slot};
use spread_wire::service::Guarantee;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A daemon of a slot that runs at another address than the slot's is kept under its slot and this.
pub const ELSEWHERE: u16 = 1000;

/// What one daemon saw, in order.
#[derive(Clone, Debug)]
pub enum Seen {
    Install(Configuration),
    Deliver(Delivery),
}

/// Slot, boot id, whether it lives, what it saw, what it submitted.
pub type History<'a> = (u16, BootId, bool, &'a [Seen], &'a [Bytes]);

#[derive(Debug)]
pub struct Node {
    pub ring: Option<Ring>,
    pub boot: BootId,
    address: SocketAddr,
    paths: BTreeMap<Slot, SocketAddr>,
    peers: Vec<Slot>,
    pub seen: Vec<Seen>,
    pub submitted: Vec<Bytes>,
    pub left: Option<Instant>,
    pub superseded: bool,
    /// It was told that another daemon has its slot.
    pub waited: bool,
    paused: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Event {
    at: Instant,
    order: u64,
    to: SocketAddr,
    from: (Slot, BootId, SocketAddr),
    packet: Bytes,
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
pub struct Network {
    pub now: Instant,
    pub slots: u16,
    pub nodes: BTreeMap<u16, Node>,
    /// Histories of daemons that are gone, by boot id.
    pub gone: Vec<(u16, BootId, Vec<Seen>, Vec<Bytes>)>,
    events: BinaryHeap<Event>,
    count: u64,
    random: u64,
    /// Packets lost, in thousandths.
    pub loss: u64,
    /// Of daemons that start.
    pub timers: Timers,
    /// Wall clock of daemons that start, in milliseconds since 1970.
    pub wall_clock: u64,
    /// Component of each slot; packets between components are lost.
    component: BTreeMap<u16, u32>,
    /// Ways, from slot to slot, on which packets are lost.
    pub cut: BTreeSet<(u16, u16)>,
    /// Names, asked for by one slot and of another, that lead nowhere.
    pub unnamed: BTreeSet<(u16, u16)>,
}

impl Network {
    pub fn new(seed: u64, slots: u16) -> Self {
        Self {
            now: Instant(1_000_000),
            slots,
            nodes: BTreeMap::new(),
            gone: Vec::new(),
            events: BinaryHeap::new(),
            count: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
            timers: Timers::lan(),
            wall_clock: 1_700_000_000_000,
            component: BTreeMap::new(),
            cut: BTreeSet::new(),
            unnamed: BTreeSet::new(),
        }
    }

    /// Packets sent so far, but for those lost.
    pub fn posted(&self) -> u64 {
        self.count
    }

    pub fn random(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Starts the daemon of a slot at the slot's address, or at another (`slot + ELSEWHERE`).
    pub fn start(&mut self, place: u16) {
        let slot = place % ELSEWHERE;
        let boot = BootId(u128::from(self.random()) << 64 | u128::from(self.random()));
        let settings = Settings {
            ring: RingNumber(1),
            me: Slot(slot),
            boot,
            slots: self.slots,
            configuration_hash: 7,
            wall_clock_milliseconds: self.wall_clock + self.now.0 / 1_000_000,
            seed: self.random(),
            packet_bytes: 1400,
            timers: self.timers.clone(),
            windows: Windows::default(),
        };
        let node = Node {
            ring: Some(Ring::new(self.now, settings)),
            boot,
            address: address(place),
            paths: BTreeMap::new(),
            peers: Vec::new(),
            seen: Vec::new(),
            submitted: Vec::new(),
            left: None,
            superseded: false,
            waited: false,
            paused: false,
        };
        self.nodes.insert(place, node);
        let named = |other: &u16| !self.unnamed.contains(&(place, *other));
        for other in (0..self.slots).filter(named).collect::<Vec<_>>() {
            self.call(place, |ring| ring.resolved(Slot(other), &[address(other)]));
        }
    }

    pub fn crash(&mut self, slot: u16) {
        if let Some(node) = self.nodes.remove(&slot) {
            self.gone.push((slot, node.boot, node.seen, node.submitted));
        }
    }

    pub fn leave(&mut self, slot: u16) {
        let now = self.now;
        self.call(slot, |ring| ring.leave(now));
    }

    pub fn pause(&mut self, slot: u16, paused: bool) {
        if let Some(node) = self.nodes.get_mut(&slot) {
            node.paused = paused;
        }
    }

    /// The slot's name leads to these places now, as this daemon is told.
    pub fn resolve(&mut self, place: u16, slot: u16, places: &[u16]) {
        let addresses: Vec<SocketAddr> = places.iter().map(|place| address(*place)).collect();
        self.call(place, |ring| ring.resolved(Slot(slot), &addresses));
    }

    /// The daemon goes on at another address.
    pub fn relocate(&mut self, place: u16, to: u16) {
        if let Some(node) = self.nodes.get_mut(&place) {
            node.address = address(to);
        }
    }

    pub fn submit(&mut self, slot: u16, guarantee: Guarantee, payload: impl Into<Bytes>) {
        let (now, payload) = (self.now, payload.into());
        let Some(node) = self.nodes.get_mut(&slot) else { return };
        let Some(ring) = &mut node.ring else { return };
        if ring.submit(guarantee, payload.clone()).is_ok() {
            ring.flush(now);
            node.submitted.push(payload);
        }
        self.drain(slot);
    }

    pub fn partition(&mut self, components: &[&[u16]]) {
        self.component.clear();
        for (index, component) in components.iter().enumerate() {
            self.component.extend(component.iter().map(|slot| (*slot, index as u32)));
        }
    }

    pub fn heal(&mut self) {
        self.component.clear();
    }

    pub fn act(&mut self, place: u16, act: impl FnOnce(&mut Ring)) {
        self.call(place, act);
    }

    fn call(&mut self, slot: u16, act: impl FnOnce(&mut Ring)) {
        if let Some(ring) = self.nodes.get_mut(&slot).and_then(|node| node.ring.as_mut()) {
            act(ring);
        }
        self.drain(slot);
    }

    fn drain(&mut self, slot: u16) {
        let now = self.now;
        loop {
            let Some(node) = self.nodes.get_mut(&slot) else { return };
            let Some(output) = node.ring.as_mut().and_then(Ring::poll_output) else { return };
            match output {
                Output::Peers(peers) => node.peers = peers,
                Output::Path { slot, address, .. } => {
                    node.paths.insert(slot, address);
                }
                Output::Deliver(delivery) => node.seen.push(Seen::Deliver(delivery)),
                Output::Install(configuration) => node.seen.push(Seen::Install(configuration)),
                Output::Left => {
                    node.left = Some(now);
                    node.ring = None;
                }
                Output::Superseded { .. } => {
                    node.superseded = true;
                    node.ring = None;
                }
                Output::Trace(Trace::Waiting(_)) => node.waited = true,
                Output::Trace(_) => {}
                Output::Send { to, packet } => {
                    assert!(packet.len() <= 1400, "a packet of {} bytes", packet.len());
                    let targets: Vec<SocketAddr> = match to {
                        Destination::Everyone => node
                            .peers
                            .iter()
                            .filter_map(|peer| node.paths.get(peer))
                            .copied()
                            .collect(),
                        Destination::Slot(slot) => {
                            node.paths.get(&slot).copied().into_iter().collect()
                        }
                        Destination::Address(address) => vec![address],
                    };
                    let from = (Slot(slot % ELSEWHERE), node.boot, node.address);
                    for target in targets {
                        self.post(from, target, packet.clone());
                    }
                }
            }
        }
    }

    fn post(&mut self, from: (Slot, BootId, SocketAddr), to: SocketAddr, packet: Bytes) {
        if self.random() % 1000 < self.loss {
            return;
        }
        let at = self.now + Duration::from_micros(40 + self.random() % 60);
        self.count += 1;
        self.events.push(Event { at, order: self.count, to, from, packet });
    }

    /// Runs for so long.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until `done`, for at most `time`; returns how long it took.
    pub fn run_until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> Option<Duration> {
        let (start, end) = (self.now, self.now + time);
        while !done(self) {
            if !self.step(end) {
                return None;
            }
        }
        Some(self.now.since(start))
    }

    fn step(&mut self, end: Instant) -> bool {
        let timer = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.paused)
            .filter_map(|(slot, node)| {
                Some((node.ring.as_ref()?.poll_timeout()?.max(self.now), *slot))
            })
            .min();
        let event = self.events.peek().map(|event| event.at);
        let next = timer.map(|(at, _)| at).into_iter().chain(event).min();
        if next.is_none_or(|next| next > end) {
            return false;
        }
        if event.is_some() && event <= timer.map(|(at, _)| at).or(event) {
            let event = self.events.pop().expect("an event was peeked at");
            self.now = self.now.max(event.at);
            self.arrive(event);
        } else if let Some((at, slot)) = timer {
            self.now = at;
            self.call(slot, |ring| ring.handle_timeout(at));
        }
        true
    }

    fn arrive(&mut self, event: Event) {
        let Some((slot, paused)) = self
            .nodes
            .iter()
            .find(|(_, node)| node.address == event.to)
            .map(|(slot, node)| (*slot, node.paused))
        else {
            return;
        };
        let (from, boot, address) = event.from;
        let place = self.nodes.iter().find(|(_, node)| node.boot == boot).map(|(place, _)| *place);
        let place = place.unwrap_or(from.0);
        let cut = self.cut.contains(&(place, slot));
        if paused || cut || self.component.get(&place) != self.component.get(&slot) {
            return;
        }
        let received = Received { from: address, slot: from, boot, packet: event.packet };
        let now = self.now;
        self.call(slot, |ring| ring.handle_received(now, received));
    }

    /// Members of the configuration installed last.
    pub fn members(&self, slot: u16) -> Vec<u16> {
        let Some(node) = self.nodes.get(&slot) else { return Vec::new() };
        let last = node.seen.iter().rev().find_map(|seen| match seen {
            Seen::Install(configuration) if configuration.kind == ConfigurationKind::Regular => {
                Some(configuration.members.iter().map(|member| member.slot.0).collect())
            }
            _ => None,
        });
        last.unwrap_or_default()
    }

    /// Whether these daemons are in one operational configuration of exactly these members.
    pub fn formed(&self, slots: &[u16]) -> bool {
        let ids: BTreeSet<_> = slots
            .iter()
            .map(|slot| {
                let status = self.nodes.get(slot)?.ring.as_ref()?.status();
                (status.phase == spread_ring::Phase::Operational)
                    .then_some(status.configuration)
                    .flatten()
            })
            .collect();
        ids.len() == 1
            && !ids.contains(&None)
            && slots.iter().all(|slot| self.members(*slot) == slots)
    }

    /// Claim and boot id that a daemon knows for a slot of its configuration.
    pub fn occupant(&self, place: u16, slot: u16) -> Option<DaemonId> {
        let status = self.nodes.get(&place)?.ring.as_ref()?.status();
        status.members.into_iter().find(|member| member.slot == Slot(slot))
    }

    pub fn form(&mut self, slots: &[u16]) -> Duration {
        let slots: Vec<u16> = slots.to_vec();
        self.run_until(Duration::from_secs(20), |network| network.formed(&slots))
            .unwrap_or_else(|| panic!("{slots:?} are not one ring:\n{}", self.states()))
    }

    /// One line per daemon.
    pub fn states(&self) -> String {
        let lines = self.nodes.values().map(|node| match &node.ring {
            Some(ring) => format!("{:?} {ring} {:?}\n", node.boot, ring.counters()),
            None => "stopped\n".to_owned(),
        });
        lines.collect()
    }

    /// The last things each daemon saw.
    pub fn tails(&self) -> String {
        let mut text = String::new();
        for (slot, node) in &self.nodes {
            text += &format!("d{slot}:");
            for seen in &node.seen[node.seen.len().saturating_sub(12)..] {
                text += &match seen {
                    Seen::Install(c) => {
                        let members: Vec<u16> = c.members.iter().map(|m| m.slot.0).collect();
                        format!(" [{:?} {members:?} epoch {}]", c.kind, c.id.epoch)
                    }
                    Seen::Deliver(d) => {
                        format!(" {}", d.payload[..d.payload.len().min(14)].escape_ascii())
                    }
                };
            }
            text += "\n";
        }
        text
    }

    /// Payloads that a daemon delivered.
    pub fn delivered(&self, slot: u16) -> Vec<Bytes> {
        self.nodes[&slot]
            .seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Deliver(delivery) => Some(delivery.payload.clone()),
                Seen::Install(..) => None,
            })
            .collect()
    }

    /// All histories, of the living and the gone.
    pub fn histories(&self) -> Vec<History<'_>> {
        let gone = self
            .gone
            .iter()
            .map(|(slot, boot, seen, sent)| (*slot, *boot, false, &seen[..], &sent[..]));
        let here = self.nodes.iter().map(|(slot, node)| {
            (*slot, node.boot, node.ring.is_some(), &node.seen[..], &node.submitted[..])
        });
        gone.chain(here).collect()
    }

    /// Checks every promise over all histories.
    pub fn check(&self) {
        promises::check(self);
    }
}

pub fn address(slot: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, (slot >> 8) as u8, slot as u8 + 1)), 4804)
}
