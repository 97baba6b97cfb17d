//! Whole daemons over a small network with loss and partitions: when it has healed, all agree and
//! every request was ordered once.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use spread_engine::{
    Bounds, Daemon, DaemonOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription,
};
use spread_ring::{Destination, Output, Received, Settings, Timers, Windows};
use spread_wire::ids::{
    BootId, EndpointName, EndpointUid, GroupName, PrivateName, RequestNumber, RingNumber,
    SessionId, Slot,
};
use spread_wire::link::{LinkEvent, Multicast, Request, RequestBody};
use spread_wire::service::Service;
use spread_wire::time::Instant;
use std::collections::BTreeMap;

const SLOTS: u16 = 4;

struct Node {
    daemon: Daemon,
    boot: BootId,
    paths: BTreeMap<Slot, SocketAddr>,
    peers: Vec<Slot>,
    requests: u64,
    acknowledged: u64,
}

struct World {
    now: Instant,
    nodes: BTreeMap<u16, Node>,
    /// Packets by arrival: sender and receiver.
    packets: BTreeMap<(Instant, u64), (u16, SocketAddr, Bytes)>,
    count: u64,
    random: u64,
    loss_thousandths: u64,
    side: [u64; SLOTS as usize],
}

fn address(slot: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, slot as u8)), 4803)
}

