//! Copies of client ConfigMaps in other namespaces. No owner reference reaches there, so they are found by their labels
//! and deleted here: when their cluster is gone, also if no operator was there then, and when it no longer allows
//! their namespace or that has no clients any more.

use crate::admin::ClusterKey;
use crate::caches::{bounded, refusal};
use crate::context::Context;
use crate::held::Held;
use crate::kinds::{resource, to_json};
use crate::observe::Seen;
use crate::owned::wanted_content;
use crate::points::Point;
use crate::refusal::trouble;
use crate::shelf::Trigger;
use crate::wide::Wide;
use crate::write::WriteError;
use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use spread_operator_api::{NamespacesFrom, SpreadCluster};
use spread_plan::names::{CLIENTS_LABEL, COPY_LABEL, COPY_NAMESPACE_LABEL, FIELD_MANAGER, Names};
use spread_plan::{Child, NamespaceFact, Trouble, TroubleKind, client_copy, copied_to};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Wait before a gone cluster's copies are looked at again, if they could not be deleted.
const AGAIN: Duration = Duration::from_secs(10);
const KIND: &str = "ConfigMap";

#[derive(Clone)]
struct ClientCopy {
    of: ClusterKey,
    held: Arc<Held>,
}

/// By the namespace that it is in, and its name.
type Place = (String, String);

/// All copies, and the namespaces that may have some. Only where all namespaces are watched.
pub struct Copies {
    all: Mutex<BTreeMap<Place, ClientCopy>>,
    namespaces: Wide<Namespace, NamespaceFact>,
}

impl Copies {
    /// Begins to watch. The stream has to be read; it gives the clusters of copies that changed.
    pub fn watch(
        client: &Client,
        changed: mpsc::UnboundedSender<ClusterKey>,
    ) -> (Arc<Self>, impl Stream<Item = Trigger> + Send + use<>) {
        let with_clients = bounded().labels(&format!("{CLIENTS_LABEL}=true"));
        let keep = crate::held::namespace_fact;
        let namespaces = Wide::new(client.clone(), with_clients, keep, changed);
        let copies = Arc::new(Self { all: Mutex::default(), namespaces });
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(KIND));
        let events = watcher(api, bounded().labels(COPY_LABEL)).default_backoff();
        let (shared, mut listing) = (Arc::clone(&copies), BTreeMap::new());
        let touched = events.flat_map(move |event| match event {
            Ok(event) => stream::iter(shared.take(event, &mut listing)),
            Err(error) => {
                let refused = refusal(&error).is_some();
                tracing::warn!(%error, refused, "the watch of copies failed and is tried again");
                stream::iter(Vec::new())
            }
        });
        (copies, touched)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Place, ClientCopy>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        &self,
        event: watcher::Event<DynamicObject>,
        listing: &mut BTreeMap<Place, ClientCopy>,
    ) -> Vec<Trigger> {
        let mut all = self.all();
        match event {
            watcher::Event::Init => {
                listing.clear();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                listing.insert(place(&object), copy(&object));
                Vec::new()
            }
            watcher::Event::InitDone => {
                let before = std::mem::replace(&mut *all, std::mem::take(listing));
                let both = before.into_values().chain(all.values().cloned());
                let clusters: BTreeSet<Trigger> = both.map(|copy| copy.of).collect();
                clusters.into_iter().collect()
            }
            watcher::Event::Apply(object) => {
                let now = copy(&object);
                let before = all.insert(place(&object), now.clone());
                match before {
                    Some(before) if before.of == now.of && before.held == now.held => Vec::new(),
                    Some(before) => vec![before.of, now.of],
                    None => vec![now.of],
                }
            }
            watcher::Event::Delete(object) => {
                all.remove(&place(&object)).map(|copy| copy.of).into_iter().collect()
            }
        }
    }

    /// Copies that are this operator's, of one cluster.
    fn of(&self, cluster: &ClusterKey) -> Vec<(Place, Arc<Held>)> {
        let ours = |(place, copy): &(&Place, &ClientCopy)| {
            let name = format!("{}-client", cluster.1);
            copy.of == *cluster && copy.held.written_by_us && place.1 == name
        };
        let all = self.all();
        all.iter().filter(ours).map(|(place, copy)| (place.clone(), copy.held.clone())).collect()
    }

    /// Clusters that have copies.
    pub fn clusters(&self) -> BTreeSet<ClusterKey> {
        self.all().values().map(|copy| copy.of.clone()).collect()
    }

    /// Whether a cluster has copies.
    pub fn has(&self, cluster: &ClusterKey) -> bool {
        !self.of(cluster).is_empty()
    }

    /// A cluster no longer depends on namespaces.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.namespaces.forget(cluster);
    }
}

