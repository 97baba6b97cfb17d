//! One daemon process of a world: front, engine and ring with their clock, their sockets and what waits at them.

use crate::fault::Site;
use crate::settings::Settings;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use spread_engine::{Daemon, EngineSettings, LinkId, SlotDescription};
use spread_front::{Authentication, ConnectionId, Front, FrontSettings};
use spread_ring::{Configuration, Received};
use spread_wire::frame::Layout;
use spread_wire::ids::{BootId, EndpointName, EndpointUid, RingNumber, Slot};
use spread_wire::link::LinkEvent;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// The link of the built-in endpoint.
pub const LINK: LinkId = LinkId(0);
/// Largest frame of a client.
pub const MESSAGE_BYTES: usize = 144_000;
/// Packets that a paused process' socket keeps.
const SOCKET_PACKETS: usize = 200;
/// Wall clock at the start of every run, before skew.
const WALL_CLOCK_MILLISECONDS: u64 = 1_700_000_000_000;

/// A clock that is not quite right: local time runs at its own rate from its own start.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Local time at the start of the run, in nanoseconds.
    pub offset: u64,
    /// Parts of a million that it runs too fast.
    pub drift: i64,
    /// Wall clock error in milliseconds.
    pub skew: i64,
}

impl Clock {
    fn rate(self) -> u128 {
        (1_000_000 + self.drift).max(1) as u128
    }

    /// Local time at a moment of the run.
    #[must_use]
    pub fn local(self, at: Instant) -> Instant {
        Instant(self.offset + (u128::from(at.0) * self.rate() / 1_000_000) as u64)
    }

    /// First moment of the run at which it is at least so late here.
    #[must_use]
    pub fn world(self, local: Instant) -> Instant {
        let since = u128::from(local.0.saturating_sub(self.offset));
        Instant((since * 1_000_000).div_ceil(self.rate()) as u64)
    }
}

/// What a client's socket brings.
#[derive(Clone, Debug)]
pub enum FromClient {
    /// It connects.
    Connect,
    /// Bytes.
    Bytes(Bytes),
    /// It closed.
    End,
}

/// The daemon's end of a client's socket.
#[derive(Debug)]
pub struct Pipe {
    /// Whose.
    pub client: usize,
    /// What waits to be read.
    pub waiting: VecDeque<FromClient>,
    /// Whether the daemon reads.
    pub reading: bool,
}

/// A daemon process.
#[derive(Debug)]
pub struct Node {
    /// Where it is on the network.
    pub site: Site,
    /// Its boot id.
    pub boot: BootId,
    /// Its address.
    pub address: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    /// Engine and ring.
    pub daemon: Daemon,
    /// The applications' side.
    pub front: Front,
    /// Ring configuration, as [`spread_ring::Output::Peers`] names it.
    pub peers: Vec<Slot>,
    /// Proved addresses.
    pub paths: BTreeMap<Slot, SocketAddr>,
    /// Configuration installed last.
    pub installed: Option<Configuration>,
    /// Link events that wait because a session's queue is full.
    pub link: VecDeque<LinkEvent>,
    /// Sockets of clients.
    pub pipes: BTreeMap<ConnectionId, Pipe>,
    /// Not scheduled.
    pub paused: bool,
    /// Packets that came while it was not scheduled.
    pub socket: VecDeque<Received>,
    /// Sessions it accepted.
    pub accepted: u64,
    /// Leaves in an orderly way: reads from no client any more.
    pub leaving: bool,
    /// It ended.
    pub ended: bool,
    /// When it has to be called, in the time of the run.
    pub due: Option<Instant>,
}

/// The `n`-th address that a slot ever had.
#[must_use]
pub fn address(slot: usize, n: usize) -> SocketAddr {
    let ip = Ipv4Addr::new(10, slot as u8, (n >> 8) as u8, n as u8 + 1);
    SocketAddr::new(IpAddr::V4(ip), 4803)
}

