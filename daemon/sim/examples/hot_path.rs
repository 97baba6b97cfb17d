//! The way of a message through whole daemons, without sockets and clock: what of its cost is ours.
//!
//! ```text
//! cargo run --release -p spread-sim --example hot_path -- --daemons 8 --bytes 1350
//! valgrind --tool=callgrind target/release/examples/hot_path --messages 4000
//! ```
//! Prints the time for each message at each daemon. Under valgrind the instructions are the same in every run; `cargo xtask
//! instructions` holds them to what is written down.

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use clap::Parser;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use spread_engine::{
    Bounds, Daemon, DaemonOutput, EngineOutput, EngineSettings, LOST_RETENTION, LinkId,
    SlotDescription,
};
use spread_front::{
    Authentication, ConnectionId, Front, FrontOutput, FrontSettings, Peer, SlowReader,
};
use spread_ring::{Destination, Output, Received, Settings, Timers, Windows};
use spread_seal::{KEY_BYTES, OVERHEAD_BYTES, Seal, parse_keys};
use spread_wire::frame::{Layout, auth_choice, connect_request, request_head};
use spread_wire::ids::{BootId, EndpointName, EndpointUid, RingNumber, Slot};
use spread_wire::link::Request;
use spread_wire::service::{Service, bits};
use spread_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};

#[derive(Parser)]
struct Arguments {
    /// Daemons, each with a session that sends.
    #[arg(long, default_value_t = 3)]
    daemons: u16,
    /// Sessions of each daemon that receive, the one that sends among them.
    #[arg(long, default_value_t = 1)]
    sessions: u64,
    /// Seal and open what goes between daemons.
    #[arg(long)]
    sealed: bool,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    bytes: usize,
    /// Messages of all senders together.
    #[arg(long, default_value_t = 200_000)]
    messages: u64,
    /// Messages that a sender hands over at a time.
    #[arg(long, default_value_t = 100)]
    at_a_time: u64,
}

const LINK: LinkId = LinkId(1);
/// The session that sends; others have the ids that follow.
const SENDER: ConnectionId = ConnectionId(1);
const GROUP: &str = "hot";

/// Packets of one run on their way: sender, receiver, packets.
type Burst = (usize, usize, Vec<Bytes>);

struct Node {
    daemon: Daemon,
    front: Front,
    boot: BootId,
    peers: Vec<Slot>,
    paths: BTreeMap<Slot, SocketAddr>,
    seal: Option<Seal>,
    /// Bytes that all sessions got.
    delivered: u64,
    /// Empty between two turns.
    events: VecDeque<EngineOutput>,
}

struct World {
    now: Instant,
    nodes: Vec<Node>,
    bursts: VecDeque<Burst>,
}

fn address(slot: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, slot as u8 + 1)), 4803)
}

fn name(slot: usize) -> EndpointName {
    EndpointName(format!("d{slot}").into())
}

impl World {
    fn new(arguments: &Arguments) -> Self {
        let now = Instant(1_000_000);
        let count = usize::from(arguments.daemons);
        let mut nodes: Vec<Node> = (0..count).map(|slot| Node::new(now, slot, arguments)).collect();
        for node in &mut nodes {
            for other in 0..count {
                node.daemon.resolved(now, Slot(other as u16), &[address(other)]);
            }
        }
        let mut world = Self { now, nodes, bursts: VecDeque::new() };
        (0..count).for_each(|slot| world.carry_out(slot));
        world
    }

