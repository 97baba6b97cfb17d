//! Objects that have no namespace, nodes and namespaces: watched from the first cluster that has to know them, so that
//! nobody else needs the permission.

use crate::admin::ClusterKey;
use crate::caches::refusal;
use futures::StreamExt as _;
use k8s_openapi::ClusterResourceScope;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Longest wait of a pass for the first list.
const FIRST_LIST_TIMEOUT: Duration = Duration::from_secs(15);

/// What is known of all objects of a kind.
#[derive(Clone, Debug, PartialEq)]
enum Known<F> {
    /// The first list is under way.
    Nothing,
    /// They may not be watched.
    Refused,
    /// These, by name.
    All(BTreeMap<String, F>),
}

struct State<F> {
    known: watch::Sender<Known<F>>,
    /// Clusters that depend on them.
    interested: Mutex<BTreeSet<ClusterKey>>,
    changed: mpsc::UnboundedSender<ClusterKey>,
}

/// All objects of a kind, once somebody wants them: what is read of each.
pub struct Wide<K, F> {
    client: Client,
    config: watcher::Config,
    keep: fn(K) -> F,
    state: Arc<State<F>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<K, F> Drop for Wide<K, F> {
    fn drop(&mut self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl<K, F> Wide<K, F>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
    F: Clone + PartialEq + Send + Sync + 'static,
{
    /// Nobody wants them yet. `changed` gets the clusters to which a change matters.
    pub fn new(
        client: Client,
        config: watcher::Config,
        keep: fn(K) -> F,
        changed: mpsc::UnboundedSender<ClusterKey>,
    ) -> Self {
        let state = State {
            known: watch::Sender::new(Known::Nothing),
            interested: Mutex::default(),
            changed,
        };
        Self { client, config, keep, state: Arc::new(state), task: Mutex::default() }
    }

    /// All, for a cluster that has to know them from now on. None: they may not be watched, or nothing is known yet.
    pub async fn all(&self, cluster: &ClusterKey) -> Option<Vec<F>> {
        self.state.interested().insert(cluster.clone());
        self.begin();
        let mut known = self.state.known.subscribe();
        let is_known = |known: &Known<F>| !matches!(known, Known::Nothing);
        let known = tokio::time::timeout(FIRST_LIST_TIMEOUT, known.wait_for(is_known)).await;
        match &*known.ok()?.ok()? {
            Known::All(all) => Some(all.values().cloned().collect()),
            Known::Nothing | Known::Refused => None,
        }
    }

    fn begin(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.get_or_insert_with(|| {
            let api = Api::all(self.client.clone());
            tokio::spawn(follow(api, self.config.clone(), self.keep, Arc::clone(&self.state)))
        });
    }

    /// A cluster no longer wants them.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.state.interested().remove(cluster);
    }
}

impl<F: PartialEq> State<F> {
    fn interested(&self) -> MutexGuard<'_, BTreeSet<ClusterKey>> {
        self.interested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Most changes of a node are heartbeats: only what is read counts.
    fn set(&self, known: Known<F>) {
        let differs = self.known.send_if_modified(|before| {
            let differs = *before != known;
            *before = known;
            differs
        });
        if differs {
            for cluster in self.interested().iter() {
                // The receiver is gone only when the operator ends.
                let _ = self.changed.send(cluster.clone());
            }
        }
    }
}

async fn follow<K, F>(api: Api<K>, config: watcher::Config, keep: fn(K) -> F, state: Arc<State<F>>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
    F: Clone + PartialEq,
{
    let mut events = watcher(api, config).default_backoff().boxed();
    let (mut all, mut listing) = (BTreeMap::new(), BTreeMap::new());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                listing = BTreeMap::new();
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listing.insert(object.name_any(), keep(object));
                continue;
            }
            Ok(watcher::Event::InitDone) => all = std::mem::take(&mut listing),
            Ok(watcher::Event::Apply(object)) => drop(all.insert(object.name_any(), keep(object))),
            Ok(watcher::Event::Delete(object)) => drop(all.remove(&object.name_any())),
            Err(error) => {
                let kind = K::kind(&());
                tracing::warn!(%kind, %error, "the watch failed and is tried again");
                if refusal(&error).is_some() {
                    state.set(Known::Refused);
                }
                continue;
            }
        }
        state.set(Known::All(all.clone()));
    }
}
