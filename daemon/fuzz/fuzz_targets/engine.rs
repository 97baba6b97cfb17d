//! Whole daemons, ring and engine, fed operations made from the input.
//!
//! Two daemons over a link that the input may cut. Operations: requests of the endpoints, made-up
//! packets from the other daemon, passing time. Whatever happens, neither panics nor falls silent.

#![no_main]

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use spread_engine::{Bounds, Daemon, DaemonOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription};
use spread_ring::{Destination, Output, Received, Settings, Timers, Windows};
use spread_wire::ids::{
    BootId, EndpointName, EndpointUid, GroupName, PrivateName, RequestNumber, RingNumber,
    SessionId, Slot,
};
use spread_wire::link::{Multicast, Request, RequestBody};
use spread_wire::service::Service;
use spread_wire::time::Instant;
use std::collections::VecDeque;

const LINK: LinkId = LinkId(1);
/// Packets under way; more are lost.
const UNDER_WAY: usize = 200;

struct World {
    now: Instant,
    daemons: [Option<Daemon>; 2],
    requests: [u64; 2],
    under_way: VecDeque<(usize, Bytes)>,
}

fn address(slot: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, slot as u8 + 1)), 4803)
}

fn boot(slot: usize) -> BootId {
    BootId(slot as u128 + 1)
}

fn daemon(now: Instant, me: usize) -> Daemon {
    let ring = Settings {
        ring: RingNumber(1),
        me: Slot(me as u16),
        boot: boot(me),
        slots: 2,
        configuration_hash: 7,
        wall_clock_milliseconds: 1_700_000_000_000,
        seed: me as u64 + 1,
        packet_bytes: 1400,
        timers: Timers::lan(),
        windows: Windows::default(),
    };
    let describe = |slot: i64| SlotDescription {
        name: EndpointName(format!("d{slot}").into()),
        vs_key: slot,
    };
    let engine = EngineSettings {
        me: Slot(me as u16),
        slots: (0..2).map(describe).collect(),
        bounds: Bounds::default(),
        lost_retention: LOST_RETENTION,
    };
    let mut daemon = Daemon::new(now, ring, engine);
    daemon.attach_builtin(now, LINK, EndpointUid(me as u128));
    daemon.resolved(now, Slot(1 - me as u16), &[address(1 - me)]);
    daemon
}

impl World {
    fn new() -> Self {
        let now = Instant(1_000_000);
        let daemons = [0, 1].map(|me| Some(daemon(now, me)));
        let mut world = Self { now, daemons, requests: [0; 2], under_way: VecDeque::new() };
        for _ in 0..200 {
            world.carry();
            world.pass(Duration::from_millis(5));
        }
        world
    }

    fn drain(&mut self, index: usize) {
        let Some(daemon) = &mut self.daemons[index] else { return };
        while let Some(output) = daemon.poll_output() {
            match output {
                DaemonOutput::Ring(Output::Send { to, packet }) => {
                    let meant = match to {
                        Destination::Everyone => true,
                        Destination::Slot(slot) => usize::from(slot.0) == 1 - index,
                        Destination::Address(to) => to == address(1 - index),
                    };
                    if meant && self.under_way.len() < UNDER_WAY {
                        self.under_way.push_back((1 - index, packet));
                    }
                }
                DaemonOutput::Ring(Output::Left | Output::Superseded { .. }) => {
                    self.daemons[index] = None;
                    return;
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        for index in 0..2 {
            if let Some(daemon) = &mut self.daemons[index]
                && daemon.poll_timeout().is_some_and(|due| due <= self.now)
            {
                daemon.handle_timeout(self.now);
            }
            self.drain(index);
        }
    }

    fn carry(&mut self) {
        for _ in 0..self.under_way.len() {
            if let Some((to, packet)) = self.under_way.pop_front() {
                self.receive(to, packet);
            }
        }
    }

    fn receive(&mut self, to: usize, packet: Bytes) {
        let from = 1 - to;
        let received =
            Received { from: address(from), slot: Slot(from as u16), boot: boot(from), packet };
        if let Some(daemon) = &mut self.daemons[to] {
            daemon.handle_received(self.now, [received]);
        }
        self.drain(to);
    }

    /// A packet that waits to be carried, with one byte changed.
    fn damage(&mut self, place: u8, value: u8) {
        if let Some((_, packet)) = self.under_way.front_mut() {
            let mut bytes = packet.to_vec();
            let at = usize::from(place) % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            *packet = bytes.into();
        }
    }

    fn request(&mut self, index: usize, kind: u8, which: u8, bytes: &[u8]) {
        let session = SessionId(u64::from(which & 3));
        let group = GroupName(format!("g{}", which >> 2 & 3).into());
        let body = match kind % 7 {
            0 => {
                let name = PrivateName(format!("#s{}#d{index}", which & 3).into());
                RequestBody::Open { session, name, membership: which & 4 == 0 }
            }
            1 => RequestBody::Close { session, broken: which & 4 == 0 },
            2 => RequestBody::Join { session, group },
            3 => RequestBody::Leave { session, group },
            4 => {
                let bytes = Bytes::copy_from_slice(bytes);
                RequestBody::Part { session, index: u32::from(which >> 4), bytes }
            }
            _ => {
                let service = Service::from_bits(1 << (which >> 4 & 7)).unwrap_or(Service::Safe);
                let payload = Bytes::copy_from_slice(bytes);
                let message = Multicast {
                    service,
                    extra_bits: 0,
                    hint: [0; 4],
                    groups: [group].into(),
                    payload,
                };
                if kind % 7 == 6 {
                    RequestBody::Rest { session, parts: u32::from(which >> 4), message }
                } else {
                    RequestBody::Multicast { session, message }
                }
            }
        };
        // Mostly the next number, as a front gives it.
        if which != 255 {
            self.requests[index] += 1;
        }
        let number = RequestNumber(self.requests[index]);
        if let Some(daemon) = &mut self.daemons[index] {
            daemon.requests(self.now, LINK, [&Request { number, body }]);
        }
        self.drain(index);
    }
}

fuzz_target!(|input: &[u8]| {
    let mut world = World::new();
    let mut input = input;
    while let [operation, argument, rest @ ..] = input {
        input = rest;
        let index = usize::from(operation >> 7);
        match operation & 7 {
            0 => world.pass(Duration::from_millis(u64::from(*argument))),
            1 => world.pass(Duration::from_millis(u64::from(*argument) * 10)),
            2 => world.carry(),
            3 => world.under_way.clear(),
            4 => world.damage(*argument, operation >> 3),
            5 => {
                let (packet, rest) = input.split_at(input.len().min(usize::from(*argument)));
                input = rest;
                world.receive(index, Bytes::copy_from_slice(packet));
            }
            _ => {
                let bytes = &input[..input.len().min(usize::from(*argument))];
                world.request(index, operation >> 3 & 7, *argument, bytes);
            }
        }
    }
});
