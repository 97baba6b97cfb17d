//! The clients' side: their sockets, and the front.

mod listeners;

pub(crate) use listeners::{Listeners, bind};

use crate::connection::{Connection, Gate, READ_BYTES, WRITE_BYTES};
use crate::deliveries::FromRing;
use crate::settings::Settings;
use crate::snapshot::{Session, Snapshots};
use spread_engine::EngineOutput;
use spread_front::{ConnectionId, Front, FrontOutput, FrontSettings, Peer};
use spread_wire::link::{LinkEvent, Request};
use spread_wire::time::Instant;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Link events handled before what they caused is written.
const EVENTS_PER_FLUSH: usize = 256;
/// Time is looked at after so many messages, and after anything else.
const EVENTS_PER_LOOK: usize = 8;
/// Handling events takes no longer than this before sockets are written and others have their turn, unless what is handled between
/// two looks does.
const FLUSH_TIME: Duration = Duration::from_millis(1);
/// Connections written to before others have their turn.
const WRITES_PER_TURN: usize = 512;
/// How often time is looked at while somebody has a deadline.
const TICK: Duration = Duration::from_millis(100);
/// What clients sent before the daemon stops gets so long to be taken in.
const DRAIN: Duration = Duration::from_secs(3);
/// What waits for clients at the end gets so long to be read.
const LINGER: Duration = Duration::from_millis(500);

/// An orderly end, from this side.
pub(crate) struct Stopping {
    /// Set when the daemon shall end.
    pub(crate) asked: watch::Receiver<bool>,
    /// Set when no more requests come.
    pub(crate) drained: watch::Sender<bool>,
}

pub(crate) fn start(
    listeners: Listeners,
    settings: &Settings,
    to_ring: mpsc::UnboundedSender<Request>,
    from_ring: FromRing,
    stopping: Stopping,
    snapshots: Arc<Snapshots>,
) -> impl Future<Output = ()> + use<> {
    let front = settings.front();
    async move {
        let path = listeners.path.clone();
        run(listeners, front, to_ring, from_ring, (stopping, snapshots)).await;
        let _ = std::fs::remove_file(path);
    }
}

/// What is left of the deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// More than one turn takes.
    More,
    /// More than sessions can take before they have read.
    Full,
}

/// The front and its connections, shared by the tasks of this side.
struct Hub {
    front: RefCell<Front>,
    connections: RefCell<BTreeMap<ConnectionId, Rc<Connection>>>,
    /// What all connections read into.
    input: RefCell<Box<[u8]>>,
    gate: Gate,
    /// Connections with something new to write.
    dirty: RefCell<BTreeSet<ConnectionId>>,
    /// Wakes the loop when something was read.
    progress: Notify,
    /// Wakes it when connections are left to be written to.
    unwritten: Notify,
    /// Wakes it when something was written to a session that had much waiting.
    room: Notify,
    /// Whether it looks at the time.
    ticks: Cell<bool>,
    /// Wakes it when it has to from now on.
    deadlines: Notify,
    to_ring: mpsc::UnboundedSender<Request>,
    from_ring: FromRing,
    last: Cell<u64>,
    snapshots: Arc<Snapshots>,
    started: std::time::Instant,
}

