//! A whole cluster in one value: daemons, network, clients, one clock. The same plan gives the same run, event for event.

use crate::client::Client;
use crate::coverage::{Fault, Met};
use crate::fault::{Blow, Site};
use crate::history::{History, ProcessHistory, seconds};
use crate::network::{Arrival, Network};
use crate::node::{Clock, FromClient, Node, address};
use crate::oracle;
use crate::picked::PickedPackets;
use crate::plan::Plan;
use crate::random::Random;
use crate::trace::Trace;
use core::net::SocketAddr;
use core::time::Duration;
use spread_engine::Daemon;
use spread_front::ConnectionId;
use spread_ring::Phase;
use spread_wire::ids::{BootId, Slot};
use spread_wire::time::Instant;
use std::collections::BTreeMap;

/// Every run begins here.
pub const START: Instant = Instant(1_000_000_000);
/// Events held back for a slow reader are looked at again after this long.
pub const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How often `run_until` looks whether it is done.
const LOOK: Duration = Duration::from_millis(1);
/// Queues are measured at one in so many calls into a daemon.
const MEASURE_EACH: u64 = 16;

/// Daemons, network and clients.
#[derive(Debug)]
pub struct World {
    pub(crate) now: Instant,
    pub(crate) plan: Plan,
    /// The next action of the plan.
    pub(crate) next_action: usize,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    /// The process at each site.
    pub(crate) sites: BTreeMap<Site, usize>,
    pub(crate) addresses: BTreeMap<SocketAddr, usize>,
    /// How many addresses each slot had.
    pub(crate) address_count: Vec<usize>,
    pub(crate) clients: Vec<Client>,
    pub(crate) connections: u64,
    pub(crate) links: u32,
    pub(crate) random: Random,
    /// What was seen.
    pub history: History,
    /// Hash and timeline of all events.
    pub trace: Trace,
    pub(crate) picked: PickedPackets,
    /// What waits for a daemon's next state exchange.
    pub(crate) ambushes: Vec<(Site, Blow)>,
    /// Kinds of faults met, as far as they are no packets' faults.
    pub(crate) met: Met,
    calls: u64,
}

