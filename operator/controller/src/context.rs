//! What passes over objects share.

use crate::admin::{ClusterKey, Credentials, Poller};
use crate::caches::Caches;
use crate::copies::Copies;
use crate::held::SecretContent;
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::refusal;
use crate::wide::Wide;
use crate::write::Writer;
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::runtime::events::Recorder;
use spread_plan::names::Names;
use spread_plan::{NodeFact, OperatorDefaults, Trouble};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Nodes, for those that depend on them.
    pub nodes: Arc<Wide<Node, NodeFact>>,
    /// Copies of client ConfigMaps; none where only some namespaces are watched.
    pub copies: Option<Arc<Copies>>,
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
    /// What is known from earlier passes.
    pub memory: Memory,
}

/// What this process knows of clusters from its earlier passes.
#[derive(Default)]
pub struct Memory {
    /// What it wrote into Secrets whose content cannot be made again, by the cluster's uid and the Secret's name.
    secrets: Mutex<BTreeMap<(String, String), Arc<SecretContent>>>,
    clusters: Mutex<BTreeMap<ClusterKey, Known>>,
}

/// Of one cluster.
#[derive(Default)]
struct Known {
    uid: String,
    /// Failures in a row.
    failures: u32,
    /// Its status was told with all its daemons asked.
    told: bool,
    /// How its daemons are spoken to.
    credentials: Option<Credentials>,
    /// cert-manager may have been asked for a certificate. None: this process does not know.
    may_be_issued: Option<bool>,
    /// The authority's Secret with which a certificate can be signed.
    usable_authority: Option<Arc<SecretContent>>,
}

impl Memory {
    fn secrets(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<SecretContent>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Known>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cluster is there, so that it can be missed.
    pub fn know(&self, key: &ClusterKey, uid: &str) {
        let mut clusters = self.clusters();
        let known = clusters.entry(key.clone()).or_default();
        if known.uid != uid {
            *known = Known { uid: uid.to_owned(), ..Known::default() };
        }
    }

    /// What this process last wrote into a Secret. `held` is what is there: if that is the same, one copy is kept.
    pub fn remembered(
        &self,
        cluster_uid: &str,
        name: &str,
        held: Option<&Arc<SecretContent>>,
    ) -> Option<Arc<SecretContent>> {
        let mut secrets = self.secrets();
        let remembered = secrets.get_mut(&(cluster_uid.to_owned(), name.to_owned()))?;
        if let Some(held) = held.filter(|held| **held == *remembered) {
            *remembered = Arc::clone(held);
        }
        Some(Arc::clone(remembered))
    }

    /// Remembers what was written into a Secret.
    pub fn remember(&self, cluster_uid: &str, name: &str, written: &Arc<SecretContent>) {
        self.secrets().insert((cluster_uid.to_owned(), name.to_owned()), Arc::clone(written));
    }

    /// Another replica may have written since: nothing that is remembered counts.
    pub fn forget_secrets(&self) {
        self.secrets().clear();
    }

    /// What was written into a Secret is no longer what it is to be.
    pub fn forget_secret(&self, cluster_uid: &str, name: &str) {
        self.secrets().remove(&(cluster_uid.to_owned(), name.to_owned()));
    }

    /// Whether cert-manager may have been asked for a cluster's certificate. `suspected` counts
    /// where this process does not know.
    pub fn may_be_issued(&self, key: &ClusterKey, suspected: bool) -> bool {
        let mut clusters = self.clusters();
        let known = clusters.get_mut(key).map(|known| &mut known.may_be_issued);
        known.is_some_and(|known| *known.get_or_insert(suspected))
    }

    /// Remembers whether it may.
    pub fn set_may_be_issued(&self, key: &ClusterKey, may: bool) {
        if let Some(known) = self.clusters().get_mut(key) {
            known.may_be_issued = Some(may);
        }
    }

    /// How long to wait after one more failure.
    pub fn failed(&self, key: &ClusterKey) -> Duration {
        let mut clusters = self.clusters();
        let failures = &mut clusters.entry(key.clone()).or_default().failures;
        *failures = failures.saturating_add(1);
        RETRY_FIRST.saturating_mul(1 << (*failures - 1).min(8)).min(RETRY_MAX)
    }

    /// It worked.
    pub fn succeeded(&self, key: &ClusterKey) {
        if let Some(known) = self.clusters().get_mut(key) {
            known.failures = 0;
        }
    }

    /// Whether a status was told with all daemons asked.
    pub fn has_told(&self, key: &ClusterKey) -> bool {
        self.clusters().get(key).is_some_and(|known| known.told)
    }

    /// A status was told.
    pub fn tells(&self, key: &ClusterKey) {
        if let Some(known) = self.clusters().get_mut(key) {
            known.told = true;
        }
    }

    /// How daemons are spoken to, if it was made from this.
    pub fn credentials(&self, key: &ClusterKey, fingerprint: u64) -> Option<Credentials> {
        let clusters = self.clusters();
        let kept = clusters.get(key)?.credentials.as_ref()?;
        (kept.fingerprint == fingerprint).then(|| kept.clone())
    }

    /// Keeps how daemons are spoken to.
    pub fn keep_credentials(&self, key: &ClusterKey, credentials: &Credentials) {
        if let Some(known) = self.clusters().get_mut(key) {
            known.credentials = Some(credentials.clone());
        }
    }

    /// Whether a certificate can be signed with an authority. The check costs about as much as a signature, so it is made
    /// once for each content.
    pub fn is_usable_authority(
        &self,
        key: &ClusterKey,
        authority: &Arc<SecretContent>,
        check: impl FnOnce() -> bool,
    ) -> bool {
        let kept = self.clusters().get(key).and_then(|known| known.usable_authority.clone());
        if kept.is_some_and(|kept| kept == *authority) {
            return true;
        }
        let usable = check();
        if usable && let Some(known) = self.clusters().get_mut(key) {
            known.usable_authority = Some(Arc::clone(authority));
        }
        usable
    }
}

impl Context {
    /// Asks, and does not wait for ever.
    pub async fn ask<T>(&self, question: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    /// Nothing of this cluster goes on; it may still be there.
    pub fn forget(&self, names: &Names) {
        let key = (names.namespace.clone(), names.cluster.clone());
        self.poller.forget(&key);
        self.nodes.forget(&key);
        if let Some(copies) = &self.copies {
            copies.forget(&key);
        }
        self.metrics.forget(&names.namespace, &names.cluster);
        self.writer.forget(names);
        self.memory.succeeded(&key);
    }

    /// Forgets clusters that are gone. `exists` tells whether one is still there.
    pub fn sweep(&self, exists: impl Fn(&ClusterKey) -> bool) {
        let clusters = self.memory.clusters();
        let gone: Vec<ClusterKey> = clusters.keys().filter(|key| !exists(key)).cloned().collect();
        drop(clusters);
        for key in gone {
            let names = Names { namespace: key.0.clone(), cluster: key.1.clone() };
            self.forget(&names);
            if let Some(known) = self.memory.clusters().remove(&key) {
                self.memory.secrets().retain(|(of, _), _| *of != known.uid);
            }
        }
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
