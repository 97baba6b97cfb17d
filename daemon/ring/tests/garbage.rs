//! A ring that gets packets nobody would send: it may refuse, gather or stop, but never panic or hang.
//!
//! Two rings form one configuration over a lossless link. Then one of them gets made-up packets, as if
//! from the other, from a daemon it never met and from outside the slots, mixed with real traffic.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use proptest::prelude::*;
use spread_ring::{Destination, Output, Phase, Received, Ring, Settings, Timers, Windows};
use spread_wire::ids::{BootId, Claim, ConfigurationId, DaemonId, RingNumber, Slot};
use spread_wire::packet::{
    Data, Join, OldRing, Packet, Plan, Propose, Proposed, State, Token, tag,
};
use spread_wire::service::Guarantee;
use spread_wire::time::Instant;
use std::collections::VecDeque;

const SLOTS: u16 = 4;
/// More outputs of one call are a flood that one packet set off.
const OUTPUTS: usize = 20_000;
/// Packets under way; more are lost.
const UNDER_WAY: usize = 500;

/// All choices, from one seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    /// A number near `known`, or a hostile one.
    fn near(&mut self, known: u64) -> u64 {
        match self.below(10) {
            0 => self.next(),
            1 => u64::MAX - self.below(3),
            2 => self.below(4),
            3 => known.wrapping_sub(self.below(20)),
            4 => known.saturating_add(self.below(5000)),
            _ => known.saturating_add(self.below(3)),
        }
    }

    fn bytes(&mut self, most: u64) -> Bytes {
        let length = self.below(most + 1);
        (0..length).map(|_| if self.below(3) == 0 { 0 } else { self.next() as u8 }).collect()
    }

    fn list<T>(&mut self, most: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }
}

struct World {
    random: Random,
    now: Instant,
    boots: [BootId; 2],
    rings: [Ring; 2],
    under_way: VecDeque<(usize, Bytes)>,
    /// Tags of the last proposals seen, and what was sent: garbage is made of them too.
    tags: Vec<u64>,
    sent: Vec<Bytes>,
}

fn address(slot: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, slot as u8 + 1)), 4803)
}