impl World {
    /// The world of a plan, before its first event.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let network = Network::new(Random::new(plan.seed, 2), plan.settings.delay);
        let clients = (0..plan.clients).map(|_| Client::default()).collect();
        Self {
            now: START,
            next_action: 0,
            network,
            nodes: Vec::new(),
            sites: BTreeMap::new(),
            addresses: BTreeMap::new(),
            address_count: vec![0; plan.settings.daemons],
            clients,
            connections: 0,
            links: 0,
            random: Random::new(plan.seed, 3),
            history: History::default(),
            trace: Trace::default(),
            picked: PickedPackets::default(),
            ambushes: Vec::new(),
            met: Met::new(),
            calls: 0,
            plan,
        }
    }

    /// Lets time pass to the given moment, or until `done`; returns whether it was done.
    pub fn run_until(&mut self, end: Instant, done: impl Fn(&Self) -> bool) -> bool {
        let mut looked = Instant(0);
        loop {
            if self.now.since(looked) >= LOOK {
                looked = self.now;
                if done(self) {
                    return true;
                }
            }
            let action = self.plan.actions.get(self.next_action).map(|(at, _)| *at);
            let timer = self.nodes.iter().filter_map(|node| node.due).min();
            let next = self.network.next().into_iter().chain(action).chain(timer).min();
            if oracle::bounded_queues::storm(self) {
                return false;
            }
            match next.filter(|next| *next <= end) {
                None => {
                    self.now = end;
                    return done(self);
                }
                Some(next) => self.now = self.now.max(next),
            }
            self.step(action);
        }
    }

    /// Does one thing that is due now.
    fn step(&mut self, action: Option<Instant>) {
        let now = self.now;
        if action.is_some_and(|at| at <= now) {
            let action = self.plan.actions[self.next_action].1.clone();
            self.next_action += 1;
            return self.act(&action);
        }
        if let Some(arrival) = self.network.arrive(now) {
            return match arrival {
                Arrival::Packet { to, received } => self.packet(to, received),
                Arrival::Resolve { slot } => self.resolve(slot),
                Arrival::Up { process, link, what } => self.arrived_up(process, link, what),
                Arrival::Down { process, link, event } => self.arrived_down(process, link, event),
            };
        }
        let due = self.nodes.iter().position(|node| node.due.is_some_and(|due| due <= now));
        if let Some(index) = due {
            self.call_timers(index);
            self.pump(index);
        }
    }

    pub(crate) fn call_timers(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        if let Some(daemon) = &mut node.daemon
            && daemon.poll_timeout().is_some_and(|at| at <= local)
        {
            daemon.handle_timeout(local);
        }
        if node.front.poll_timeout().is_some_and(|at| at <= local) {
            node.front.handle_timeout(local);
        }
        if node.remote.is_some() {
            self.try_attach(index);
        }
    }

    fn packet(&mut self, to: SocketAddr, received: spread_ring::Received) {
        let Some(index) = self.addresses.get(&to).copied() else { return };
        self.trace.mix(self.now.0 ^ index as u64);
        self.trace.mix_bytes(&received.packet);
        let node = &mut self.nodes[index];
        if node.paused {
            return node.keep(received);
        }
        let local = node.clock.local(self.now);
        node.daemon().handle_received(local, [received]);
        self.pump(index);
    }

    // --- processes ----------------------------------------------------------------------------------

    /// Starts a process at a site, unless one runs there.
    pub(crate) fn start(&mut self, site: Site) {
        if site.is_endpoint() {
            return self.start_endpoint(site);
        }
        if site.slot >= self.plan.settings.daemons || self.sites.contains_key(&site) {
            return;
        }
        let index = self.nodes.len();
        if self.sites.contains_key(&Site { twin: !site.twin, ..site }) {
            self.met.insert(Fault::TwoInOneSlot);
        } else if self.nodes.iter().any(|node| node.site.slot == site.slot) {
            self.met.insert(Fault::Restart);
        }
        let boot =
            BootId(u128::from(self.random.bits()) << 64 | u128::from(self.random.bits()) | 1);
        let drift = self.plan.settings.drift;
        let clock = Clock {
            offset: self.random.below(1 << 40),
            drift: self.random.between(0, drift * 2) as i64 - drift as i64,
            skew: self.random.between(0, self.plan.settings.skew * 2) as i64
                - self.plan.settings.skew as i64,
        };
        let at = self.new_address(site.slot);
        let node = Node::start(self.now, (site, at), boot, clock, &self.plan.settings);
        self.nodes.push(node);
        self.sites.insert(site, index);
        self.addresses.insert(at, index);
        self.history.processes.push(ProcessHistory {
            slot: site.slot,
            boot,
            end: None,
            endpoint: false,
            cuts: Vec::new(),
            entries: Vec::new(),
        });
        for slot in 0..self.plan.settings.daemons {
            self.tell_addresses(index, slot);
        }
        self.rename(site.slot);
        self.pump(index);
    }

    pub(crate) fn new_address(&mut self, slot: usize) -> SocketAddr {
        let n = self.address_count[slot];
        self.address_count[slot] += 1;
        address(slot, n)
    }

    /// Names resolve to the slot's new addresses a little later.
    pub(crate) fn rename(&mut self, slot: usize) {
        let later = Duration::from_millis(self.random.between(1, 300));
        self.network.push(self.now + later, Arrival::Resolve { slot });
    }

    fn resolve(&mut self, slot: usize) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].runs() && self.nodes[index].daemon.is_some() {
                self.tell_addresses(index, slot);
                self.pump(index);
            }
        }
    }

    fn tell_addresses(&mut self, index: usize, slot: usize) {
        let of_slot = self.nodes.iter().filter(|node| node.site.slot == slot && !node.ended);
        let addresses: Vec<SocketAddr> = of_slot.map(|node| node.address).collect();
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        if node.site.slot != slot {
            node.daemon().resolved(local, Slot(slot as u16), &addresses);
        }
    }

    // --- clients' sockets ---------------------------------------------------------------------------

    pub(crate) fn client_wrote(&mut self, index: usize, id: ConnectionId, what: FromClient) {
        if let Some(pipe) = self.nodes[index].pipes.get_mut(&id) {
            pipe.waiting.push_back(what);
        }
        self.pump(index);
    }

    /// Reads from sockets as far as the daemon wants to; returns whether there was anything.
    pub(crate) fn read_clients(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        if node.leaving {
            return false;
        }
        let local = node.clock.local(self.now);
        let front = &node.front;
        let ready = node.pipes.iter_mut().find(|(id, pipe)| {
            let connects = matches!(pipe.waiting.front(), Some(FromClient::Connect));
            !pipe.waiting.is_empty() && (connects || front.reads_from(**id))
        });
        let Some((id, pipe)) = ready.map(|(id, pipe)| (*id, pipe)) else { return false };
        match pipe.waiting.pop_front() {
            Some(FromClient::Connect) => node.front.connected(local, id, spread_front::Peer::Unix),
            Some(FromClient::Bytes(bytes)) => node.front.received(local, id, &bytes),
            Some(FromClient::End) | None => {
                node.pipes.remove(&id);
                node.front.closed(local, id);
            }
        }
        true
    }

    // --- looking ------------------------------------------------------------------------------------

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether the processes at these sites are one ring of exactly themselves.
    #[must_use]
    pub fn formed(&self, sites: &[Site]) -> bool {
        let mut ids = Vec::new();
        for site in sites {
            let Some(node) = self.sites.get(site).map(|index| &self.nodes[*index]) else {
                return false;
            };
            let Some(status) = node.daemon.as_ref().map(Daemon::ring_status) else { return false };
            let slots = status.members.iter().map(|member| usize::from(member.slot.0));
            let mut wanted: Vec<usize> = sites.iter().map(|site| site.slot).collect();
            wanted.sort_unstable();
            if status.phase != Phase::Operational || !slots.eq(wanted) {
                return false;
            }
            ids.push(status.configuration);
        }
        ids.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// All sites with a daemon.
    #[must_use]
    pub fn running(&self) -> Vec<Site> {
        self.sites.keys().copied().filter(|site| !site.is_endpoint()).collect()
    }

    /// Whether nothing is on its way any more but the token.
    #[must_use]
    pub fn quiet(&self) -> bool {
        let nobody = self.running().is_empty();
        let rests = |node: &Node| node.quiet() || nobody && node.remote.is_some();
        self.nodes.iter().filter(|node| !node.ended).all(rests)
    }

    /// Measures a daemon's queues now and then.
    pub(crate) fn measure(&mut self, index: usize) {
        self.calls += 1;
        if self.calls.is_multiple_of(MEASURE_EACH) {
            crate::oracle::bounded_queues::measure(self, index);
            crate::oracle::sessions_stay::measure(self, index);
        }
    }

    /// One line per daemon: where it stands.
    #[must_use]
    pub fn states(&self) -> String {
        let mut text = format!("at {}:\n", seconds(self.now));
        for index in self.sites.values() {
            let node = &self.nodes[*index];
            let Some(daemon) = &node.daemon else {
                let (site, left) = (node.site, node.front.unacknowledged());
                text += &format!("  {site} {:?}, unacknowledged {left}\n", node.remote);
                continue;
            };
            let (ring, engine) = (daemon.ring_status(), daemon.status());
            let members: Vec<u16> = ring.members.iter().map(|member| member.slot.0).collect();
            text += &format!(
                "  {} {:?} members {members:?} seq {} aru {} stable {}; waiting {} bytes, \
                 exchanging {}, unacknowledged {}, link {}\n",
                node.site,
                ring.phase,
                ring.seq,
                ring.aru,
                ring.stable,
                engine.waiting_bytes,
                engine.exchanging,
                node.front.unacknowledged(),
                node.link.len(),
            );
        }
        text
    }
}
