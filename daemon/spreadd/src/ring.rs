//! The ring's side: its UDP socket, and the daemon without sockets.

mod outputs;
mod report;
mod traces;

use crate::alarm::Alarm;
use crate::burst::RingSocket;
use crate::deliveries::ToClients;
use crate::key_file::KeyFile;
use crate::resolver::{Answer, QUIET_AFTER, Resolver, RingView, Standing};
use crate::settings::Settings;
use crate::snapshot::{Hint, Snapshots};
use anyhow::{Context as _, Result};
use spread_engine::{Daemon, LinkId};
use spread_ring::Received;
use spread_seal::{Inside, Key, OpenError, Seal};
use spread_wire::ids::{RingNumber, Slot};
use spread_wire::link::Request;
use spread_wire::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const LINK: LinkId = LinkId(1);
/// Of a configuration that was never reloaded.
const FIRST_GENERATION: u64 = 1;
/// Requests taken from the front in one turn.
const REQUESTS_PER_TURN: usize = 256;
/// Receive batches taken in one turn.
const BATCHES_PER_TURN: usize = 8;
/// How often the key file is looked at, and whether names are to be looked up again.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// The same once nothing has changed for [`QUIET_AFTER`].
const QUIET_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A look waits so long for something else to wake the daemon.
const LOOK_SLACK: Duration = Duration::from_millis(500);
/// Key file looks after a change at which all members are told which keys this daemon holds: packets may be lost.
const KEY_ANNOUNCEMENTS: u32 = 10;
/// An orderly leave takes no longer than this.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);
/// A turn that comes so much later than it was asked for is a stall: somewhat longer, and others take this daemon for crashed.
const STALL: Duration = Duration::from_millis(100);

/// Requests of the built-in front.
pub(crate) type FromFront = mpsc::UnboundedReceiver<Request>;

pub(crate) fn start(
    settings: &Settings,
    requests: FromFront,
    deliveries: ToClients,
    drained: watch::Receiver<bool>,
    (snapshots, hints): (Arc<Snapshots>, mpsc::Receiver<Vec<Hint>>),
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let interface = settings.slot().interfaces.iter().find(|interface| interface.daemon);
    let address = interface.map(|interface| interface.address).or(settings.slot().address());
    let group = settings.conf.multicast_group();
    let mut socket = RingSocket::bind(address, settings.slot().port)?;
    if let (Some(group), Some(IpAddr::V4(own))) = (group, address) {
        socket.join(group, own)?;
    }
    let me = (Slot(settings.index as u16), settings.boot);
    let (key_file, keys) = match &settings.keys {
        Some(path) => KeyFile::read(path).map(|(file, keys)| (Some(file), keys))?,
        None => (None, Vec::new()),
    };
    let key_ids = keys.iter().map(Key::id).collect();
    let seal =
        Seal::new(&settings.conf.cluster_uid, RingNumber(settings.conf.ring_number), me, keys);
    let clock = Clock(std::time::Instant::now());
    let mut daemon = Daemon::new(clock.now(), settings.ring(), settings.engine());
    daemon.attach_builtin(clock.now(), LINK, settings.uid);
    let names = settings.conf.slots.iter().map(|slot| slot.name.clone()).collect();
    snapshots.update(|status| {
        status.name.clone_from(&settings.name);
        status.slot = settings.index;
        status.boot = format!("{:?}", settings.boot);
        status.version = env!("CARGO_PKG_VERSION").to_owned();
        status.ring_number = settings.conf.ring_number;
        status.slots = settings.conf.slots.len();
        status.configuration_hash = format!("{:016x}", settings.conf.hash());
        status.configuration_generation = FIRST_GENERATION;
    });
    let hosts = settings.conf.slots.iter().map(|slot| (slot.host.clone(), slot.port)).collect();
    let (resolver, answers) = Resolver::new(hosts);
    let driver = Driver {
        me: me.0,
        daemon,
        socket,
        alarm: Alarm::new().context("a timer can't be made")?,
        seal,
        key_file,
        key_ids,
        key_announcements: 0,
        admin_refused: Arc::clone(&settings.admin_refused),
        group: group.map(SocketAddr::V4),
        clock,
        names,
        resolver,
        quiet_since: None,
        deliveries,
        snapshots,
        paths: BTreeMap::new(),
        peers: Vec::new(),
        batch: Vec::new(),
        received: Vec::new(),
        burst: outputs::Burst::default(),
        refused: BTreeMap::new(),
        opened: BTreeMap::new(),
        changing: None,
        waiting_said: None,
        stalls: Stalls::default(),
        end: None,
    };
    Ok(driver.run(requests, drained, (answers, hints)))
}

