//! What is said about the ring: in the log, and to those who wait for it to stand.

use super::Driver;
use crate::snapshot::Change;
use spread_ring::{Configuration, ConfigurationKind, Refusal, Trace};
use spread_seal::OpenError;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One log line per refused peer in this time.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

impl Driver {
    pub(super) fn trace(&mut self, trace: Trace) {
        match trace {
            Trace::Phase { phase, reason } => {
                tracing::debug!("{phase:?}: {reason:?}");
                if phase == spread_ring::Phase::Gather && self.changing.is_none() {
                    self.changing = Some((self.clock.now(), format!("{reason:?}")));
                    self.quiet_since = None;
                }
            }
            Trace::Refused { from, why, .. } => {
                let why = match why {
                    Refusal::ConfigurationMismatch => {
                        "its configuration file lists other daemons: compare the files"
                    }
                    Refusal::ForeignRing => "it belongs to another ring number",
                    Refusal::SlotClaimed => "its slot is taken by a daemon that answers",
                    Refusal::Malformed => "its packets can't be read",
                    Refusal::UnknownVersion => "its packets have a version that is not known here",
                };
                self.log_refusal(from, why);
            }
            Trace::Waiting(occupant) => self.waits(&occupant),
        }
    }

    /// Another daemon has this one's slot: nobody is served, and one line a minute says what to do.
    fn waits(&mut self, occupant: &spread_ring::Occupant) {
        self.snapshots.waiting.store(true, Ordering::Relaxed);
        self.snapshots.waits.notify_one();
        let now = self.clock.now();
        if self.waiting_said.is_some_and(|at| now.since(at) < REFUSAL_INTERVAL) {
            return;
        }
        self.waiting_said = Some(now);
        let name = self.names.get(usize::from(self.me.0)).cloned().unwrap_or_default();
        let at = occupant.at.map_or_else(|| String::from("another address"), |at| at.to_string());
        tracing::warn!(
            "SlotClaimed: slot {name} is taken by the daemon at {at} (boot id {:?}, claim {}), which answers. This one waits \
             and serves nobody: stop that one, or start this one in a vacant slot",
            occupant.daemon.boot,
            occupant.daemon.claim.0
        );
    }

    pub(super) fn installed(&mut self, configuration: &Configuration) {
        if configuration.kind == ConfigurationKind::Transitional {
            return;
        }
        let members: Vec<String> = configuration
            .members
            .iter()
            .filter_map(|member| self.names.get(usize::from(member.slot.0)).cloned())
            .collect();
        let now = self.clock.now();
        let (since, reason) = self.changing.take().unwrap_or((now, String::from("Start")));
        let took = now.since(since);
        self.quiet_since = Some(now);
        tracing::info!(
            "in a ring of {}: {} ({reason}, {:.1} ms)",
            members.len(),
            members.join(" "),
            took.as_secs_f64() * 1e3
        );
        let at =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.snapshots.changed(Change {
            at_milliseconds: u64::try_from(at.as_millis()).unwrap_or(0),
            reason,
            took_microseconds: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            members,
        });
        self.write_snapshot();
        self.waiting_said = None;
        self.snapshots.waiting.store(false, Ordering::Relaxed);
        self.snapshots.ready.store(true, Ordering::Relaxed);
    }

    pub(super) fn not_opened(&mut self, from: SocketAddr, error: OpenError) {
        *self.opened.entry(error).or_default() += 1;
        if error != OpenError::Replayed {
            let why = match error {
                OpenError::WrongKey | OpenError::UnknownKey => {
                    "it has another key: compare the ring key files"
                }
                OpenError::ForeignRing => "it belongs to another ring number",
                OpenError::UnknownVersion => "its packets have a version that is not known here",
                OpenError::Malformed | OpenError::Replayed => "its packets are not those of a ring",
            };
            self.log_refusal(from, why);
        }
    }

    /// One line per peer and minute.
    fn log_refusal(&mut self, from: SocketAddr, why: &'static str) {
        const PEERS: usize = 1024;
        let now = self.clock.now();
        if self.refused.len() >= PEERS {
            self.refused.retain(|_, at| now.since(*at) < REFUSAL_INTERVAL);
        }
        let last = self.refused.get(&(from, why));
        if last.is_none_or(|at| now.since(*at) >= REFUSAL_INTERVAL) && self.refused.len() < PEERS {
            self.refused.insert((from, why), now);
            tracing::warn!("packets from {from} are refused: {why}");
        }
    }
}
