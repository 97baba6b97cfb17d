//! Whole daemons (front, engine, ring) on one virtual network and one virtual clock.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use spread_engine::{
    Bounds, Daemon, DaemonOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription,
};
use spread_front::{ConnectionId, Front, FrontOutput, FrontSettings, Peer};
use spread_ring::{ConfigurationKind, Destination, Output, Received, Settings, Timers, Windows};
use spread_wire::frame::Layout;
use spread_wire::ids::{BootId, EndpointName, EndpointUid, RingNumber, Slot};
use spread_wire::time::Instant;
use std::collections::BTreeMap;

const LINK: LinkId = LinkId(0);
/// The original's limit.
const MESSAGE_BYTES: usize = 144_000;
const HOP: Duration = Duration::from_micros(100);

/// A listed daemon.
#[derive(Clone, Debug)]
pub struct Listed {
    pub name: String,
    pub vs_key: i64,
}

/// The client's end of a connection.
#[derive(Debug, Default)]
pub struct Client {
    slot: usize,
    /// Bytes that arrived and were not compared yet.
    pub inbox: Vec<u8>,
    /// The daemon closed the stream.
    pub closed: bool,
    /// It closed its own end: nobody is there to read what still comes.
    pub ended: bool,
}

struct Node {
    daemon: Daemon,
    front: Front,
    boot: BootId,
    peers: Vec<Slot>,
    members: Vec<usize>,
    left: bool,
}

/// All daemons, the network, the clients.
pub struct World {
    now: Instant,
    listed: Vec<Listed>,
    front: fn(&mut FrontSettings, &str),
    vector: String,
    nodes: BTreeMap<usize, Node>,
    side: Vec<usize>,
    boots: u128,
    sent: u64,
    flying: BTreeMap<(Instant, u64), (usize, Received)>,
    pub clients: BTreeMap<u64, Client>,
}

fn address(slot: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, slot as u8 + 1)), 4803)
}

impl World {
    /// A world in which every listed daemon runs; `front` makes the vector's settings of the default ones.
    pub fn new(listed: Vec<Listed>, vector: &str, front: fn(&mut FrontSettings, &str)) -> Self {
        let count = listed.len();
        let mut world = Self {
            now: Instant(1_000_000_000),
            listed,
            front,
            vector: vector.into(),
            nodes: BTreeMap::new(),
            side: vec![0; count],
            boots: 0,
            sent: 0,
            flying: BTreeMap::new(),
            clients: BTreeMap::new(),
        };
        (0..count).for_each(|slot| world.start(slot));
        world
    }

    pub fn start(&mut self, slot: usize) {
        self.boots += 1;
        let boot = BootId(self.boots);
        let ring = Settings {
            ring: RingNumber(1),
            me: Slot(slot as u16),
            boot,
            slots: self.listed.len() as u16,
            configuration_hash: 1,
            wall_clock_milliseconds: 1_700_000_000_000 + self.now.0 / 1_000_000,
            seed: self.boots as u64,
            packet_bytes: 1400,
            timers: Timers::lan(),
            windows: Windows::default(),
        };
        let describe = |listed: &Listed| SlotDescription {
            name: EndpointName(listed.name.clone().into()),
            vs_key: listed.vs_key,
        };
        let slots = self.listed.iter().map(describe).collect();
        let engine = EngineSettings {
            me: Slot(slot as u16),
            slots,
            bounds: Bounds::default(),
            lost_retention: LOST_RETENTION,
        };
        let mut daemon = Daemon::new(self.now, ring, engine);
        for other in (0..self.listed.len()).filter(|other| *other != slot) {
            daemon.resolved(self.now, Slot(other as u16), &[address(other)]);
        }
        daemon.attach_builtin(self.now, LINK, EndpointUid(self.boots));
        let front = Front::new(self.front_settings(slot));
        let node =
            Node { daemon, front, boot, peers: Vec::new(), members: Vec::new(), left: false };
        self.nodes.insert(slot, node);
        self.pump(slot);
    }

    fn front_settings(&self, slot: usize) -> FrontSettings {
        let mut settings = FrontSettings {
            name: EndpointName(self.listed[slot].name.clone().into()),
            uid: EndpointUid(self.boots),
            seed: self.boots as u64,
            layout: Layout { message_bytes: MESSAGE_BYTES, ..Layout::default() },
            sessions: 1000,
            session_queue_bytes: 16 << 20,
            request_bytes: 16 << 20,
            large_bytes: spread_front::LARGE_BYTES,
            part_bytes: spread_front::PART_BYTES,
            slow_reader: spread_front::SlowReader::Disconnect { messages: 1000 },
            handshake_timeout: Duration::from_secs(30),
            authentication: spread_front::Authentication::default(),
            access: Vec::new(),
            await_open: false,
            reattaches: false,
        };
        (self.front)(&mut settings, &self.vector);
        settings
    }

    /// Its sockets close with it.
    pub fn kill(&mut self, slot: usize) {
        self.nodes.remove(&slot);
        for client in self.clients.values_mut().filter(|client| client.slot == slot) {
            client.closed = true;
        }
    }

    /// Has it leave in an orderly way.
    pub fn terminate(&mut self, slot: usize) {
        let now = self.now;
        self.nodes.get_mut(&slot).expect("it runs").daemon.leave(now);
        self.pump(slot);
        self.run_until(Duration::from_secs(10), |world| world.nodes[&slot].left);
        assert!(self.nodes[&slot].left, "the daemon leaves");
        self.kill(slot);
    }

