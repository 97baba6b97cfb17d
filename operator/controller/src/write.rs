//! Every write to the API server but the Lease: one place that asks for leadership, refuses foreign
//! objects, and names the point.

use crate::held::{Held, HeldPod, Owner};
use crate::kinds::{is_kept_secret, resource, to_json};
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::owned::wanted_content;
use crate::points::{Moment, Point, Points};
use crate::refusal::trouble;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
    ValidationDirective,
};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use spread_operator_api::{GROUP, SpreadCluster, SpreadClusterStatus, VERSION};
use spread_plan::names::{CLUSTER_LABEL, FIELD_MANAGER, Names};
use spread_plan::{Child, Trouble, TroubleKind};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Field manager of whole lists that are put back.
const REPAIR_MANAGER: &str = "spread-operator-repair";

/// Why a write was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// This replica does not lead: the leader makes it.
    #[error("this replica does not lead")]
    NotLeading,
    /// The object that the pass goes by is not the newest any more: the newer one is on its way.
    #[error("the object has changed meanwhile")]
    Outdated,
    /// It is told in the object's status.
    #[error("{}", .0.message)]
    Trouble(Trouble),
}

/// What was applied last: its content, and the version that it got.
type Applied = BTreeMap<(&'static str, String, String), (u64, String)>;

/// By namespace and name: uid and generation.
type Confirmed = BTreeMap<(String, String), (String, i64)>;

/// Writes.
pub struct Writer {
    client: Client,
    leadership: Leadership,
    points: Points,
    metrics: Arc<Metrics>,
    applied: Mutex<Applied>,
    /// Which generation of each object was the newest when the API server was asked.
    confirmed: Mutex<Confirmed>,
}

impl Writer {
    /// One that has written nothing.
    pub fn new(
        client: Client,
        leadership: Leadership,
        points: Points,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            leadership,
            points,
            metrics,
            applied: Mutex::default(),
            confirmed: Mutex::default(),
        }
    }

    /// Makes one write, if this replica leads.
    pub(crate) async fn write<T>(
        &self,
        point: Point,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<kube::Result<T>, WriteError> {
        self.points.pass(point, Moment::Before).await;
        if !self.leadership.leads() {
            self.metrics.writes_dropped.inc();
            return Err(WriteError::NotLeading);
        }
        self.metrics.writes.inc();
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, request).await;
        self.points.pass(point, Moment::After).await;
        answer.map_err(|_| {
            let message =
                format!("no answer from the API server in {} s", ANSWER_TIMEOUT.as_secs());
            WriteError::Trouble(Trouble { kind: TroubleKind::Retrying, message })
        })
    }

    /// Makes sure that the pass goes by the newest generation of its object. A list may be older than what another process
    /// has acted on already; an older generation is never acted on. Asked once for each generation.
    pub(crate) async fn confirm(&self, cluster: &SpreadCluster) -> Result<(), WriteError> {
        let (metadata, uid) = (&cluster.metadata, text(&cluster.metadata.uid));
        let generation = metadata.generation.unwrap_or_default();
        let (namespace, name) = (text(&metadata.namespace), text(&metadata.name));
        let key = (namespace.to_owned(), name.to_owned());
        let known = self.confirmed().get(&key).filter(|(of, _)| of == uid).map(|known| known.1);
        match known.map(|newest| newest.cmp(&generation)) {
            Some(Ordering::Greater) => return Err(WriteError::Outdated),
            Some(Ordering::Equal) => return Ok(()),
            Some(Ordering::Less) | None => {}
        }
        let resource = kube::core::ApiResource::erase::<SpreadCluster>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource);
        let live = read(&api, "SpreadCluster", name).await?;
        let live = live.filter(|live| text(&live.metadata.uid) == uid);
        let Some(live) = live else { return Err(WriteError::Outdated) };
        let newest = live.metadata.generation.unwrap_or_default();
        self.confirmed().insert(key, (uid.to_owned(), newest));
        if newest == generation { Ok(()) } else { Err(WriteError::Outdated) }
    }

    fn confirmed(&self) -> std::sync::MutexGuard<'_, Confirmed> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a child as wanted. `cached` is the cache's view of it. Gives it after the write; none if nothing was to be
    /// written.
    pub async fn apply(
        &self,
        cluster: &SpreadCluster,
        child: &Child,
        cached: Option<&Held>,
    ) -> Result<Option<Held>, WriteError> {
        let (kind, name) = (child.kind(), child.name());
        let names = Names::of(cluster);
        let mut wanted = to_json(child).map_err(|error| {
            let message = format!("{kind} {name} cannot be written: {error}");
            WriteError::Trouble(Trouble { kind: TroubleKind::ChildRejected, message })
        })?;
        let hash = wanted_content(&wanted);
        let key = (kind, names.namespace.clone(), name.clone());
        let uid = text(&cluster.metadata.uid);
        let cached = cached.filter(|cached| cached.is_owned(uid));
        if let Some(cached) = cached
            && (cached.content == Some(hash) || self.is_applied(&key, hash, cached))
        {
            return Ok(None);
        }
        self.confirm(cluster).await?;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &names.namespace, &resource(kind));
        // What the cache does not show may still be there: with no label of ours, or too new.
        let live = match cached {
            Some(cached) => Some(cached.clone()),
            None => read(&api, kind, &name).await?.map(|live| Held::of(kind, &live)),
        };
        if let Some(live) = &live {
            refuse_foreign(kind, &name, live, uid)?;
            if live.is_owned(uid) && live.content == Some(hash) {
                return Ok(None);
            }
            if kind == "Secret" && is_kept_secret(&names, &name) {
                // What is random in it must not overwrite what was not seen.
                wanted["metadata"]["resourceVersion"] = json!(live.version);
            }
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&wanted);
        let request = api.patch(&name, &parameters, &patch);
        let mut written = self.write(point_of(child, &names), request).await?;
        if let (Err(kube::Error::Api(status)), true) = (&written, live.is_some())
            && status.code == 422
            && wanted.get("spec").is_some()
        {
            // Somebody changed what tells a list's items apart: theirs stays beside ours, and the two do not
            // go together. Whole lists are put back.
            let parameters = PatchParams {
                field_manager: Some(REPAIR_MANAGER.to_owned()),
                ..PatchParams::default()
            };
            let lists = json!({"spec": wanted["spec"]});
            let patch = Patch::Merge(&lists);
            let request = api.patch(&name, &parameters, &patch);
            written = self.write(point_of(child, &names), request).await?;
        }
        let written = written.map_err(|error| WriteError::Trouble(trouble(kind, &name, &error)))?;
        let version = written.metadata.resource_version.clone().unwrap_or_default();
        self.applied().insert(key, (hash, version));
        Ok(Some(Held::of(kind, &written)))
    }

    fn applied(&self) -> std::sync::MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the object is as our last write left it, as far as the cache can tell: one that is behind
    /// our own write shows nothing yet.
    fn is_applied(&self, key: &(&'static str, String, String), hash: u64, cached: &Held) -> bool {
        let applied = self.applied();
        let Some((applied_hash, version)) = applied.get(key) else { return false };
        let number = |version: &str| version.parse::<u64>().ok();
        let seen = &*cached.version;
        let behind = number(seen).zip(number(version)).is_some_and(|(seen, ours)| seen < ours);
        *applied_hash == hash && (seen == version || behind)
    }

    /// Nothing of this cluster is remembered any more.
    pub fn forget(&self, names: &Names) {
        self.confirmed().remove(&(names.namespace.clone(), names.cluster.clone()));
        let prefix = format!("{}-", names.cluster);
        self.applied().retain(|(_, namespace, name), _| {
            *namespace != names.namespace || !name.starts_with(&prefix)
        });
    }

    /// Deletes a pod, if it is still the same, and if all pods of the cluster are as the pass has seen them: by name and
    /// what is read of each.
    pub async fn delete_pod(
        &self,
        cluster: &SpreadCluster,
        name: &str,
        uid: &str,
        seen: &BTreeMap<String, HeldPod>,
    ) -> Result<(), WriteError> {
        self.confirm(cluster).await?;
        let names = Names::of(cluster);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &names.namespace);
        let labels = format!("{CLUSTER_LABEL}={}", names.cluster);
        let parameters = ListParams::default().labels(&labels);
        let listed = api.list(&parameters);
        let listed = match tokio::time::timeout(ANSWER_TIMEOUT, listed).await {
            Ok(listed) => {
                listed.map_err(|error| WriteError::Trouble(trouble("Pod", name, &error)))?
            }
            Err(_) => return Err(retrying(format!("no answer about pods of {}", names.cluster))),
        };
        let live: BTreeMap<String, HeldPod> =
            listed.items.iter().map(|pod| (pod.name_any(), HeldPod::of(pod))).collect();
        if live != *seen {
            return Err(WriteError::Outdated);
        }
        let parameters = DeleteParams::default().preconditions(same(uid));
        let answer = self.write(Point::DeletePod, api.delete(name, &parameters)).await?;
        settled("Pod", name, answer.map(drop))
    }

    /// Deletes a child that is no longer wanted, if it is still the same.
    pub async fn delete_orphan(
        &self,
        cluster: &SpreadCluster,
        kind: &'static str,
        name: &str,
        orphan: &Held,
    ) -> Result<(), WriteError> {
        self.confirm(cluster).await?;
        let namespace = text(&cluster.metadata.namespace);
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource(kind));
        let parameters = DeleteParams::background().preconditions(same(&orphan.uid));
        let answer = self.write(Point::DeleteOrphan, api.delete(name, &parameters)).await?;
        settled(kind, name, answer.map(drop))
    }

    /// Writes an object's status: all of it, and no field that the definition does not know.
    pub async fn status(
        &self,
        cluster: &SpreadCluster,
        status: &SpreadClusterStatus,
        point: Point,
    ) -> Result<kube::Result<()>, WriteError> {
        self.confirm(cluster).await?;
        let metadata = &cluster.metadata;
        self.patch_status(metadata, json!(status), ValidationDirective::Strict, point).await
    }

    /// Writes conditions alone, for a definition that lacks fields of the status.
    pub async fn conditions(
        &self,
        metadata: &ObjectMeta,
        conditions: &[Condition],
    ) -> Result<kube::Result<()>, WriteError> {
        let status = json!({"conditions": conditions});
        self.patch_status(metadata, status, ValidationDirective::Ignore, Point::Status).await
    }

    async fn patch_status(
        &self,
        metadata: &ObjectMeta,
        status: Value,
        validation: ValidationDirective,
        point: Point,
    ) -> Result<kube::Result<()>, WriteError> {
        let (namespace, name) = (text(&metadata.namespace), text(&metadata.name));
        let api: Api<DynamicObject> = Api::namespaced_with(
            self.client.clone(),
            namespace,
            &kube::core::ApiResource::erase::<SpreadCluster>(&()),
        );
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "SpreadCluster",
            // Never of another object of the same name.
            "metadata": {"name": name, "namespace": namespace, "uid": metadata.uid},
            "status": status,
        });
        let parameters = PatchParams {
            field_validation: Some(validation),
            ..PatchParams::apply(FIELD_MANAGER).force()
        };
        let patch = Patch::Apply(&object);
        let request = api.patch_status(name, &parameters, &patch);
        Ok(self.write(point, request).await?.map(drop))
    }

    /// Publishes an event.
    pub async fn event(
        &self,
        publish: impl Future<Output = kube::Result<()>>,
    ) -> Result<kube::Result<()>, WriteError> {
        self.write(Point::Event, publish).await
    }
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

