//! What is watched: our kind elsewhere, and here everything that has our label. Nothing without it is
//! ever cached.

use crate::held::{Held, HeldPod};
use crate::kinds::resource;
use crate::shelf::{Shelf, Trigger};
use crate::watched::Watched;
use futures::{Stream, StreamExt as _, future, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource};
use spread_plan::CHILD_KINDS;
use spread_plan::names::CLUSTER_LABEL;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The API server ends a watch after so long, and a watch that is silent for a little longer counts as broken: so
/// long a change may stay unseen where a connection is cut off and nobody says so.
pub const WATCH_TIMEOUT: Duration = Duration::from_secs(60);
/// Objects of one answer to a list. Each takes many times its bytes until what is read of it is kept.
const PAGE: u32 = 100;
/// A watch is tried again within half a minute: a refusal that is older was taken back.
const REFUSAL_LASTS: Duration = Duration::from_secs(60);
/// Longest wait for complete caches before the first pass: what is missing is then read live.
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks whether all caches are complete or refused.
const COMPLETE_INTERVAL: Duration = Duration::from_millis(50);

/// Caches of one namespace, or of all.
pub struct Caches {
    children: BTreeMap<&'static str, Arc<Shelf<Held>>>,
    pods: Arc<Shelf<HeldPod>>,
    refusals: Refusals,
}

/// Kinds that may not be watched: when that was last said, and in which words.
type Refusals = Arc<Mutex<BTreeMap<&'static str, (Instant, String)>>>;

impl Caches {
    /// Begins to watch. The stream has to be read: it is what fills the caches.
    pub fn watch(
        client: &Client,
        namespace: Option<&str>,
    ) -> (Self, impl Stream<Item = Trigger> + Send + use<>) {
        let refusals = Refusals::default();
        let mut children = BTreeMap::new();
        let mut streams = Vec::new();
        for kind in CHILD_KINDS {
            let resource = resource(kind);
            let api: Api<Watched> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let shelf = Arc::new(Shelf::default());
            children.insert(*kind, Arc::clone(&shelf));
            let keep = move |object: &Watched| Held::of(kind, &object.0);
            streams.push(triggers(kind, watcher(api, labelled()), shelf, keep, &refusals));
        }
        let pods = Arc::new(Shelf::default());
        let api: Api<Pod> = match namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let watched = watcher(api, labelled());
        streams.push(triggers("Pod", watched, Arc::clone(&pods), HeldPod::of, &refusals));
        (Self { children, pods, refusals }, stream::select_all(streams))
    }

    /// Waits until all caches are complete.
    pub async fn complete(&self) {
        future::join_all(self.children.values().map(|shelf| shelf.complete())).await;
        self.pods.complete().await;
    }

    /// Waits until all caches are complete or may not be filled, and not for ever.
    pub async fn usable(&self) {
        let refused = async {
            while self.refusals().is_empty() {
                tokio::time::sleep(COMPLETE_INTERVAL).await;
            }
        };
        tokio::select! {
            () = self.complete() => {}
            () = refused => {}
            () = tokio::time::sleep(COMPLETE_TIMEOUT) => {}
        }
    }

    /// Kinds that may not be watched: kind and reason. Other failures pass by themselves.
    pub fn refusals(&self) -> Vec<(&'static str, String)> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = refusals.iter().filter(|(_, (at, _))| at.elapsed() < REFUSAL_LASTS);
        lasting.map(|(kind, (_, why))| (*kind, why.clone())).collect()
    }

    /// A child.
    pub fn child(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Held>> {
        self.children.get(kind)?.get(namespace, name)
    }

    /// All children of a cluster: kind, name and object.
    pub fn children(
        &self,
        namespace: &str,
        cluster: &str,
    ) -> Vec<(&'static str, String, Arc<Held>)> {
        let of_kind = |(kind, shelf): (&&'static str, &Arc<Shelf<Held>>)| {
            let kind = *kind;
            shelf.of(namespace, cluster).into_iter().map(move |(name, held)| (kind, name, held))
        };
        self.children.iter().flat_map(of_kind).collect()
    }

    /// The pods of a cluster, with their names.
    pub fn pods(&self, namespace: &str, cluster: &str) -> Vec<(String, Arc<HeldPod>)> {
        self.pods.of(namespace, cluster)
    }
}

/// How everything is watched; see [`WATCH_TIMEOUT`].
pub fn bounded() -> watcher::Config {
    let seconds = u32::try_from(WATCH_TIMEOUT.as_secs()).unwrap_or(u32::MAX);
    watcher::Config::default().timeout(seconds).page_size(PAGE)
}

fn labelled() -> watcher::Config {
    bounded().labels(CLUSTER_LABEL)
}

/// What happened, as the clusters that it matters to; a kind that may not be watched is remembered.
fn triggers<K, V, S>(
    kind: &'static str,
    events: S,
    shelf: Arc<Shelf<V>>,
    keep: impl Fn(&K) -> V + Send + 'static,
    refusals: &Refusals,
) -> stream::BoxStream<'static, Trigger>
where
    K: Resource + Send + 'static,
    V: PartialEq + Send + Sync + 'static,
    S: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
{
    let refusals = Arc::clone(refusals);
    let touched = events.default_backoff().map(move |event| match event {
        Ok(event) => {
            // Before the first answer nothing is known.
            if !matches!(event, watcher::Event::Init) {
                refusals.lock().unwrap_or_else(PoisonError::into_inner).remove(kind);
            }
            let ends = matches!(event, watcher::Event::InitDone);
            let touched = shelf.take(event, &keep);
            if ends {
                shelf.set_complete();
            }
            touched
        }
        Err(error) => {
            tracing::warn!(kind, %error, "the watch failed and is tried again");
            if let Some(why) = refusal(&error) {
                let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
                refusals.insert(kind, (Instant::now(), why));
            }
            Vec::new()
        }
    });
    touched.flat_map(stream::iter).boxed()
}

/// What the API server said, if it does not allow the watch.
pub fn refusal(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (status.code == 403).then(|| status.message.clone())
}