fn ring(now: Instant, me: u16, boot: BootId) -> Ring {
    let settings = Settings {
        ring: RingNumber(1),
        me: Slot(me),
        boot,
        slots: SLOTS,
        configuration_hash: 7,
        wall_clock_milliseconds: 1_700_000_000_000 + now.0 / 1_000_000,
        seed: boot.0 as u64,
        packet_bytes: 1400,
        timers: Timers::lan(),
        windows: Windows::default(),
    };
    let mut ring = Ring::new(now, settings);
    for slot in (0..SLOTS).filter(|slot| *slot != me) {
        ring.resolved(Slot(slot), &[address(slot)]);
    }
    ring
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Instant(1_000_000);
        let boots = [BootId(11), BootId(12)];
        let rings = [ring(now, 0, boots[0]), ring(now, 1, boots[1])];
        let (random, under_way) = (Random(seed | 1), VecDeque::new());
        let mut world =
            Self { random, now, boots, rings, under_way, tags: vec![0], sent: Vec::new() };
        world.settle();
        world
    }

    /// Real traffic only, until the two are one configuration.
    fn settle(&mut self) {
        for _ in 0..4000 {
            let formed = self.rings.iter().all(|ring| {
                let status = ring.status();
                status.phase == Phase::Operational && status.members.len() == 2
            });
            if formed && self.under_way.is_empty() {
                return;
            }
            self.carry();
            self.pass(Duration::from_millis(1));
        }
        panic!("the two rings did not become one configuration");
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for index in 0..2 {
            if self.rings[index].poll_timeout().is_some_and(|due| due <= self.now) {
                self.rings[index].handle_timeout(self.now);
            }
            self.drain(index);
        }
    }

    /// Hands over what is under way now.
    fn carry(&mut self) {
        for _ in 0..self.under_way.len() {
            let Some((to, packet)) = self.under_way.pop_front() else { return };
            let from = 1 - to;
            self.receive(to, (from as u16, self.boots[from], address(from as u16)), packet);
        }
    }

    fn receive(&mut self, to: usize, from: (u16, BootId, SocketAddr), packet: Bytes) {
        let (slot, boot, from) = from;
        let received = Received { from, slot: Slot(slot), boot, packet };
        self.rings[to].handle_received(self.now, received);
        self.drain(to);
    }

    fn drain(&mut self, index: usize) {
        let other = Slot(1 - index as u16);
        let (mut count, mut stopped) = (0, false);
        while let Some(output) = self.rings[index].poll_output() {
            count += 1;
            assert!(count < OUTPUTS, "one call had {count} outputs");
            match output {
                Output::Send { to, packet } => {
                    assert!(packet.len() <= 1400);
                    let meant = match to {
                        Destination::Everyone => true,
                        Destination::Slot(slot) => slot == other,
                        Destination::Address(to) => to == address(other.0),
                    };
                    if meant && self.under_way.len() < UNDER_WAY {
                        self.remember(&packet);
                        self.under_way.push_back((usize::from(other.0), packet));
                    }
                }
                Output::Left | Output::Superseded { .. } => stopped = true,
                _ => {}
            }
        }
        if stopped {
            self.boots[index] = BootId(u128::from(self.random.next()));
            self.rings[index] = ring(self.now, index as u16, self.boots[index]);
            self.drain(index);
        }
    }

    fn remember(&mut self, packet: &Bytes) {
        if let Ok(Packet::Propose(propose)) = Packet::decode(packet.clone()) {
            self.tags.push(tag(&propose.id));
        }
        self.sent.push(packet.clone());
        if self.sent.len() > 64 {
            self.sent.remove(0);
        }
    }

    fn step(&mut self) {
        match self.random.below(12) {
            0 => {
                let time = Duration::from_millis(self.random.below(40));
                self.pass(time);
            }
            1 => {
                let time = Duration::from_millis(self.random.below(1500));
                self.pass(time);
            }
            2 | 3 => self.carry(),
            4 => {
                let (index, payload) = (self.random.below(2) as usize, self.random.bytes(3000));
                let _ = self.rings[index].submit(Guarantee::Safe, payload);
                self.rings[index].flush(self.now);
                self.drain(index);
            }
            5 if self.random.below(40) == 0 => {
                self.rings[0].leave(self.now);
                self.drain(0);
            }
            6 => {
                let packet = self.damaged();
                self.receive(0, (1, self.boots[1], address(1)), packet);
            }
            _ => {
                let packet = self.packet().encode();
                let from = match self.random.below(6) {
                    0 => (2, BootId(99), address(2)),
                    1 => (1, BootId(u128::from(self.random.next())), address(1)),
                    2 => (1, self.boots[1], address(3)),
                    3 => (self.random.next() as u16, BootId(5), address(3)),
                    _ => (1, self.boots[1], address(1)),
                };
                self.receive(0, from, packet);
            }
        }
    }

    /// A real packet with some bytes changed.
    fn damaged(&mut self) -> Bytes {
        let index = self.random.below(self.sent.len().max(1) as u64) as usize;
        let mut bytes = self.sent.get(index).map(|sent| sent.to_vec()).unwrap_or_default();
        for _ in 0..self.random.below(4) {
            let at = self.random.below(bytes.len().max(1) as u64) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte = self.random.next() as u8;
            }
        }
        bytes.into()
    }

    fn packet(&mut self) -> Packet {
        let (tag, seq) = (self.tag(), self.rings[0].status().seq);
        match self.random.below(19) {
            0..=2 => Packet::Token(self.token(tag, seq)),
            3..=5 => Packet::Data(self.data(tag, seq)),
            6 => Packet::Sign { tag, visit: self.random.near(seq) },
            7 => Packet::Request {
                tag,
                ranges: self.random.list(64, |random| (random.near(seq), random.near(3) as u32)),
            },
            8 => Packet::Join(self.join()),
            9 => Packet::Propose(self.propose()),
            10 => Packet::State(State {
                tag,
                old: (self.random.below(3) > 0).then(|| self.old_ring()),
            }),
            11 => {
                let count = self.random.below(4);
                let reports = (0..count).map(|_| (self.slot(), self.old_ring())).collect();
                Packet::Plan(Plan { tag, reports })
            }
            12 => Packet::Complete { tag },
            13 => Packet::Install { tag },
            14 => Packet::Probe {
                tag,
                hash: 7,
                ring: self.random.near(1) as u32,
                claim: Claim(self.random.near(3)),
            },
            15 => match self.random.below(5) {
                0 => Packet::Leave { tag },
                1 => Packet::Superseded { by: self.daemon() },
                2 => Packet::SlotClaimed { by: self.daemon(), at: Some(address(3)) },
                3 => Packet::Hurry { tag },
                _ => Packet::Ping { tag },
            },
            16 => self.part(),
            17 => Packet::Answer(self.join()),
            _ => Packet::Echo { nonce: self.random.next() },
        }
    }

    fn token(&mut self, tag: u64, seq: u64) -> Token {
        let random = &mut self.random;
        let visits = random.below(4000);
        Token {
            tag,
            to: Slot(random.below(3) as u16),
            visit: random.near(visits),
            seq: random.near(seq),
            aru: random.near(seq),
            aru_owner: (random.below(2) == 0).then(|| Slot(random.below(5) as u16)),
            sent: random.near(20) as u32,
            quiet: random.near(3) as u32,
            last_sender: Slot(random.below(5) as u16),
            wants_sign: random.below(2) == 0,
            requests: random.list(8, |random| {
                (Slot(random.below(5) as u16), random.near(seq), random.near(4) as u32)
            }),
        }
    }

    fn data(&mut self, tag: u64, seq: u64) -> Data {
        let (originator, seq) = (self.slot(), self.random.near(seq));
        Data {
            tag,
            originator,
            seq,
            visit: self.random.near(9),
            stable: self.random.near(seq).min(seq),
            body: self.random.bytes(60),
        }
    }

    fn join(&mut self) -> Join {
        let me = if self.random.below(2) == 0 { self.real(1) } else { self.daemon() };
        let (candidates, failed) = (self.random.below(5), self.random.below(3));
        Join {
            ring: RingNumber(1),
            hash: if self.random.below(8) == 0 { 8 } else { 7 },
            attempt: self.random.near(5),
            epoch: self.random.near(5),
            me,
            old: (self.random.below(2) == 0).then(|| self.configuration()),
            candidates: (0..candidates).map(|_| self.daemon()).collect(),
            failed: (0..failed)
                .map(|_| self.daemon())
                .map(|daemon| (daemon.slot, daemon.boot))
                .collect(),
            claims: vec![(Slot(1), Claim(self.random.near(5)))],
            unreached: vec![Slot(self.random.below(5) as u16)],
            addresses: vec![(
                Slot(self.random.below(5) as u16),
                address(self.random.below(5) as u16),
            )],
        }
    }

    fn propose(&mut self) -> Propose {
        let mut members: Vec<_> = (0..self.random.below(5))
            .map(|_| {
                let old = (self.random.below(2) == 0).then(|| self.configuration());
                Proposed { daemon: self.daemon(), old, attempt: self.random.below(5) }
            })
            .collect();
        members.sort_by_key(|member| member.daemon.slot);
        members.dedup_by_key(|member| member.daemon.slot);
        let id = self.configuration();
        self.tags.push(tag(&id));
        Propose { id, members }
    }

    fn old_ring(&mut self) -> OldRing {
        let aru = {
            let seq = self.rings[0].status().seq;
            self.random.near(seq)
        };
        let bitmap = self.random.bytes(10);
        let ahead = self.random.below(bitmap.len() as u64 * 8 + 1);
        OldRing {
            id: self.configuration(),
            aru,
            high: aru.saturating_add(ahead),
            stable: aru - self.random.below(3).min(aru),
            bitmap,
            obligation: self.random.list(2, |random| Slot(random.below(5) as u16)),
        }
    }

    /// A packet in parts that do not fit together.
    fn part(&mut self) -> Packet {
        let bytes = match self.random.below(2) {
            0 => self.random.bytes(40),
            _ => Packet::Join(self.join()).encode(),
        };
        let (message, random) = (self.random.below(3) as u32, &mut self.random);
        let (index, count) = (random.near(0) as u16, random.near(1) as u16);
        Packet::Part { message, index, count, claim: Claim(random.near(3)), bytes }
    }

    fn tag(&mut self) -> u64 {
        match (self.random.below(4), self.rings[0].status().configuration) {
            (0, _) => self.tags[self.random.below(self.tags.len() as u64) as usize],
            (1, _) => self.tags.last().copied().unwrap_or(0),
            (_, Some(id)) => tag(&id),
            (_, None) => self.random.next(),
        }
    }

    fn slot(&mut self) -> Slot {
        Slot(if self.random.below(12) == 0 {
            self.random.next() as u16
        } else {
            self.random.below(5) as u16
        })
    }

    fn real(&self, index: usize) -> DaemonId {
        let claim = self.rings[index].status().me.claim;
        DaemonId { slot: Slot(index as u16), claim, boot: self.boots[index] }
    }

    fn daemon(&mut self) -> DaemonId {
        match self.random.below(4) {
            0 => self.real(0),
            1 => self.real(1),
            2 => DaemonId { claim: Claim(self.random.near(1)), ..self.real(1) },
            _ => {
                let boot = BootId(u128::from(self.random.near(12)));
                DaemonId { slot: self.slot(), claim: Claim(self.random.near(9)), boot }
            }
        }
    }

    fn configuration(&mut self) -> ConfigurationId {
        let known = self.rings[self.random.below(2) as usize].status().configuration;
        match known {
            Some(id) if self.random.below(3) > 0 => {
                let epoch = self.random.near(id.epoch);
                ConfigurationId { epoch, ..id }
            }
            Some(id) => id,
            None => ConfigurationId {
                ring: RingNumber(1),
                epoch: self.random.near(3),
                representative: self.slot(),
                boot: self.boots[1],
            },
        }
    }
}