    /// Does what the daemon and the front of a slot want, in order.
    fn carry_out(&mut self, slot: usize) {
        let (now, node) = (self.now, &mut self.nodes[slot]);
        loop {
            let (mut to, mut packets) = (None, Vec::new());
            node.daemon.take_events(&mut node.events);
            for EngineOutput::Link { event, .. } in &node.events {
                node.front.link_event(now, event);
            }
            node.events.clear();
            while let Some(output) = node.daemon.poll_output() {
                match output {
                    DaemonOutput::Link { event, .. } => node.front.link_event(now, &event),
                    DaemonOutput::Ring(Output::Send { to: next, packet }) => {
                        if to != Some(next) {
                            node.post(slot, to, &packets, &mut self.bursts);
                            packets.clear();
                            to = Some(next);
                        }
                        packets.push(packet);
                    }
                    DaemonOutput::Ring(Output::Peers(peers)) => node.peers = peers,
                    DaemonOutput::Ring(Output::Path { slot, boot, address }) => {
                        if let Some(seal) = &mut node.seal {
                            seal.proved(slot, boot);
                        }
                        node.paths.insert(slot, address);
                    }
                    _ => {}
                }
            }
            node.post(slot, to, &packets, &mut self.bursts);
            let mut requests: Vec<Request> = Vec::new();
            while let Some(output) = node.front.poll_output() {
                match output {
                    FrontOutput::Write { connection, chunk } => {
                        node.delivered += chunk.len() as u64;
                        node.front.written(now, connection, chunk.len());
                    }
                    FrontOutput::Request(request) => requests.push(request),
                    _ => {}
                }
            }
            if requests.is_empty() {
                return;
            }
            node.daemon.requests(now, LINK, &requests);
        }
    }

    /// Hands over the next burst as one buffer, as the kernel does; time passes when nothing is under way.
    fn step(&mut self) {
        let Some((from, to, packets)) = self.bursts.pop_front() else {
            self.now = self.now + Duration::from_micros(500);
            for slot in 0..self.nodes.len() {
                let daemon = &mut self.nodes[slot].daemon;
                if daemon.poll_timeout().is_some_and(|due| due <= self.now) {
                    daemon.handle_timeout(self.now);
                    self.carry_out(slot);
                }
            }
            return;
        };
        self.now = self.now + Duration::from_micros(1);
        let mut buffer = BytesMut::with_capacity(packets.iter().map(Bytes::len).sum());
        packets.iter().for_each(|packet| buffer.extend_from_slice(packet));
        let (slot, boot) = (Slot(from as u16), self.nodes[from].boot);
        let node = &mut self.nodes[to];
        let received: Vec<Received> = packets
            .iter()
            .filter_map(|packet| {
                let packet = buffer.split_to(packet.len());
                let packet = match &mut node.seal {
                    Some(seal) => seal.open(packet).ok()?.packet,
                    None => packet.freeze(),
                };
                Some(Received { from: address(from), slot, boot, packet })
            })
            .collect();
        self.nodes[to].daemon.handle_received(self.now, received);
        self.carry_out(to);
    }

    fn client(&mut self, slot: usize, connection: ConnectionId, bytes: &[u8]) {
        self.nodes[slot].front.received(self.now, connection, bytes);
        self.carry_out(slot);
    }

    fn is_one_ring(&self) -> bool {
        self.nodes.iter().all(|node| node.daemon.ring_status().members.len() == self.nodes.len())
    }
}

impl Node {
    fn new(now: Instant, slot: usize, arguments: &Arguments) -> Self {
        let daemons = arguments.daemons;
        let boot = BootId(slot as u128 + 100);
        let ring = Settings {
            ring: RingNumber(1),
            me: Slot(slot as u16),
            boot,
            slots: daemons,
            configuration_hash: 1,
            wall_clock_milliseconds: 1_700_000_000_000,
            seed: slot as u64 + 1,
            packet_bytes: 1396,
            timers: Timers::lan(),
            windows: Windows::default(),
        };
        let describe =
            |slot: u16| SlotDescription { name: name(usize::from(slot)), vs_key: i64::from(slot) };
        let engine = EngineSettings {
            me: Slot(slot as u16),
            slots: (0..daemons).map(describe).collect(),
            bounds: Bounds::default(),
            lost_retention: LOST_RETENTION,
        };
        let mut daemon = Daemon::new(now, ring, engine);
        let uid = EndpointUid(boot.0);
        daemon.attach_builtin(now, LINK, uid);
        let front = Front::new(FrontSettings {
            name: name(slot),
            uid,
            seed: 1,
            layout: Layout::default(),
            sessions: arguments.sessions as usize,
            session_queue_bytes: 64 << 20,
            request_bytes: 64 << 20,
            large_bytes: spread_front::LARGE_BYTES,
            part_bytes: spread_front::PART_BYTES,
            slow_reader: SlowReader::Block { timeout: Duration::from_secs(10) },
            handshake_timeout: Duration::from_secs(5),
            authentication: Authentication::default(),
            access: Vec::new(),
            await_open: false,
            reattaches: false,
        });
        let key = format!("1 {}", "5a".repeat(KEY_BYTES));
        let keys = parse_keys(&key).expect("the key is right");
        let seal = Seal::new("hot", RingNumber(1), (Slot(slot as u16), boot), keys);
        Self {
            daemon,
            front,
            boot,
            peers: Vec::new(),
            paths: BTreeMap::new(),
            seal: arguments.sealed.then_some(seal),
            delivered: 0,
            events: VecDeque::new(),
        }
    }