impl World {
    fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let (now, packets) = (Instant(1_000_000), BTreeMap::new());
        let side = [0; SLOTS as usize];
        let nodes = BTreeMap::new();
        let mut world = Self { now, nodes, packets, count: 0, random, loss_thousandths: 0, side };
        (0..SLOTS).for_each(|slot| world.start(slot));
        world
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % below
    }

    fn start(&mut self, slot: u16) {
        let boot = BootId(u128::from(self.random(u64::MAX)) << 8 | u128::from(slot));
        let ring = Settings {
            ring: RingNumber(1),
            me: Slot(slot),
            boot,
            slots: SLOTS,
            configuration_hash: 1,
            wall_clock_milliseconds: 1_700_000_000_000 + self.now.0 / 1_000_000,
            seed: self.random(u64::MAX),
            packet_bytes: 1400,
            timers: Timers::lan(),
            windows: Windows::default(),
        };
        let slots = (0..SLOTS).map(|slot| SlotDescription {
            name: EndpointName(format!("d{slot}").into()),
            vs_key: i64::from(slot),
        });
        let bounds = Bounds { chunk_bytes: 100, ..Bounds::default() };
        let slots = slots.collect();
        let lost_retention = LOST_RETENTION;
        let engine = EngineSettings { me: Slot(slot), slots, bounds, lost_retention };
        let mut daemon = Daemon::new(self.now, ring, engine);
        daemon.attach_builtin(self.now, LinkId(0), EndpointUid(boot.0));
        for other in 0..SLOTS {
            daemon.resolved(self.now, Slot(other), &[address(other)]);
        }
        let (paths, peers) = (BTreeMap::new(), Vec::new());
        self.nodes.insert(slot, Node { daemon, boot, paths, peers, requests: 0, acknowledged: 0 });
        self.drain(slot);
    }

    fn node(&mut self, slot: u16) -> &mut Node {
        self.nodes.get_mut(&slot).expect("the daemon runs")
    }

    fn drain(&mut self, slot: u16) {
        while let Some(output) = self.node(slot).daemon.poll_output() {
            let node = self.node(slot);
            match output {
                DaemonOutput::Ring(Output::Peers(peers)) => node.peers = peers,
                DaemonOutput::Ring(Output::Path { slot, address, .. }) => {
                    node.paths.insert(slot, address);
                }
                DaemonOutput::Ring(Output::Send { to, packet }) => {
                    let to: Vec<_> = match to {
                        Destination::Everyone => {
                            let paths = node.peers.iter().filter_map(|peer| node.paths.get(peer));
                            paths.copied().collect()
                        }
                        Destination::Slot(slot) => {
                            node.paths.get(&slot).copied().into_iter().collect()
                        }
                        Destination::Address(address) => vec![address],
                    };
                    to.into_iter().for_each(|to| self.post(slot, to, packet.clone()));
                }
                DaemonOutput::Link { event: LinkEvent::Acknowledged { number }, .. } => {
                    assert!(number.0 > node.acknowledged, "each request is ordered once");
                    node.acknowledged = number.0;
                }
                _ => {}
            }
        }
    }

    fn post(&mut self, from: u16, to: SocketAddr, packet: Bytes) {
        if self.random(1000) >= self.loss_thousandths {
            self.count += 1;
            let at = self.now + Duration::from_micros(40 + self.random(60));
            self.packets.insert((at, self.count), (from, to, packet));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let timers = self.nodes.iter().map(|(slot, node)| (node.daemon.poll_timeout(), *slot));
            let timer = timers.filter_map(|(at, slot)| Some((at?.max(self.now), slot))).min();
            let packet = self.packets.first_key_value().map(|((at, _), _)| *at);
            let next = timer.map(|(at, _)| at).into_iter().chain(packet).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next;
            if packet == Some(next) {
                let (_, (from, to, packet)) = self.packets.pop_first().expect("a packet is due");
                self.arrive(from, to, packet);
            } else if let Some((_, slot)) = timer {
                self.node(slot).daemon.handle_timeout(next);
                self.drain(slot);
            }
        }
        self.now = end;
    }

    fn arrive(&mut self, from: u16, to: SocketAddr, packet: Bytes) {
        let Some(slot) = (0..SLOTS).find(|slot| address(*slot) == to) else { return };
        if self.side[usize::from(from)] != self.side[usize::from(slot)] {
            return;
        }
        let (now, boot) = (self.now, self.nodes[&from].boot);
        let received = Received { from: address(from), slot: Slot(from), boot, packet };
        self.node(slot).daemon.handle_received(now, [received]);
        self.drain(slot);
    }

    fn request(&mut self, slot: u16) {
        let session = SessionId(self.random(3));
        let group = GroupName(format!("g{}", self.random(3)).into());
        let body = match self.random(8) {
            0 | 1 => {
                let name = PrivateName(format!("#u{}#d{slot}", session.0).into());
                RequestBody::Open { session, name, membership: true }
            }
            2 => RequestBody::Close { session, broken: true },
            3 | 4 => RequestBody::Join { session, group },
            5 => RequestBody::Leave { session, group },
            _ => {
                let message = Multicast {
                    service: if self.random(2) == 0 { Service::Safe } else { Service::Agreed },
                    extra_bits: 0,
                    hint: [0; 4],
                    groups: [group].into(),
                    payload: vec![1; self.random(5000) as usize].into(),
                };
                RequestBody::Multicast { session, message }
            }
        };
        let now = self.now;
        let node = self.node(slot);
        node.requests += 1;
        let number = RequestNumber(node.requests);
        node.daemon.requests(now, LinkId(0), [&Request { number, body }]);
        self.drain(slot);
    }

    fn disturb(&mut self) {
        match self.random(6) {
            0 => self.side = [0; SLOTS as usize],
            1 | 2 => {
                for slot in 0..usize::from(SLOTS) {
                    self.side[slot] = self.random(2);
                }
            }
            3 => {
                let slot = self.random(u64::from(SLOTS)) as u16;
                self.start(slot);
            }
            _ => self.loss_thousandths = self.random(60),
        }
    }

    fn check(&self, seed: u64) {
        let first = &self.nodes[&0].daemon;
        for (slot, node) in &self.nodes {
            assert_eq!(node.daemon.ring_status().members.len(), 4, "seed {seed} slot {slot}");
            assert_eq!(node.daemon.engine().state(), first.engine().state(), "seed {seed}");
            assert_eq!(node.acknowledged, node.requests, "seed {seed} slot {slot}");
        }
    }
}

#[test]
fn after_faults_all_daemons_agree_and_nothing_is_lost() {
    for seed in 1..=30 {
        let mut world = World::new(seed);
        for _ in 0..40 {
            for _ in 0..world.random(12) {
                let slot = world.random(u64::from(SLOTS)) as u16;
                world.request(slot);
            }
            if world.random(3) == 0 {
                world.disturb();
            }
            let pause = world.random(300);
            world.run(Duration::from_millis(pause));
        }
        world.side = [0; SLOTS as usize];
        world.loss_thousandths = 0;
        world.run(Duration::from_secs(6));
        world.check(seed);
    }
}