proptest! {
    // A seed has no simpler form.
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 0, ..Default::default() })]

    #[test]
    fn a_ring_outlives_any_packets(seed in any::<u64>()) {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
    }
}

/// A token of the world's configuration, as the other member might pass it.
fn hostile_token(world: &World, visit: u64) -> Token {
    let id = world.rings[0].status().configuration.expect("it is in a configuration");
    Token {
        tag: tag(&id),
        to: Slot(0),
        visit,
        seq: 0,
        aru: 0,
        aru_owner: None,
        sent: 0,
        quiet: 0,
        last_sender: Slot(1),
        wants_sign: false,
        requests: Vec::new(),
    }
}

fn pass_token(world: &mut World, token: Token) {
    let from = (1, world.boots[1], address(1));
    world.receive(0, from, Packet::Token(token).encode());
}

#[test]
fn a_token_with_a_sequence_number_that_nobody_gave_out_is_refused() {
    let mut world = World::new(1);
    for visit in [100_000, 100_001, 100_002] {
        let token = hostile_token(&world, visit);
        pass_token(&mut world, Token { seq: u64::MAX, ..token });
    }
}

#[test]
fn a_token_that_was_passed_too_often_is_refused() {
    let mut world = World::new(1);
    let token = hostile_token(&world, u64::MAX);
    pass_token(&mut world, token);
}