    fn post(
        &mut self,
        me: usize,
        to: Option<Destination>,
        packets: &[Bytes],
        bursts: &mut VecDeque<Burst>,
    ) {
        let Some(to) = to else { return };
        let envelope = |packet: &Bytes| match &mut self.seal {
            Some(seal) => {
                let mut bytes = Vec::with_capacity(packet.len() + OVERHEAD_BYTES);
                seal.seal(packet, &mut bytes);
                Bytes::from(bytes)
            }
            None => packet.clone(),
        };
        let packets: Vec<Bytes> = packets.iter().map(envelope).collect();
        let path = |slot: &Slot| self.paths.get(slot).copied();
        let all: Vec<SocketAddr> = match to {
            Destination::Everyone => self.peers.iter().filter_map(path).collect(),
            Destination::Slot(slot) => path(&slot).into_iter().collect(),
            Destination::Address(address) => vec![address],
        };
        for to in all {
            if let IpAddr::V4(ip) = to.ip() {
                bursts.push_back((me, usize::from(ip.octets()[3]) - 1, packets.clone()));
            }
        }
    }
}

/// Connects a session and has it join.
fn connect(world: &mut World, slot: usize, connection: ConnectionId) {
    let (session, layout) = (format!("s{}", connection.0), Layout::default());
    let private = private_name(slot, connection);
    let group = || [GROUP.as_bytes()].into_iter();
    world.nodes[slot].front.connected(world.now, connection, Peer::Unix);
    world.client(slot, connection, &connect_request(session.as_bytes(), false));
    world.client(slot, connection, &auth_choice(&["NULL"]));
    let join = request_head(bits::JOIN, private.as_bytes(), group(), (0, 0), &layout);
    world.client(slot, connection, &join);
}

fn private_name(slot: usize, connection: ConnectionId) -> String {
    format!("#s{}#d{slot}", connection.0)
}

/// What the sender at a daemon sends.
fn frame(slot: usize, bytes: usize) -> Vec<u8> {
    let (private, word) = (private_name(slot, SENDER), Service::Agreed as u32);
    let groups = [GROUP.as_bytes()].into_iter();
    let mut frame = request_head(word, private.as_bytes(), groups, (0, bytes), &Layout::default());
    frame.resize(frame.len() + bytes, b'.');
    frame
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let daemons = usize::from(arguments.daemons);
    let mut world = World::new(&arguments);
    let mut steps = 0;
    while !world.is_one_ring() {
        world.step();
        steps += 1;
        ensure!(steps < 1_000_000, "no ring forms");
    }
    for slot in 0..daemons {
        (0..arguments.sessions).for_each(|more| {
            connect(&mut world, slot, ConnectionId(SENDER.0 + more));
        });
    }
    let frames: Vec<Vec<u8>> = (0..daemons).map(|slot| frame(slot, arguments.bytes)).collect();
    (0..10_000).for_each(|_| world.step());
    let before: Vec<u64> = world.nodes.iter().map(|node| node.delivered).collect();
    let a_round = arguments.at_a_time * daemons as u64;
    let rounds = (arguments.messages / a_round).max(1);
    let start = std::time::Instant::now();
    for round in 1..=rounds {
        for (slot, frame) in frames.iter().enumerate() {
            world.client(slot, SENDER, &frame.repeat(arguments.at_a_time as usize));
        }
        let wanted = round * a_round * arguments.sessions * frames[0].len() as u64;
        let behind = |(node, before): (&Node, &u64)| node.delivered - before < wanted;
        while world.nodes.iter().zip(&before).any(behind) {
            world.step();
        }
    }
    let took = start.elapsed().as_nanos() as f64;
    let messages = rounds * a_round;
    println!(
        "{daemons} daemons, {} B, {messages} messages: {:.0} ns for each at each daemon",
        arguments.bytes,
        took / messages as f64 / daemons as f64
    );
    Ok(())
}
