//! One daemon process of a world: front, engine and ring with their clock, their sockets and what waits at them.

use crate::fault::Site;
use crate::settings::Settings;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use spread_engine::{Daemon, EngineSettings, LinkId, SlotDescription};
use spread_front::{Authentication, ConnectionId, Front, FrontSettings};
use spread_ring::{Configuration, Received};
use spread_wire::frame::Layout;
use spread_wire::ids::{BootId, EndpointName, EndpointUid, RingNumber, Slot};
use spread_wire::link::{Attach, LinkEvent, Request};
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

/// What an endpoint says over its link.
#[derive(Clone, Debug)]
pub enum Up {
    /// It asks to be served.
    Attach(Attach),
    /// It asks for something to be ordered.
    Request(Request),
    /// The link ended.
    End,
}

/// An endpoint in a process of its own, as a sidecar is.
#[derive(Debug)]
pub struct Remote {
    /// The daemon's process, and the name of the link there.
    pub link: Option<(usize, LinkId)>,
    /// The daemon serves it.
    pub attached: bool,
    /// When it tries another daemon.
    pub retry_at: Option<Instant>,
    /// The only daemon that it attaches at, if a scenario says so.
    pub only: Option<Site>,
    /// Daemons that could not judge its attach, in a row.
    pub refused: usize,
    /// How long its link takes, one way.
    pub delay: Duration,
}

/// The daemon's end of a client's socket.
#[derive(Debug)]
pub struct Pipe {
    /// Whose.
    pub client: usize,
    /// What waits to be read.
    pub waiting: VecDeque<FromClient>,
}

/// A process: a daemon with the endpoint built into it, or an endpoint of its own.
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
    /// Engine and ring; `None` for an endpoint of its own.
    pub daemon: Option<Daemon>,
    /// What an endpoint of its own is besides its front.
    pub remote: Option<Remote>,
    /// Endpoints that a daemon has links to, by process.
    pub links: BTreeMap<LinkId, usize>,
    /// What came over those links while the daemon was not scheduled.
    pub inbox: VecDeque<(LinkId, Up)>,
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
    /// Its daemon was told to.
    pub left: bool,
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

fn front_settings(uid: EndpointUid, seed: u64, settings: &Settings) -> FrontSettings {
    FrontSettings {
        name: EndpointName::from(""),
        uid,
        seed: seed ^ 0x5eed,
        layout: Layout { message_bytes: MESSAGE_BYTES, ..Layout::default() },
        sessions: settings.sessions,
        session_queue_bytes: settings.session_queue_bytes,
        request_bytes: settings.request_bytes,
        large_bytes: settings.large_bytes,
        part_bytes: settings.part_bytes,
        slow_reader: settings.slow_reader,
        handshake_timeout: settings.handshake_timeout,
        authentication: Authentication::default(),
        access: Vec::new(),
        await_open: settings.await_open,
        reattaches: false,
    }
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
            slots: (settings.daemons + settings.spare_slots) as u16,
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
            ..front_settings(uid, seed, settings)
        });
        Self::new(now, (site, boot, address), clock, front, (Some(daemon), None))
    }

    /// The endpoint built into it.
    #[must_use]
    pub fn uid(&self) -> EndpointUid {
        EndpointUid(self.boot.0)
    }

    /// An endpoint in a process of its own that starts at `now`.
    #[must_use]
    pub fn start_endpoint(
        now: Instant,
        site: Site,
        uid: u128,
        delay: Duration,
        settings: &Settings,
    ) -> Self {
        let seed = (uid >> 64) as u64 ^ uid as u64;
        let front = Front::new(FrontSettings {
            name: EndpointName(site.to_string().into()),
            reattaches: true,
            ..front_settings(EndpointUid(uid), seed, settings)
        });
        let remote = Remote {
            link: None,
            attached: false,
            retry_at: Some(now),
            only: None,
            refused: 0,
            delay,
        };
        let clock = Clock { offset: 0, drift: 0, skew: 0 };
        Self::new(now, (site, BootId(uid), address(0, 0xfffe)), clock, front, (None, Some(remote)))
    }

    /// A process that runs either a daemon or an endpoint of its own.
    fn new(
        now: Instant,
        (site, boot, address): (Site, BootId, SocketAddr),
        clock: Clock,
        front: Front,
        (daemon, remote): (Option<Daemon>, Option<Remote>),
    ) -> Self {
        Self {
            site,
            boot,
            address,
            clock,
            daemon,
            remote,
            links: BTreeMap::new(),
            inbox: VecDeque::new(),
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
            left: false,
            ended: false,
            due: Some(now),
        }
    }

    /// The daemon of a process that is one.
    ///
    /// # Panics
    /// In an endpoint's process.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("only daemons get packets")
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
        let daemon = self.daemon.as_ref().and_then(Daemon::poll_timeout);
        let timers = daemon.into_iter().chain(self.front.poll_timeout());
        let due = timers.min().map(|local| self.clock.world(local).max(now));
        let retry = self.remote.as_ref().and_then(|remote| remote.retry_at).map(|at| at.max(now));
        // Events held back for a reader that is slow are looked at again.
        let held = (!self.link.is_empty()).then(|| now + crate::world::LOOK_AGAIN);
        let all = due.into_iter().chain(held).chain(retry);
        self.due = if self.runs() { all.min() } else { None };
    }

    /// Whether it has nothing left to do but to keep the token going.
    #[must_use]
    pub fn quiet(&self) -> bool {
        let rests = |daemon: &Daemon| {
            let (status, ring) = (daemon.status(), daemon.ring_status());
            status.waiting_bytes == 0
                && !status.exchanging
                && ring.stable == ring.seq
                && daemon.ring_counters().backlog_bytes == 0
        };
        self.front.unacknowledged() == 0
            && self.link.is_empty()
            && self.daemon.as_ref().is_none_or(rests)
            && self.remote.as_ref().is_none_or(|remote| remote.attached)
            && self.pipes.values().all(|pipe| pipe.waiting.is_empty())
    }
}
