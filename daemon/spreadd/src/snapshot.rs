//! What ring and clients' side tell the admin endpoint.

use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Membership changes that are remembered.
const CHANGES: usize = 32;

/// An event loop that is healthy turns within this time.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

/// Version of [`Status`] as JSON: fields may come within one, none goes or changes.
const FORMAT: u32 = 1;

/// Addresses at which the daemon of a slot may be, from somebody who is not the resolver.
#[derive(Clone, Debug)]
pub(crate) struct Hint {
    pub(crate) slot: usize,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The state at one moment, as `/status` shows it. `docs/admin.md` describes every field.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Status {
    pub(crate) format: u32,
    pub(crate) name: String,
    /// Index of the slot.
    pub(crate) slot: usize,
    pub(crate) boot: String,
    pub(crate) version: String,
    pub(crate) ring_number: u32,
    pub(crate) phase: String,
    /// Condition SlotClaimed: who has this daemon's slot, while it waits for it.
    pub(crate) slot_claimed: Option<Occupant>,
    pub(crate) configuration: Option<String>,
    pub(crate) configuration_hash: String,
    pub(crate) configuration_generation: u64,
    pub(crate) key_id: u32,
    pub(crate) key_ids: Vec<u32>,
    pub(crate) members: Vec<Member>,
    pub(crate) slots: usize,
    pub(crate) sequence: u64,
    pub(crate) aru: u64,
    pub(crate) stable: u64,
    pub(crate) groups: usize,
    /// The largest groups of the component.
    pub(crate) largest_groups: Vec<Group>,
    pub(crate) sessions_in_component: usize,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) session_count: usize,
    pub(crate) sessions: Vec<Session>,
    pub(crate) half_open: usize,
    pub(crate) changes: VecDeque<Change>,
    pub(crate) uptime_seconds: u64,
}

/// A daemon of the configuration.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) boot: String,
    pub(crate) claim: u64,
}

/// A daemon that has the slot of this one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Occupant {
    pub(crate) boot: String,
    pub(crate) claim: u64,
    pub(crate) address: Option<String>,
}

/// A group.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) members: usize,
}

/// A local session.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) peer: String,
    pub(crate) queued_bytes: usize,
}

/// A membership change.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Change {
    /// Milliseconds since 1970.
    pub(crate) at_milliseconds: u64,
    pub(crate) reason: String,
    /// From the end of the old configuration's order to the new configuration.
    pub(crate) took_microseconds: u64,
    pub(crate) members: Vec<String>,
}

/// An event loop that writes its part of the status when it is asked to, and so shows that it turns.
#[derive(Debug, Default)]
pub(crate) struct Loop {
    asked: Notify,
    /// How often it has answered.
    answers: watch::Sender<u64>,
}

impl Loop {
    /// Waits until the part is asked for. The loop writes it, then calls [`Loop::answer`].
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    pub(crate) fn answer(&self) {
        self.answers.send_modify(|answers| *answers += 1);
    }

    async fn ask(&self) {
        let mut answers = self.answers.subscribe();
        self.asked.notify_one();
        // The sender lives as long as this.
        let _ = answers.changed().await;
    }
}

/// Shared with the admin thread; each part is written by its own side only, and only when somebody wants to see it.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    ring: Mutex<Status>,
    front: Mutex<(Vec<Session>, usize, BTreeMap<String, u64>)>,
    /// The ring's event loop.
    pub(crate) ring_loop: Loop,
    /// The clients' event loop.
    pub(crate) front_loop: Loop,
    /// Another daemon has the slot: no session is served.
    pub(crate) waiting: AtomicBool,
    /// Tells the clients' side when that begins.
    pub(crate) waits: Notify,
    /// It was in a configuration: sessions are accepted from then on.
    pub(crate) ready: AtomicBool,
    /// It was asked to end.
    pub(crate) leaving: AtomicBool,
}

impl Snapshots {
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.ring.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn changed(&self, change: Change) {
        self.update(|status| {
            status.changes.push_back(change);
            if status.changes.len() > CHANGES {
                status.changes.pop_front();
            }
        });
    }

    pub(crate) fn set_front(
        &self,
        sessions: Vec<Session>,
        half_open: usize,
        counters: BTreeMap<String, u64>,
    ) {
        *self.front.lock().unwrap_or_else(PoisonError::into_inner) =
            (sessions, half_open, counters);
    }

    /// Has both loops write their parts; `false`: one of them stands still, and its part is as old as that.
    pub(crate) async fn refresh(&self) -> bool {
        let both = async { tokio::join!(self.ring_loop.ask(), self.front_loop.ask()) };
        tokio::time::timeout(TURN_TIMEOUT, both).await.is_ok()
    }

    /// Both parts together, as they are now.
    pub(crate) async fn status(&self) -> Status {
        self.refresh().await;
        let mut status = self.ring.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let front = self.front.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (status.format, status.session_count) = (FORMAT, front.0.len());
        (status.sessions, status.half_open) = (front.0, front.1);
        status.counters.extend(front.2);
        status
    }
}