async fn run(
    listeners: Listeners,
    settings: FrontSettings,
    to_ring: mpsc::UnboundedSender<Request>,
    from_ring: FromRing,
    (mut stopping, snapshots): (Stopping, Arc<Snapshots>),
) {
    let hub = Rc::new(Hub {
        front: RefCell::new(Front::new(settings)),
        connections: RefCell::default(),
        input: RefCell::new(vec![0; READ_BYTES].into()),
        gate: Gate::new(),
        dirty: RefCell::default(),
        progress: Notify::new(),
        unwritten: Notify::new(),
        room: Notify::new(),
        ticks: Cell::new(false),
        deadlines: Notify::new(),
        to_ring,
        from_ring,
        last: Cell::new(0),
        snapshots: Arc::clone(&snapshots),
        started: std::time::Instant::now(),
    });
    let mut accepting = Vec::new();
    for listener in listeners.descriptors() {
        accepting.push(tokio::task::spawn_local(listeners::accept(Rc::clone(&hub), listener)));
    }
    let mut tick = tokio::time::Instant::now();
    let (mut stopped, mut drain_by) = (false, None);
    // Deliveries wait for sessions to read.
    let mut full = false;
    loop {
        let pressed = full || drain_by.is_some() || hub.front.borrow().has_deadlines();
        if pressed != hub.ticks.get() {
            hub.ticks.set(pressed);
            tick = tokio::time::Instant::now() + TICK;
        }
        tokio::select! {
            () = hub.from_ring.came(), if !full => {}
            // A session with far too much waiting has read.
            () = hub.room.notified(), if full => {}
            // A daemon at rest sleeps.
            () = tokio::time::sleep_until(tick), if pressed => {
                tick = tokio::time::Instant::now() + TICK;
                let now = hub.now();
                hub.front.borrow_mut().handle_timeout(now);
                hub.carry_out();
                hub.press();
            }
            () = snapshots.waits.notified() => if hub.waits() {
                hub.end_all();
            },
            () = hub.deadlines.notified() => {}
            () = snapshots.front_loop.asked() => hub.write_snapshot(&snapshots),
            _ = stopping.asked.changed(), if !stopped => {
                stopped = true;
                snapshots.leaving.store(true, Ordering::Relaxed);
                drain_by = Some(std::time::Instant::now() + DRAIN);
                accepting.iter().for_each(tokio::task::JoinHandle::abort);
                hub.connections.borrow().values().for_each(|connection| connection.stop_reading());
            }
            () = hub.unwritten.notified() => {}
            () = hub.progress.notified(), if drain_by.is_some() => {}
        }
        // Fan-out yields to the ring, readers and writers between batches.
        loop {
            let left = hub.link_events();
            full = left == Left::Full;
            tokio::task::yield_now().await;
            if !hub.write_dirty() && left != Left::More {
                break;
            }
        }
        if hub.from_ring.is_over() {
            break;
        }
        // The ring leaves when what clients sent before is on its way.
        let due = || hub.is_due() || hub.front.borrow().sends_large();
        if drain_by.is_some_and(|by| std::time::Instant::now() >= by || !due()) {
            drain_by = None;
            let _ = stopping.drained.send(true);
        }
    }
    // The ring has ended: what was delivered goes out, then the sockets close.
    let deadline = std::time::Instant::now() + LINGER;
    let waits = || hub.connections.borrow().values().any(|connection| connection.has_more());
    while waits() && std::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Hub {
    fn now(&self) -> Instant {
        Instant(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether another daemon has the slot: no session is served then.
    fn waits(&self) -> bool {
        self.snapshots.waiting.load(Ordering::Relaxed)
    }

    /// Another daemon has the slot: clients find out at once, and can go elsewhere.
    fn end_all(&self) {
        let all: Vec<ConnectionId> = self.connections.borrow().keys().copied().collect();
        let now = self.now();
        for id in all {
            self.front.borrow_mut().closed(now, id);
        }
        self.carry_out();
    }

    fn is_due(&self) -> bool {
        self.connections.borrow().values().any(|connection| connection.is_due())
    }

    /// Hands a batch of events to the front as long as its sessions can take them; the rest stays.
    fn link_events(&self) -> Left {
        let begin = std::time::Instant::now();
        let (now, mut front) = (self.now(), self.front.borrow_mut());
        let mut count = 0;
        // Messages are queued together when they are carried out; anything else may fill a queue at once.
        let mut fills = true;
        let mut full = false;
        let waiting = self.from_ring.waiting();
        while count < EVENTS_PER_FLUSH {
            let looks = count > 0 && (fills || count % EVENTS_PER_LOOK == 0);
            if looks && begin.elapsed() >= FLUSH_TIME {
                break;
            }
            full = fills && front.overfull(now);
            let next = waiting.get(count).filter(|_| !full);
            let Some(EngineOutput::Link { event, .. }) = next else { break };
            fills = !matches!(event, LinkEvent::Message(..));
            front.link_event(now, event);
            count += 1;
        }
        drop((waiting, front));
        self.from_ring.taken(count);
        self.carry_out();
        self.press();
        match self.from_ring.is_empty() {
            true => Left::Nothing,
            false if full => Left::Full,
            false => Left::More,
        }
    }

    /// Tells the ring whether clients read slowly.
    fn press(&self) {
        self.from_ring.slow(self.front.borrow().congested(self.now()));
    }

    /// Carries out what the front wants, and writes what the kernel takes at once.
    fn carry_out(&self) {
        loop {
            let Some(output) = self.front.borrow_mut().poll_output() else { break };
            match output {
                FrontOutput::Request(request) => {
                    // The ring is gone only when the daemon ends.
                    let _ = self.to_ring.send(request);
                }
                FrontOutput::Write { connection, chunk } => {
                    if let Some(known) = self.connections.borrow().get(&connection) {
                        known.push(chunk);
                        self.dirty.borrow_mut().insert(connection);
                    }
                }
                FrontOutput::Close { connection, flush } => {
                    if let Some(known) = self.connections.borrow_mut().remove(&connection) {
                        if flush {
                            let _ = known.write();
                        }
                        self.dirty.borrow_mut().remove(&connection);
                        known.close(flush);
                    }
                }
            }
        }
        if !self.ticks.get() && self.front.borrow().has_deadlines() {
            self.deadlines.notify_one();
        }
        let resumed = self.front.borrow_mut().has_resumed();
        self.gate.set(self.front.borrow().reads(), resumed);
        if self.write_dirty() {
            self.unwritten.notify_one();
        }
    }

    /// Writes to connections that have something new; returns whether some are left for the next turn.
    fn write_dirty(&self) -> bool {
        for _ in 0..WRITES_PER_TURN {
            let Some(id) = self.dirty.borrow_mut().pop_first() else { return false };
            let known = self.connections.borrow().get(&id).cloned();
            if let Some(connection) = known {
                self.write(id, &connection);
                if connection.has_more() {
                    connection.more.notify_one();
                }
            }
        }
        !self.dirty.borrow().is_empty()
    }

    /// Writes what the kernel takes. A broken socket is left to its reader.
    fn write(&self, id: ConnectionId, connection: &Connection) {
        if let Ok(written) = connection.write()
            && written > 0
        {
            let now = self.now();
            self.front.borrow_mut().written(now, id, written);
        }
    }

    fn connected(self: &Rc<Self>, socket: OwnedFd, peer: Peer) -> io::Result<()> {
        if self.waits() {
            return Ok(());
        }
        let connection = Connection::new(socket)?;
        let id = ConnectionId(self.last.get() + 1);
        self.last.set(id.0);
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        let now = self.now();
        self.front.borrow_mut().connected(now, id, peer);
        self.carry_out();
        tokio::task::spawn_local(write_on(Rc::clone(self), id, Rc::clone(&connection)));
        tokio::task::spawn_local(read_from(Rc::clone(self), id, connection));
        Ok(())
    }

    fn write_snapshot(&self, snapshots: &Snapshots) {
        let front = self.front.borrow();
        let (status, counters) = (front.status(), front.counters());
        let sessions = status.sessions.iter().map(|session| Session {
            name: session.name.to_string(),
            peer: match session.peer {
                Some(Peer::Unix) => "unix".into(),
                Some(Peer::Tcp(address)) => address.to_string(),
                None => "closing".into(),
            },
            queued_bytes: session.queued_bytes,
        });
        let counters = BTreeMap::from([
            ("sessions_accepted".to_owned(), counters.accepted),
            ("sessions_refused".to_owned(), counters.refused.values().sum()),
            ("sessions_malformed".to_owned(), counters.malformed),
            ("sessions_slow".to_owned(), counters.slow_readers),
            ("requests_rejected".to_owned(), counters.rejected),
            ("client_messages_received".to_owned(), counters.messages_received),
            ("client_messages_delivered".to_owned(), counters.messages_delivered),
        ]);
        snapshots.set_front(sessions.collect(), status.half_open, counters);
        snapshots.front_loop.answer();
    }
}

async fn read_from(hub: Rc<Hub>, id: ConnectionId, connection: Rc<Connection>) {
    loop {
        let take = |bytes: &[u8]| hub.front.borrow_mut().received(hub.now(), id, bytes);
        let may = || hub.front.borrow().reads_from(id);
        let ended = match connection.read(&hub.gate, &hub.input, may, take).await {
            Ok(read) => read == 0,
            Err(_) => true,
        };
        let now = hub.now();
        if ended {
            hub.front.borrow_mut().closed(now, id);
        }
        hub.carry_out();
        hub.progress.notify_one();
        if ended {
            return;
        }
    }
}

async fn write_on(hub: Rc<Hub>, id: ConnectionId, connection: Rc<Connection>) {
    let mut blocked = true;
    loop {
        while !connection.has_more() {
            if connection.is_closing() {
                return;
            }
            connection.more.notified().await;
        }
        if !blocked {
            tokio::task::yield_now().await;
        } else if connection.writable().await.is_err() {
            return;
        }
        match connection.write() {
            // Nothing may be left: what was queued was written at once meanwhile.
            Ok(0) => blocked = true,
            Ok(written) => {
                blocked = written < WRITE_BYTES;
                let now = hub.now();
                hub.front.borrow_mut().written(now, id, written);
                hub.press();
                hub.room.notify_one();
            }
            Err(_) => return,
        }
    }
}
