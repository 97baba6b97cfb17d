//! What is watched: our kind elsewhere, and here everything that has our label. Nothing without it is
//! ever cached.

use crate::kinds::{prune, resource};
use futures::{Stream, StreamExt as _, future, stream};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{Api, DynamicObject};
use kube::runtime::reflector::{ObjectRef, Store, store, store::Writer as StoreWriter};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use spread_plan::CHILD_KINDS;
use spread_plan::names::CLUSTER_LABEL;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A cluster that something happened to: namespace and name.
pub type Trigger = (String, String);

/// Caches of one namespace, or of all.
pub struct Caches {
    children: BTreeMap<&'static str, Store<DynamicObject>>,
    pods: Store<Pod>,
    refusals: Refusals,
}

/// Kinds that may not be watched: when that was last said, and in which words.
type Refusals = Arc<Mutex<BTreeMap<&'static str, (Instant, String)>>>;

/// A watch is tried again within half a minute: a refusal that is older was taken back.
const REFUSAL_LASTS: Duration = Duration::from_secs(60);

impl Caches {
    /// Begins to watch. The stream has to be read: it is what fills the caches.
    pub fn watch(
        client: &Client,
        namespace: Option<&str>,
    ) -> (Self, impl Stream<Item = Trigger> + Send + 'static) {
        let refusals = Refusals::default();
        let mut children = BTreeMap::new();
        let mut streams = Vec::new();
        for kind in CHILD_KINDS {
            let resource = resource(kind);
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let writer = StoreWriter::new(resource);
            children.insert(*kind, writer.as_reader());
            let stream = watcher(api, labelled()).modify(|object| prune(kind, object));
            streams.push(triggers(kind, stream.default_backoff().reflect(writer), &refusals));
        }
        let (pods, writer) = store();
        let api: Api<Pod> = match namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let stream = watcher(api, labelled()).modify(prune_pod).default_backoff().reflect(writer);
        streams.push(triggers("Pod", stream, &refusals));
        (Self { children, pods, refusals }, stream::select_all(streams))
    }

    /// Waits until all caches are complete.
    pub async fn complete(&self) {
        let children = self.children.values().map(|store| async {
            // The writer lives as long as the stream that is read.
            let _ = store.wait_until_ready().await;
        });
        future::join_all(children).await;
        let _ = self.pods.wait_until_ready().await;
    }

    /// Kinds that may not be watched: kind and reason. Other failures pass by themselves.
    pub fn refusals(&self) -> Vec<(&'static str, String)> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = refusals.iter().filter(|(_, (at, _))| at.elapsed() < REFUSAL_LASTS);
        lasting.map(|(kind, (_, why))| (*kind, why.clone())).collect()
    }

    /// A child.
    pub fn child(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<DynamicObject>> {
        let reference = ObjectRef::new_with(name, resource(kind)).within(namespace);
        self.children.get(kind)?.get(&reference)
    }

    /// All children of a cluster: kind and object.
    pub fn children(
        &self,
        namespace: &str,
        cluster: &str,
    ) -> Vec<(&'static str, Arc<DynamicObject>)> {
        let of_cluster = |object: &DynamicObject| is_of(object, namespace, cluster);
        self.children
            .iter()
            .flat_map(|(kind, store)| {
                store.state_filter(of_cluster).into_iter().map(|object| (*kind, object))
            })
            .collect()
    }

    /// The pods of a cluster.
    pub fn pods(&self, namespace: &str, cluster: &str) -> Vec<Arc<Pod>> {
        self.pods.state_filter(|pod| is_of(pod, namespace, cluster))
    }
}

fn labelled() -> watcher::Config {
    watcher::Config::default().labels(CLUSTER_LABEL)
}

fn is_of<K: Resource>(object: &K, namespace: &str, cluster: &str) -> bool {
    object.meta().namespace.as_deref() == Some(namespace)
        && object.labels().get(CLUSTER_LABEL).is_some_and(|name| name == cluster)
}

/// Keeps of a pod what is read of it.
fn prune_pod(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    pod.spec =
        pod.spec.take().map(|spec| PodSpec { node_name: spec.node_name, ..PodSpec::default() });
    if let Some(status) = &mut pod.status {
        status.container_statuses = None;
    }
}

/// What happened, as the clusters that it happened to; a kind that may not be watched is remembered.
fn triggers<K, S>(
    kind: &'static str,
    events: S,
    refusals: &Refusals,
) -> stream::BoxStream<'static, Trigger>
where
    K: Resource + Send + 'static,
    S: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
{
    let refusals = Arc::clone(refusals);
    events
        .inspect(move |event| {
            let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Ok(_) => drop(refusals.remove(kind)),
                Err(error) => {
                    tracing::warn!(kind, %error, "the watch failed and is tried again");
                    if let Some(why) = refusal(error) {
                        refusals.insert(kind, (Instant::now(), why));
                    }
                }
            }
        })
        .touched_objects()
        .flat_map(|touched| {
            stream::iter(touched.map(|object| clusters_of(&object)).unwrap_or_default())
        })
        .boxed()
}

/// What the API server said, if it does not allow the watch.
fn refusal(error: &watcher::Error) -> Option<String> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        _ => return None,
    };
    (status.code == 403).then(|| status.message.clone())
}

/// Whose an object is, by its owner and by its label: somebody may have edited one of them.
fn clusters_of<K: Resource>(object: &K) -> Vec<Trigger> {
    let namespace = object.namespace().unwrap_or_default();
    let owners = object.owner_references().iter().filter(|owner| owner.kind == "SpreadCluster");
    let mut names: Vec<String> = owners.map(|owner| owner.name.clone()).collect();
    names.extend(object.labels().get(CLUSTER_LABEL).cloned());
    names.dedup();
    names.into_iter().map(|name| (namespace.clone(), name)).collect()
}