/// The monotonic clock, from the start of the process.
struct Clock(std::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Turns that came too late.
#[derive(Default)]
struct Stalls {
    count: u64,
    milliseconds: u64,
}

struct Driver {
    me: Slot,
    daemon: Daemon,
    socket: RingSocket,
    alarm: Alarm,
    seal: Seal,
    key_file: Option<KeyFile>,
    key_ids: Vec<u32>,
    /// How often the keys held are still to be announced.
    key_announcements: u32,
    admin_refused: Arc<AtomicU64>,
    /// Where packets for all go once, by multicast.
    group: Option<SocketAddr>,
    clock: Clock,
    names: Vec<String>,
    resolver: Resolver,
    /// Since when the regular configuration stands; `None`: there is none, or it is being changed.
    quiet_since: Option<Instant>,
    deliveries: ToClients,
    snapshots: Arc<Snapshots>,
    /// Proved address of each slot.
    paths: BTreeMap<Slot, SocketAddr>,
    /// Whom `Destination::Everyone` means.
    peers: Vec<Slot>,
    /// Empty between two batches of requests.
    batch: Vec<Request>,
    /// Empty between two batches of packets.
    received: Vec<Received>,
    burst: outputs::Burst,
    refused: BTreeMap<(SocketAddr, &'static str), Instant>,
    /// Packets that were not opened, by reason.
    opened: BTreeMap<OpenError, u64>,
    /// Since when the membership changes, and why.
    changing: Option<(Instant, String)>,
    /// When it was logged last that another daemon has the slot.
    waiting_said: Option<Instant>,
    stalls: Stalls,
    end: Option<Result<()>>,
}

impl Driver {
    async fn run(
        mut self,
        mut requests: FromFront,
        mut drained: watch::Receiver<bool>,
        (mut answers, mut hints): (mpsc::Receiver<Answer>, mpsc::Receiver<Vec<Hint>>),
    ) -> Result<()> {
        let known: Vec<Answer> = self.resolver.known().collect();
        for (slot, addresses) in known {
            self.daemon.resolved(self.clock.now(), slot, &addresses);
        }
        let mut look = self.clock.now();
        let (mut leaving, mut leave_by) = (false, None);
        let snapshots = Arc::clone(&self.snapshots);
        loop {
            self.carry_out();
            if let Some(end) = self.end.take() {
                self.write_snapshot();
                return end;
            }
            let now = self.clock.now();
            self.daemon.set_congested(now, self.deliveries.congested());
            self.carry_out();
            let look_by = look + LOOK_SLACK;
            let next = self.daemon.poll_timeout().map_or(look_by, |deadline| deadline.min(look_by));
            let wait = next.since(now);
            tokio::select! {
                biased;
                () = snapshots.ring_loop.asked() => self.write_snapshot(),
                () = self.socket.readable() => self.receive(),
                Some(request) = requests.recv(), if !leaving || !requests.is_empty() => {
                    self.requests(request, &mut requests);
                }
                Some(answer) = answers.recv() => {
                    let slot = answer.0;
                    if let Some(addresses) = self.resolver.answered(now, answer) {
                        self.daemon.resolved(now, slot, &addresses);
                    }
                }
                Some(hints) = hints.recv() => self.take_hints(&hints),
                // The front has sent its last request.
                _ = drained.changed(), if !leaving => {
                    leaving = true;
                    leave_by = Some(now + LEAVE_TIMEOUT);
                    while let Ok(request) = requests.try_recv() {
                        self.requests(request, &mut requests);
                    }
                    self.daemon.leave(self.clock.now());
                }
                () = self.alarm.sleep(wait) => {}
            }
            let now = self.clock.now();
            self.stalled(now.since(next));
            if self.daemon.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.daemon.handle_timeout(now);
            }
            if now >= look {
                look = now + self.look_interval();
                self.look_up_names();
                self.look_at_keys();
            }
            if leave_by.is_some_and(|deadline| now >= deadline) {
                tracing::warn!("the ring could not be left in order in {LEAVE_TIMEOUT:?}");
                return Ok(());
            }
        }
    }

    /// Takes a request and those that wait behind it.
    fn requests(&mut self, first: Request, others: &mut FromFront) {
        let batch = &mut self.batch;
        batch.push(first);
        while batch.len() < REQUESTS_PER_TURN
            && let Ok(request) = others.try_recv()
        {
            batch.push(request);
        }
        self.daemon.requests(self.clock.now(), LINK, batch.iter());
        batch.clear();
    }

    /// Addresses that an administrator names are tried like those of a name server.
    fn take_hints(&mut self, hints: &[Hint]) {
        for hint in hints {
            let slot = Slot(hint.slot as u16);
            if let Some(addresses) = self.resolver.hinted(slot, &hint.addresses) {
                self.daemon.resolved(self.clock.now(), slot, &addresses);
            }
        }
    }

    /// Says when this process had no turn for so long that others may have taken it for crashed: from outside it looks the same.
    fn stalled(&mut self, late: Duration) {
        if late < STALL {
            return;
        }
        self.stalls.count += 1;
        self.stalls.milliseconds += u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(
            "stood still for {} ms: give this daemon more CPU (in Kubernetes: its requests), or others take it for crashed",
            late.as_millis()
        );
    }

    fn look_interval(&self) -> Duration {
        let quiet = self.quiet_since.map(|since| self.clock.now().since(since));
        let long = quiet.is_some_and(|quiet| quiet >= QUIET_AFTER);
        if long { QUIET_LOOK_INTERVAL } else { LOOK_INTERVAL }
    }

    fn look_up_names(&mut self) {
        let (now, status) = (self.clock.now(), self.daemon.ring_status());
        let looks_outside = status.members.first().is_some_and(|first| first.slot == self.me);
        let quiet = self.quiet_since.map(|since| now.since(since));
        let standing = |slot| match status.members.iter().any(|member| member.slot == slot) {
            _ if slot == self.me => None,
            true => Some(Standing::Member),
            false => Some(Standing::Vacant),
        };
        self.resolver.look_up(now, RingView { quiet, looks_outside }, standing);
    }

    /// Takes over what the key file says now, and seals with the newest key once all members hold it.
    fn look_at_keys(&mut self) {
        if let Some(keys) = self.key_file.as_mut().and_then(KeyFile::changed) {
            self.key_ids = keys.iter().map(Key::id).collect();
            let ids: Vec<String> = self.key_ids.iter().map(u32::to_string).collect();
            tracing::info!("holds the ring keys {}", ids.join(" and "));
            self.seal.hold(keys);
            self.key_announcements = KEY_ANNOUNCEMENTS;
        }
        // While a key waits for somebody to hold it, too: a member that comes late to it learns who does.
        let waits = self.key_ids.iter().max().is_some_and(|newest| *newest > self.seal.active());
        if waits || self.key_announcements > 0 {
            self.key_announcements = self.key_announcements.saturating_sub(1);
            self.daemon.show_itself(self.clock.now());
        }
        let ring = self.daemon.ring_status();
        let others = ring.members.iter().filter(|member| member.slot != self.me);
        if self.seal.settle(others.map(|member| (member.slot, member.boot))) {
            tracing::info!("seals with the ring key {}: all members hold it", self.seal.active());
        }
    }

    fn receive(&mut self) {
        for _ in 0..BATCHES_PER_TURN {
            let (received, mut refused) = (&mut self.received, Vec::new());
            let seal = &mut self.seal;
            let open = |from, envelope: &mut [u8]| match seal.open_in_place(envelope) {
                Ok(Inside { slot, boot, packet }) => Some(((slot, boot), packet)),
                Err(error) => {
                    refused.push((from, error));
                    None
                }
            };
            let more = self.socket.receive(open, |from, (slot, boot), packet| {
                received.push(Received { from, slot, boot, packet });
            });
            refused.into_iter().for_each(|(from, error)| self.not_opened(from, error));
            if !self.received.is_empty() {
                self.daemon.handle_received(self.clock.now(), self.received.drain(..));
                self.carry_out();
            }
            if !more {
                return;
            }
        }
    }
}