/// An address may come to be another member's, and with it the packets for the one that had it.
#[test]
fn a_token_for_another_member_is_not_taken() {
    let mut world = World::new(1);
    let before = world.rings[0].counters().token_visits;
    let token = hostile_token(&world, 1000);
    pass_token(&mut world, Token { to: Slot(1), ..token.clone() });
    assert_eq!(world.rings[0].counters().token_visits, before);
    pass_token(&mut world, token);
    assert!(world.rings[0].counters().token_visits > before);
}

#[test]
fn a_join_of_the_last_epoch_does_not_stop_the_others() {
    let mut world = World::new(1);
    let (me, old) = (world.real(1), world.rings[0].status().configuration);
    let join = Join {
        ring: RingNumber(1),
        hash: 7,
        attempt: 1000,
        epoch: u64::MAX,
        me,
        old,
        candidates: vec![world.real(0), me],
        failed: Vec::new(),
        claims: vec![(Slot(1), Claim(u64::MAX))],
        unreached: Vec::new(),
        addresses: Vec::new(),
    };
    world.receive(0, (1, world.boots[1], address(1)), Packet::Join(join).encode());
    world.pass(Duration::from_secs(2));
    world.settle();
}

#[test]
fn a_lone_ring_takes_no_data_of_strangers() {
    let mut world = World::new(1);
    // The other is gone: nothing is carried any more.
    for _ in 0..1000 {
        world.under_way.clear();
        world.pass(Duration::from_millis(5));
    }
    assert_eq!(world.rings[0].status().members.len(), 1);
    let id = world.rings[0].status().configuration.expect("it is in a configuration");
    let (tag, stranger) = (tag(&id), (1, BootId(99), address(1)));
    world.under_way.clear();
    world.receive(0, stranger, Packet::Probe { tag, hash: 7, ring: 1, claim: Claim(0) }.encode());
    let challenge = world.under_way.pop_back().expect("it proves the address");
    let Ok(Packet::Challenge { nonce }) = Packet::decode(challenge.1) else {
        panic!("it proves the address first")
    };
    world.receive(0, stranger, Packet::Echo { nonce }.encode());
    let data = Data {
        tag,
        originator: Slot(1),
        seq: 5,
        visit: 1,
        stable: 0,
        body: Bytes::from_static(&[7]),
    };
    world.receive(0, stranger, Packet::Data(data).encode());
    let _ = world.rings[0].submit(Guarantee::Safe, Bytes::from_static(b"x"));
    world.rings[0].flush(world.now);
    world.drain(0);
    let status = world.rings[0].status();
    assert_eq!((status.seq, status.stable), (1, 1), "its own is all there is");
}