/// Name of a slot.
#[must_use]
pub fn slot_name(slot: usize) -> EndpointName {
    EndpointName(format!("d{slot}").into())
}

impl Node {
    /// A process that starts at `now`.
    #[must_use]
    pub fn start(
        now: Instant,
        (site, address): (Site, SocketAddr),
        boot: BootId,
        clock: Clock,
        settings: &Settings,
    ) -> Self {
        let seed = (boot.0 >> 64) as u64 ^ boot.0 as u64;
        let me = Slot(site.slot as u16);
        let wall = WALL_CLOCK_MILLISECONDS + now.0 / 1_000_000;
        let ring = spread_ring::Settings {
            ring: RingNumber(1),
            me,
            boot,
            slots: settings.daemons as u16,
            configuration_hash: 1,
            wall_clock_milliseconds: wall.saturating_add_signed(clock.skew),
            seed,
            packet_bytes: settings.packet_bytes,
            timers: settings.timers.clone(),
            windows: settings.windows.clone(),
        };
        let describe =
            |slot| SlotDescription { name: slot_name(slot), vs_key: settings.vs_key(slot) };
        let slots = (0..settings.daemons).map(describe).collect();
        let (bounds, lost_retention) = (settings.bounds.clone(), settings.lost_retention);
        let engine = EngineSettings { me, slots, bounds, lost_retention };
        let local = clock.local(now);
        let mut daemon = Daemon::new(local, ring, engine);
        let uid = EndpointUid(boot.0);
        daemon.attach_builtin(local, LINK, uid);
        let front = Front::new(FrontSettings {
            name: slot_name(site.slot),
            uid,
            seed: seed ^ 0x5eed,
            layout: Layout { message_bytes: MESSAGE_BYTES, ..Layout::default() },
            sessions: settings.sessions,
            session_queue_bytes: settings.session_queue_bytes,
            request_bytes: settings.request_bytes,
            slow_reader: settings.slow_reader,
            handshake_timeout: settings.handshake_timeout,
            authentication: Authentication::default(),
            access: Vec::new(),
            await_open: settings.await_open,
            reattaches: false,
        });
        Self {
            site,
            boot,
            address,
            clock,
            daemon,
            front,
            peers: Vec::new(),
            paths: BTreeMap::new(),
            installed: None,
            link: VecDeque::new(),
            pipes: BTreeMap::new(),
            paused: false,
            socket: VecDeque::new(),
            accepted: 0,
            leaving: false,
            ended: false,
            due: Some(now),
        }
    }

    /// The endpoint built into it.
    #[must_use]
    pub fn uid(&self) -> EndpointUid {
        EndpointUid(self.boot.0)
    }

    /// Whether it is there and scheduled.
    #[must_use]
    pub fn runs(&self) -> bool {
        !self.ended && !self.paused
    }

    /// Keeps a packet that came while it was not scheduled, as far as its socket does.
    pub fn keep(&mut self, received: Received) {
        if self.socket.len() < SOCKET_PACKETS {
            self.socket.push_back(received);
        }
    }

    /// Works out when it has to be called next.
    pub fn plan(&mut self, now: Instant) {
        let timers = self.daemon.poll_timeout().into_iter().chain(self.front.poll_timeout());
        let due = timers.min().map(|local| self.clock.world(local).max(now));
        // Events held back for a reader that is slow are looked at again.
        let held = (!self.link.is_empty()).then(|| now + crate::world::LOOK_AGAIN);
        self.due = if self.runs() { due.into_iter().chain(held).min() } else { None };
    }

    /// Whether it has nothing left to do but to keep the token going.
    #[must_use]
    pub fn quiet(&self) -> bool {
        let status = self.daemon.status();
        let ring = self.daemon.ring_status();
        self.front.unacknowledged() == 0
            && self.link.is_empty()
            && status.waiting_bytes == 0
            && !status.exchanging
            && ring.stable == ring.seq
            && self.daemon.ring_counters().backlog_bytes == 0
            && self.pipes.values().all(|pipe| pipe.waiting.is_empty())
    }
}
