//! Every write to the API server but the Lease: one place that asks for leadership, refuses foreign
//! objects, and names the point.

use crate::kinds::{is_kept_secret, resource, to_json};
use crate::leader::Leadership;
use crate::metrics::Metrics;
use crate::points::{Moment, Point, Points};
use crate::refusal::trouble;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Client;
use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, ValidationDirective,
};
use serde_json::{Value, json};
use spread_operator_api::{GROUP, SpreadCluster, SpreadClusterStatus, VERSION};
use spread_plan::names::{FIELD_MANAGER, Names};
use spread_plan::{Child, Trouble, TroubleKind};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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
    /// It is told in the object's status.
    #[error("{}", .0.message)]
    Trouble(Trouble),
}

/// What was applied last: its content, and the version that it got.
type Applied = BTreeMap<(&'static str, String, String), (u64, String)>;

/// Writes.
pub struct Writer {
    client: Client,
    leadership: Leadership,
    points: Points,
    metrics: Arc<Metrics>,
    applied: Mutex<Applied>,
}

impl Writer {
    /// One that has written nothing.
    pub fn new(
        client: Client,
        leadership: Leadership,
        points: Points,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { client, leadership, points, metrics, applied: Mutex::default() }
    }

    /// Makes one write, if this replica leads.
    async fn write<T>(
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

    /// Makes a child as wanted. `cached` is the cache's view of it. Gives its metadata and content after
    /// the write; none if nothing was to be written.
    pub async fn apply(
        &self,
        cluster: &SpreadCluster,
        child: &Child,
        cached: Option<&DynamicObject>,
    ) -> Result<Option<DynamicObject>, WriteError> {
        let (kind, name) = (child.kind(), child.name());
        let names = Names::of(cluster);
        let mut wanted = to_json(child).map_err(|error| {
            let message = format!("{kind} {name} cannot be written: {error}");
            WriteError::Trouble(Trouble { kind: TroubleKind::ChildRejected, message })
        })?;
        let hash = hash(&wanted);
        let key = (kind, names.namespace.clone(), name.clone());
        if let Some(cached) = cached
            && self.is_applied(&key, hash, cached)
        {
            return Ok(None);
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &names.namespace, &resource(kind));
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        // What the cache does not show may still be there: with no label of ours, or too new.
        let live = match cached.filter(|cached| is_owned(&cached.metadata, uid)) {
            Some(cached) => Some(cached.clone()),
            None => read(&api, kind, &name).await?,
        };
        if let Some(live) = &live {
            refuse_foreign(kind, &name, &live.metadata, uid)?;
            if kind == "Secret" && is_kept_secret(&names, &name) {
                // What is random in it must not overwrite what was not seen.
                wanted["metadata"]["resourceVersion"] = json!(live.metadata.resource_version);
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
        Ok(Some(written))
    }

    fn applied(&self) -> std::sync::MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the object is as our last write left it, as far as the cache can tell: one that is behind
    /// our own write shows nothing yet.
    fn is_applied(
        &self,
        key: &(&'static str, String, String),
        hash: u64,
        cached: &DynamicObject,
    ) -> bool {
        let applied = self.applied();
        let Some((applied_hash, version)) = applied.get(key) else { return false };
        let number = |version: &str| version.parse::<u64>().ok();
        let seen = cached.metadata.resource_version.as_deref().unwrap_or_default();
        let behind = number(seen).zip(number(version)).is_some_and(|(seen, ours)| seen < ours);
        *applied_hash == hash && (seen == version || behind)
    }

    /// Nothing of this cluster is remembered any more.
    pub fn forget(&self, names: &Names) {
        let prefix = format!("{}-", names.cluster);
        self.applied().retain(|(_, namespace, name), _| {
            *namespace != names.namespace || !name.starts_with(&prefix)
        });
    }

    /// Deletes a pod, if it is still the same.
    pub async fn delete_pod(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<(), WriteError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let parameters = DeleteParams::default().preconditions(same(uid));
        let answer = self.write(Point::DeletePod, api.delete(name, &parameters)).await?;
        settled("Pod", name, answer.map(drop))
    }

    /// Deletes a child that is no longer wanted, if it is still the same.
    pub async fn delete_orphan(
        &self,
        kind: &'static str,
        orphan: &DynamicObject,
    ) -> Result<(), WriteError> {
        let metadata = &orphan.metadata;
        let (namespace, name) = (text(&metadata.namespace), text(&metadata.name));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), namespace, &resource(kind));
        let parameters = DeleteParams::background().preconditions(same(text(&metadata.uid)));
        let answer = self.write(Point::DeleteOrphan, api.delete(name, &parameters)).await?;
        settled(kind, name, answer.map(drop))
    }

    /// Writes an object's status: all of it, and no field that the definition does not know.
    pub async fn status(
        &self,
        metadata: &ObjectMeta,
        status: &SpreadClusterStatus,
        point: Point,
    ) -> Result<kube::Result<()>, WriteError> {
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

fn same(uid: &str) -> Preconditions {
    Preconditions { uid: Some(uid.to_owned()), resource_version: None }
}

/// Gone already, or another one by now: both are what was wanted.
fn settled(kind: &str, name: &str, answer: kube::Result<()>) -> Result<(), WriteError> {
    match answer {
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        other => other.map_err(|error| WriteError::Trouble(trouble(kind, name, &error))),
    }
}

async fn read(
    api: &Api<DynamicObject>,
    kind: &str,
    name: &str,
) -> Result<Option<DynamicObject>, WriteError> {
    let retrying =
        |message: String| WriteError::Trouble(Trouble { kind: TroubleKind::Retrying, message });
    match tokio::time::timeout(ANSWER_TIMEOUT, api.get_opt(name)).await {
        Ok(Ok(found)) => Ok(found),
        // Without the kind there is no object; the write tells what is missing.
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Ok(Err(error)) => Err(WriteError::Trouble(trouble(kind, name, &error))),
        Err(_) => Err(retrying(format!("no answer about {kind} {name}"))),
    }
}

/// Whether the object is this cluster's.
pub fn is_owned(metadata: &ObjectMeta, uid: &str) -> bool {
    metadata.owner_references.iter().flatten().any(|owner| owner.uid == uid)
}

/// An object is ours by its owner; or, where somebody took that away, because we wrote it.
pub fn is_ours(metadata: &ObjectMeta, uid: &str) -> bool {
    let unowned = metadata.owner_references.iter().flatten().next().is_none();
    let written_by_us = metadata.managed_fields.iter().flatten().any(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER)
            && fields.operation.as_deref() == Some("Apply")
    });
    is_owned(metadata, uid) || (unowned && written_by_us)
}

fn refuse_foreign(
    kind: &str,
    name: &str,
    metadata: &ObjectMeta,
    uid: &str,
) -> Result<(), WriteError> {
    if is_ours(metadata, uid) {
        return Ok(());
    }
    let trouble = |kind, message| Err(WriteError::Trouble(Trouble { kind, message }));
    let mut owners = metadata.owner_references.iter().flatten();
    if owners.any(|owner| owner.kind == "SpreadCluster" && name.starts_with(&owner.name)) {
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

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}