#[test]
fn what_another_says_to_be_stable_is_delivered_at_once_as_far_as_it_is_here() {
    let mut world = World::new(1);
    let status = world.rings[0].status();
    let id = status.configuration.expect("it is in a configuration");
    let (tag, seq) = (tag(&id), status.seq);
    let before = world.rings[0].counters().payloads_delivered;
    // A packet with one whole SAFE payload of a byte.
    let mut data = |seq, stable| -> (u64, u64) {
        let body = Bytes::from_static(&[1 << 3 | 7, b'x']);
        let data = Data { tag, originator: Slot(1), seq, visit: 1, stable, body };
        let from = (1, world.boots[1], address(1));
        world.receive(0, from, Packet::Data(data).encode());
        let ring = &world.rings[0];
        (ring.counters().payloads_delivered - before, ring.status().stable)
    };
    let nothing = (0, seq);
    assert_eq!(data(seq + 1, seq), nothing, "nobody said that all have it");
    assert_eq!(data(seq + 2, seq + 1), (1, seq + 1));
    assert_eq!(data(seq + 4, seq + 3), (2, seq + 2), "what is not here is not stable");
    assert_eq!(data(seq + 3, seq), (2, seq + 2), "an older word takes nothing back");
    assert_eq!(data(seq + 5, seq + 4), (4, seq + 4));
}
