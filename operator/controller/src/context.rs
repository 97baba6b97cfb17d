//! What passes over objects share.

use crate::admin::Poller;
use crate::caches::Caches;
use crate::kinds::prune;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::refusal;
use crate::write::Writer;
use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::events::Recorder;
use spread_plan::{OperatorDefaults, Trouble};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for an answer to a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Wait after the first failure in a row.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Shared by all passes of one scope.
pub struct Context {
    /// Of the API server.
    pub client: Client,
    /// All writes.
    pub writer: Arc<Writer>,
    /// The daemons' own view.
    pub poller: Arc<Poller>,
    /// What is watched.
    pub caches: Caches,
    /// What the operator was started with.
    pub defaults: OperatorDefaults,
    /// Whether this replica writes.
    pub leadership: Leadership,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Publishes events.
    pub recorder: Recorder,
    /// Port of admin endpoints where it is not the usual one.
    pub admin_port: Option<u16>,
    /// What this process wrote into Secrets whose content cannot be made again.
    secrets: Mutex<BTreeMap<(String, String), DynamicObject>>,
    /// Failures in a row.
    failures: Mutex<BTreeMap<(String, String), u32>>,
    /// Clusters that were seen: key and uid.
    known: Mutex<BTreeMap<(String, String), String>>,
}

/// The parts that are given.
pub struct Parts {
    /// See [`Context`].
    pub client: Client,
    /// See [`Context`].
    pub writer: Arc<Writer>,
    /// See [`Context`].
    pub poller: Arc<Poller>,
    /// See [`Context`].
    pub caches: Caches,
    /// See [`Context`].
    pub defaults: OperatorDefaults,
    /// See [`Context`].
    pub leadership: Leadership,
    /// See [`Context`].
    pub metrics: Arc<Metrics>,
    /// See [`Context`].
    pub recorder: Recorder,
    /// See [`Context`].
    pub admin_port: Option<u16>,
}

impl Context {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            client,
            writer,
            poller,
            caches,
            defaults,
            leadership,
            metrics,
            recorder,
            admin_port,
        } = parts;
        Self {
            client,
            writer,
            poller,
            caches,
            defaults,
            leadership,
            metrics,
            recorder,
            admin_port,
            secrets: Mutex::default(),
            failures: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Asks, and does not wait for ever.
    pub async fn ask<T>(&self, question: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    /// What this process last wrote into a Secret.
    pub fn remembered(&self, cluster_uid: &str, name: &str) -> Option<DynamicObject> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.get(&(cluster_uid.to_owned(), name.to_owned())).cloned()
    }

    /// Remembers what was written into a Secret.
    pub fn remember(&self, cluster_uid: &str, written: &DynamicObject) {
        let name = written.metadata.name.clone().unwrap_or_default();
        let mut kept = written.clone();
        prune("Secret", &mut kept);
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.insert((cluster_uid.to_owned(), name), kept);
    }

    /// Another replica may have written since: nothing that is remembered counts.
    pub fn forget_secrets(&self) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Nothing of this cluster is remembered.
    pub fn forget(&self, names: &spread_plan::names::Names) {
        let key = (names.namespace.clone(), names.cluster.clone());
        self.poller.forget(&key);
        self.metrics.forget(&names.namespace, &names.cluster);
        self.writer.forget(names);
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Forgets clusters that are gone. `exists` tells whether one is still there.
    pub fn sweep(&self, exists: impl Fn(&(String, String)) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<_> = known
            .iter()
            .filter(|(key, _)| !exists(key))
            .map(|(key, uid)| (key.clone(), uid.clone()))
            .collect();
        for (key, uid) in gone {
            known.remove(&key);
            let names = spread_plan::names::Names { namespace: key.0, cluster: key.1 };
            self.forget(&names);
            let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.retain(|(of, _), _| *of != uid);
        }
    }

    /// A cluster is there, so that it can be missed.
    pub fn know(&self, key: &(String, String), uid: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key.clone(), uid.to_owned());
    }

    /// How long to wait after one more failure.
    pub fn failed(&self, key: &(String, String)) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failures.entry(key.clone()).or_default();
        *times = times.saturating_add(1);
        RETRY_FIRST.saturating_mul(1 << (*times - 1).min(8)).min(RETRY_MAX)
    }

    /// It worked.
    pub fn succeeded(&self, key: &(String, String)) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Counts what went wrong.
    pub fn count(&self, troubles: &[Trouble]) {
        for trouble in troubles {
            self.metrics.trouble(&format!("{:?}", trouble.kind));
        }
    }

    /// The trouble of a request, counted.
    pub fn trouble(&self, kind: &str, name: &str, error: &kube::Error) -> Trouble {
        let trouble = refusal::trouble(kind, name, error);
        self.count(std::slice::from_ref(&trouble));
        trouble
    }
}