fn place(object: &DynamicObject) -> Place {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// The cluster that an object's labels say it is a copy for.
fn source(object: &DynamicObject) -> ClusterKey {
    let label = |name: &str| object.labels().get(name).cloned().unwrap_or_default();
    (label(COPY_NAMESPACE_LABEL), label(COPY_LABEL))
}

fn copy(object: &DynamicObject) -> ClientCopy {
    ClientCopy { of: source(object), held: Arc::new(Held::of(KIND, object)) }
}

/// Makes the copies of a cluster as they are to be.
pub async fn keep(
    context: &Context,
    cluster: &SpreadCluster,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    let Some(copies) = &context.copies else { return Ok(()) };
    let names = Names::of(cluster);
    let key = (names.namespace.clone(), names.cluster.clone());
    let wanted = if cluster.spec.clients.allowed_namespaces.from == NamespacesFrom::Same {
        copies.forget(&key);
        Vec::new()
    } else if let Some(namespaces) = copies.namespaces.all(&key).await {
        copied_to(cluster, &namespaces)
    } else {
        let message = "spec.clients.allowedNamespaces: namespaces cannot be watched: allow the operator list and                        watch on namespaces with a ClusterRole, or set from: Same";
        let kind = TroubleKind::MissingPermission;
        seen.troubles.push(Trouble { kind, message: message.to_owned() });
        return Ok(());
    };
    let there = copies.of(&key);
    for namespace in &wanted {
        let held = there.iter().find(|(place, _)| place.0 == *namespace).map(|(_, held)| held);
        let copy = client_copy(&seen.facts(cluster, context), namespace);
        note(apply(context, cluster, copy, held.map(|held| &**held)).await, seen)?;
    }
    for (place, held) in there.iter().filter(|(place, _)| !wanted.contains(&place.0)) {
        context.writer.confirm(cluster).await?;
        note(delete(context, place, held).await, seen)?;
    }
    Ok(())
}

fn note(done: Result<(), WriteError>, seen: &mut Seen) -> Result<(), WriteError> {
    match done {
        Err(WriteError::Trouble(trouble)) => seen.troubles.push(trouble),
        other => other?,
    }
    Ok(())
}

async fn apply(
    context: &Context,
    cluster: &SpreadCluster,
    copy: ConfigMap,
    held: Option<&Held>,
) -> Result<(), WriteError> {
    let (namespace, name) = (copy.namespace().unwrap_or_default(), copy.name_any());
    let told = format!("{name} in namespace {namespace}");
    let refused = |kind, message| Err(WriteError::Trouble(Trouble { kind, message }));
    let wanted = match to_json(&Child::ConfigMap(copy)) {
        Ok(wanted) => wanted,
        Err(error) => return refused(TroubleKind::ChildRejected, format!("{told}: {error}")),
    };
    let content = wanted_content(&wanted);
    if held.is_some_and(|held| held.content == Some(content)) {
        return Ok(());
    }
    context.writer.confirm(cluster).await?;
    let api = api(context, &namespace);
    let live = context.ask(api.get_opt(&name)).await;
    let live = live.map_err(|error| WriteError::Trouble(trouble(KIND, &told, &error)))?;
    if let Some(live) = live {
        let of = (cluster.namespace().unwrap_or_default(), cluster.name_any());
        let held = Held::of(KIND, &live);
        if source(&live) != of || !held.written_by_us {
            let message = format!(
                "{KIND} {told} exists and is not this cluster's copy: delete or rename it, or take label \
                 {CLIENTS_LABEL} from the namespace"
            );
            return refused(TroubleKind::ForeignObject, message);
        }
        if held.content == Some(content) {
            return Ok(());
        }
    }
    let (parameters, patch) = (PatchParams::apply(FIELD_MANAGER).force(), Patch::Apply(&wanted));
    let written = context.writer.write(Point::ConfigMap, api.patch(&name, &parameters, &patch));
    match written.await? {
        Ok(_) => Ok(()),
        Err(error) => Err(WriteError::Trouble(trouble(KIND, &told, &error))),
    }
}

fn api(context: &Context, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), namespace, &resource(KIND))
}

/// Deletes a copy, if it is still as it was seen.
async fn delete(context: &Context, place: &Place, held: &Held) -> Result<(), WriteError> {
    let same = Preconditions {
        uid: Some(held.uid.to_string()),
        resource_version: Some(held.version.to_string()),
    };
    let parameters = DeleteParams::background().preconditions(same);
    let api = api(context, &place.0);
    let deleted = context.writer.write(Point::DeleteOrphan, api.delete(&place.1, &parameters));
    match deleted.await? {
        Ok(_) => Ok(()),
        // Gone, or changed: that is seen, too.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        Err(error) => Err(WriteError::Trouble(trouble(KIND, &place.1, &error))),
    }
}

/// Deletes the copies of a cluster that is gone, if the API server says so too. When to look again; none: all is done.
pub async fn release(context: &Context, key: &ClusterKey) -> Option<Duration> {
    let copies = context.copies.as_ref()?;
    if !context.leadership.leads() {
        return None;
    }
    let cluster = kube::core::ApiResource::erase::<SpreadCluster>(&());
    let clusters: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &key.0, &cluster);
    match context.ask(clusters.get_opt(&key.1)).await {
        Ok(None) => {}
        // It is new, and its own pass comes.
        Ok(Some(_)) => return None,
        Err(_) => return Some(AGAIN),
    }
    copies.forget(key);
    for (place, held) in copies.of(key) {
        if let Err(error) = delete(context, &place, &held).await {
            tracing::warn!(namespace = place.0, name = place.1, "a copy was not deleted: {error}");
            return Some(AGAIN);
        }
    }
    None
}
