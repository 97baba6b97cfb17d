//! Leader election, the part that talks: one Lease for all replicas. Each keeps its caches warm; the
//! leader alone writes, and asks before each write.

use crate::lease::{LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD, Record, Step, step};
use crate::points::{Moment, Point, Points};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Longest wait for an answer about the Lease.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether this process leads. Cheap to ask, and to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    begin: Instant,
    /// Milliseconds after `begin` until which this process leads; 0: it does not.
    until_millis: Arc<AtomicU64>,
    changed: Arc<watch::Sender<bool>>,
}

impl Leadership {
    /// Leads nobody yet.
    pub fn none() -> Self {
        Self {
            begin: Instant::now(),
            until_millis: Arc::new(AtomicU64::new(0)),
            changed: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Leads for ever: there is no election.
    pub fn always() -> Self {
        let leadership = Self::none();
        leadership.until_millis.store(u64::MAX, Ordering::SeqCst);
        leadership.changed.send_replace(true);
        leadership
    }

    /// Whether a write may be made now. Asked on this process's steady clock: one that slept through its
    /// lease knows so the moment that it wakes.
    pub fn leads(&self) -> bool {
        millis(self.begin.elapsed()) < self.until_millis.load(Ordering::SeqCst)
    }

    /// Rises and falls with leadership.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.changed.subscribe()
    }

    fn extend(&self, from: Instant) {
        let until = from.saturating_duration_since(self.begin) + RENEW_DEADLINE;
        self.until_millis.store(millis(until), Ordering::SeqCst);
        self.announce();
    }

    fn end(&self) {
        self.until_millis.store(0, Ordering::SeqCst);
        self.announce();
    }

    fn announce(&self) {
        let leads = self.leads();
        self.changed.send_if_modified(|before| std::mem::replace(before, leads) != leads);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Takes part in the election.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    leadership: Leadership,
    points: Points,
    seen: Option<Lease>,
    seen_since: Instant,
}

impl Candidate {
    /// One that has not looked yet.
    pub fn new(api: Api<Lease>, name: &str, identity: &str, points: Points) -> Self {
        Self {
            api,
            name: name.to_owned(),
            identity: identity.to_owned(),
            leadership: Leadership::none(),
            points,
            seen: None,
            seen_since: Instant::now(),
        }
    }

    /// What the election gives.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Looks and renews until `stop`, then gives the Lease back.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            match tokio::time::timeout(ANSWER_TIMEOUT, self.turn()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the lease could not be seen or renewed"),
                Err(_) => tracing::warn!("no answer about the lease"),
            }
            // One that could not renew in time stops by itself.
            self.leadership.announce();
            tokio::select! {
                () = tokio::time::sleep(RETRY_PERIOD) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if self.leadership.leads() {
            self.leadership.end();
            let release = self.write(String::new());
            if !matches!(tokio::time::timeout(ANSWER_TIMEOUT, release).await, Ok(Ok(_))) {
                tracing::warn!("the lease was not given back: it runs out by itself");
            }
        }
    }

    async fn turn(&mut self) -> kube::Result<()> {
        let lease = self.api.get_opt(&self.name).await?;
        let version = |lease: &Option<Lease>| {
            lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone())
        };
        if version(&lease) != version(&self.seen) {
            self.seen_since = Instant::now();
        }
        self.seen = lease;
        let record = self.seen.as_ref().map(|lease| Record {
            holder: lease
                .spec
                .as_ref()
                .and_then(|spec| spec.holder_identity.clone())
                .unwrap_or_default(),
            resource_version: lease.metadata.resource_version.clone().unwrap_or_default(),
        });
        if step(&self.identity, record.as_ref(), self.seen_since.elapsed()) == Step::Wait {
            self.leadership.end();
            return Ok(());
        }
        let began = Instant::now();
        let written = self.write(self.identity.clone()).await;
        match written {
            Ok(lease) => {
                self.seen = Some(lease);
                self.seen_since = Instant::now();
                self.leadership.extend(began);
                Ok(())
            }
            // Somebody was quicker: the next look tells who.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes the Lease only if it is still as seen.
    async fn write(&self, holder: String) -> kube::Result<Lease> {
        let now = Some(MicroTime(Timestamp::now()));
        let before = self.seen.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let same = before.holder_identity.as_deref() == Some(&holder);
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: self
                    .seen
                    .as_ref()
                    .and_then(|lease| lease.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder),
                lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
                acquire_time: if same { before.acquire_time } else { now.clone() },
                renew_time: now,
                lease_transitions: Some(
                    before.lease_transitions.unwrap_or_default() + i32::from(!same),
                ),
                ..LeaseSpec::default()
            }),
        };
        self.points.pass(Point::Lease, Moment::Before).await;
        let written = match self.seen {
            None => self.api.create(&PostParams::default(), &lease).await,
            Some(_) => self.api.replace(&self.name, &PostParams::default(), &lease).await,
        };
        self.points.pass(Point::Lease, Moment::After).await;
        written
    }
}