pub(crate) fn same(uid: &str) -> Preconditions {
    Preconditions { uid: Some(uid.to_owned()), resource_version: None }
}

/// Gone already, or another one by now: both are what was wanted.
pub(crate) fn settled(kind: &str, name: &str, answer: kube::Result<()>) -> Result<(), WriteError> {
    match answer {
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        other => other.map_err(|error| WriteError::Trouble(trouble(kind, name, &error))),
    }
}

pub(crate) fn retrying(message: String) -> WriteError {
    WriteError::Trouble(Trouble { kind: TroubleKind::Retrying, message })
}

async fn read(
    api: &Api<DynamicObject>,
    kind: &str,
    name: &str,
) -> Result<Option<DynamicObject>, WriteError> {
    match tokio::time::timeout(ANSWER_TIMEOUT, api.get_opt(name)).await {
        Ok(Ok(found)) => Ok(found),
        // Without the kind there is no object; the write tells what is missing.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(error)) => Err(WriteError::Trouble(trouble(kind, name, &error))),
        Err(_) => Err(retrying(format!("no answer about {kind} {name}"))),
    }
}

/// What is somebody else's is not written to.
pub(crate) fn refuse_foreign(
    kind: &str,
    name: &str,
    live: &Held,
    uid: &str,
) -> Result<(), WriteError> {
    if live.is_ours(uid) {
        return Ok(());
    }
    let trouble = |kind, message| Err(WriteError::Trouble(Trouble { kind, message }));
    let is_cluster = |owner: &Owner| *owner.kind == *"SpreadCluster";
    if live.owners.iter().any(|owner| is_cluster(owner) && name.starts_with(&*owner.name)) {
        let message = format!("{kind} {name} is of an object that was deleted and goes soon");
        return trouble(TroubleKind::Retrying, message);
    }
    trouble(
        TroubleKind::ForeignObject,
        format!(
            "{kind} {name} exists and is not this cluster's: delete or rename it, or choose another metadata.name"
        ),
    )
}

fn point_of(child: &Child, names: &Names) -> Point {
    match child {
        Child::Service(_) => Point::Service,
        Child::ConfigMap(_) => Point::ConfigMap,
        Child::Secret(_) if child.name() == names.ca_secret() => Point::Authority,
        Child::Secret(_) if child.name() == names.tls_secret() => Point::DaemonCertificate,
        Child::Secret(_) => Point::RingSecret,
        Child::PodDisruptionBudget(_) => Point::Budget,
        Child::NetworkPolicy(_) => Point::Policy,
        Child::Certificate(_) => Point::Certificate,
        Child::StatefulSet(_) => Point::StatefulSet,
    }
}