    /// Packets between daemons of different components are lost from here on.
    pub fn partition(&mut self, components: &[Vec<usize>]) {
        for (side, component) in components.iter().enumerate() {
            component.iter().for_each(|slot| self.side[*slot] = side);
        }
    }

    /// Whether each component is one configuration.
    pub fn formed(&self, components: &[Vec<usize>]) -> bool {
        components.iter().all(|component| {
            component
                .iter()
                .all(|slot| self.nodes.get(slot).is_some_and(|node| node.members == *component))
        })
    }

    pub fn connect(&mut self, client: u64, slot: usize, peer: Peer) {
        self.clients.insert(client, Client { slot, ..Client::default() });
        let now = self.now;
        self.nodes.get_mut(&slot).expect("it runs").front.connected(
            now,
            ConnectionId(client),
            peer,
        );
        self.pump(slot);
    }

    pub fn send(&mut self, client: u64, bytes: &[u8]) {
        let slot = self.clients[&client].slot;
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&slot) else { return };
        node.front.received(now, ConnectionId(client), bytes);
        self.pump(slot);
    }

    /// The client closes its end.
    pub fn close(&mut self, client: u64) {
        let end = self.clients.get_mut(&client).expect("connected");
        (end.ended, end.closed) = (true, true);
        let (slot, now) = (end.slot, self.now);
        let Some(node) = self.nodes.get_mut(&slot) else { return };
        node.front.closed(now, ConnectionId(client));
        self.pump(slot);
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until `done`, at most so long.
    pub fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) {
        let end = self.now + most;
        while !done(self) {
            let timers = self.nodes.values().flat_map(|node| {
                node.daemon.poll_timeout().into_iter().chain(node.front.poll_timeout())
            });
            let packets = self.flying.keys().next().map(|(at, _)| *at);
            let next = timers.chain(packets).min().unwrap_or(end).max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            if next == end && packets.is_none_or(|at| at > end) {
                break;
            }
            self.step();
        }
        self.now = if done(self) { self.now } else { end };
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= now) {
            let (slot, received) = entry.remove();
            if let Some(node) = self.nodes.get_mut(&slot) {
                node.daemon.handle_received(now, [received]);
                self.pump(slot);
            }
        }
        let slots: Vec<usize> = self.nodes.keys().copied().collect();
        for slot in slots {
            let Some(node) = self.nodes.get_mut(&slot) else { continue };
            if node.daemon.poll_timeout().is_some_and(|at| at <= now) {
                node.daemon.handle_timeout(now);
            }
            if node.front.poll_timeout().is_some_and(|at| at <= now) {
                node.front.handle_timeout(now);
            }
            self.pump(slot);
        }
    }

    /// Does all that a daemon and its front want done.
    fn pump(&mut self, slot: usize) {
        while let Some(node) = self.nodes.get_mut(&slot) {
            if let Some(output) = node.daemon.poll_output() {
                self.daemon_output(slot, output);
            } else if let Some(output) = node.front.poll_output() {
                self.front_output(slot, output);
            } else {
                return;
            }
        }
    }

    fn daemon_output(&mut self, slot: usize, output: DaemonOutput) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&slot) else { return };
        match output {
            DaemonOutput::Link { event, .. } => node.front.link_event(now, &event),
            DaemonOutput::Installed(configuration) => {
                node.members.clear();
                if configuration.kind == ConfigurationKind::Regular {
                    node.members
                        .extend(configuration.members.iter().map(|id| usize::from(id.slot.0)));
                }
            }
            DaemonOutput::Ring(Output::Peers(peers)) => node.peers = peers,
            DaemonOutput::Ring(Output::Left) => node.left = true,
            DaemonOutput::Ring(Output::Send { to, packet }) => {
                let slots: Vec<usize> = match to {
                    Destination::Everyone => node.peers.iter().map(|p| usize::from(p.0)).collect(),
                    Destination::Slot(slot) => vec![usize::from(slot.0)],
                    Destination::Address(at) => {
                        (0..self.listed.len()).filter(|slot| address(*slot) == at).collect()
                    }
                };
                slots.into_iter().for_each(|to| self.transmit(slot, to, packet.clone()));
            }
            DaemonOutput::Ring(_) => {}
        }
    }

    fn transmit(&mut self, from: usize, to: usize, packet: Bytes) {
        if self.side[from] != self.side[to] {
            return;
        }
        self.sent += 1;
        let boot = self.nodes[&from].boot;
        let received = Received { from: address(from), slot: Slot(from as u16), boot, packet };
        self.flying.insert((self.now + HOP, self.sent), (to, received));
    }

    fn front_output(&mut self, slot: usize, output: FrontOutput) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&slot) else { return };
        match output {
            FrontOutput::Request(request) => node.daemon.requests(now, LINK, [&request]),
            FrontOutput::Write { connection, chunk } => {
                let Some(client) = self.clients.get_mut(&connection.0) else { return };
                client.inbox.extend_from_slice(&chunk);
                node.front.written(now, connection, chunk.len());
            }
            FrontOutput::Close { connection, .. } => {
                if let Some(client) = self.clients.get_mut(&connection.0) {
                    client.closed = true;
                }
                node.front.closed(now, connection);
            }
        }
    }
}
