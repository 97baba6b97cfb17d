//! What is kept of objects that are watched: only what is read of them, so that a thousand clusters fit.

use crate::kinds::secret_text;
use crate::owned;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt as _;
use kube::api::{DynamicObject, ObjectMeta};
use serde_json::Value;
use spread_operator_api::{IpFamily, requests};
use spread_plan::names::{
    CLUSTER_LABEL, FIELD_MANAGER, ISSUED_FOR_ANNOTATION, RING_LABEL, TEMPLATE_ANNOTATION,
    TLS_VOLUME,
};
use spread_plan::{NamespaceFact, NodeFact, PodFact, RingRecord, SECRET_TYPE};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A child.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its uid.
    pub uid: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// Its owners: kind, name, uid.
    pub owners: Box<[Owner]>,
    /// It was applied by this operator, whoever owns it now.
    pub written_by_us: bool,
    /// It is being deleted.
    pub terminating: bool,
    /// A hash of what of it is ours; see [`owned`].
    pub content: Option<u64>,
    /// What is read of its kind.
    pub detail: Detail,
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Kind.
    pub kind: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// Uid.
    pub uid: Box<str>,
}

/// What is read of a child, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    Nothing,
    /// Of a Service: address families, and the host that it has outside.
    Service(Option<Vec<IpFamily>>, Option<Box<str>>),
    /// Of a ConfigMap: what it records of the ring.
    ConfigMap(Box<RingRecord>),
    /// Of a StatefulSet.
    StatefulSet(Box<HeldSet>),
    /// Of a Secret.
    Secret(Arc<SecretContent>),
}

/// Of a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldSet {
    /// What it records of the ring.
    pub record: RingRecord,
    /// Ordinals that it has.
    pub replicas: u32,
    /// The restart request that its pods are made for.
    pub restart: Option<String>,
}

/// A Secret's texts and the annotations that go with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretContent {
    data: Box<[(Box<str>, Box<str>)]>,
    annotations: Box<[(Box<str>, Box<str>)]>,
    /// None: it has that of Secrets that the operator makes.
    other_type: Option<Box<str>>,
}

/// Keys of Secrets that are read; a Secret may have others.
const SECRET_KEYS: &[&str] =
    &["ring.key", "ca.crt", "ca.key", "previous.crt", "tls.crt", "tls.key", "spread.access_pword"];

impl SecretContent {
    /// Of this Secret.
    pub fn of(secret: &DynamicObject) -> Self {
        let data = SECRET_KEYS
            .iter()
            .filter_map(|key| Some(((*key).into(), secret_text(secret, key)?.into())))
            .collect();
        let ours = |name: &str| {
            name.starts_with(spread_operator_api::GROUP) || name == ISSUED_FOR_ANNOTATION
        };
        let annotations = secret.annotations().iter().filter(|(name, _)| ours(name));
        let annotations =
            annotations.map(|(name, text)| (name.as_str().into(), text.as_str().into())).collect();
        let other_type = secret.data["type"].as_str().filter(|it| *it != SECRET_TYPE);
        Self { data, annotations, other_type: other_type.map(Into::into) }
    }

    /// Its type.
    pub fn r#type(&self) -> &str {
        self.other_type.as_deref().unwrap_or(SECRET_TYPE)
    }

    /// A text. None: there is no such key, or it is no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        find(&self.data, key)
    }

    /// An annotation of this operator's, or for which Certificate cert-manager has written it.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        find(&self.annotations, name)
    }
}

fn find<'a>(pairs: &'a [(Box<str>, Box<str>)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| **name == *key).map(|(_, text)| &**text)
}

/// What is read of both is the same. Versions differ where somebody changed what is not read: a status, or fields of
/// others.
impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        let read =
            |held: &Self| (held.uid.clone(), held.written_by_us, held.terminating, held.content);
        read(self) == read(other) && self.owners == other.owners && self.detail == other.detail
    }
}

impl Held {
    /// Of a child as the API server has it.
    pub fn of(kind: &str, object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        let owners = metadata.owner_references.iter().flatten().map(|owner| Owner {
            kind: owner.kind.as_str().into(),
            name: owner.name.as_str().into(),
            uid: owner.uid.as_str().into(),
        });
        Self {
            uid: metadata.uid.as_deref().unwrap_or_default().into(),
            version: metadata.resource_version.as_deref().unwrap_or_default().into(),
            owners: owners.collect(),
            written_by_us: is_written_by_us(metadata),
            terminating: metadata.deletion_timestamp.is_some(),
            content: owned::content(object),
            detail: Detail::of(kind, object),
        }
    }

    /// Whether it is this cluster's.
    pub fn is_owned(&self, uid: &str) -> bool {
        self.owners.iter().any(|owner| *owner.uid == *uid)
    }

    /// It is ours by its owner; or, where somebody took that away, because we wrote it.
    pub fn is_ours(&self, uid: &str) -> bool {
        self.is_owned(uid) || (self.owners.is_empty() && self.written_by_us)
    }

    /// A Secret's content.
    pub fn secret(&self) -> Option<&Arc<SecretContent>> {
        match &self.detail {
            Detail::Secret(content) => Some(content),
            _ => None,
        }
    }

    /// What it records of the ring, if it is of a kind that does.
    pub fn record(&self) -> Option<&RingRecord> {
        match &self.detail {
            Detail::ConfigMap(record) => Some(record),
            Detail::StatefulSet(set) => Some(&set.record),
            _ => None,
        }
    }
}

fn is_written_by_us(metadata: &ObjectMeta) -> bool {
    metadata.managed_fields.iter().flatten().any(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER)
            && fields.operation.as_deref() == Some("Apply")
    })
}

impl Detail {
    fn of(kind: &str, object: &DynamicObject) -> Self {
        let spec = &object.data["spec"];
        let record = || RingRecord::of(object.metadata.annotations.as_ref());
        match kind {
            "Service" => {
                let ingress = &object.data["status"]["loadBalancer"]["ingress"][0];
                let host = ingress["ip"].as_str().or(ingress["hostname"].as_str());
                Self::Service(families(spec), host.map(Into::into))
            }
            "ConfigMap" => Self::ConfigMap(Box::new(record())),
            "StatefulSet" => {
                let replicas = spec["replicas"].as_u64().unwrap_or_default();
                let annotations = &spec["template"]["metadata"]["annotations"];
                Self::StatefulSet(Box::new(HeldSet {
                    record: record(),
                    replicas: u32::try_from(replicas).unwrap_or(u32::MAX),
                    restart: annotations[requests::RESTART].as_str().map(str::to_owned),
                }))
            }
            "Secret" => Self::Secret(Arc::new(SecretContent::of(object))),
            _ => Self::Nothing,
        }
    }
}

/// Address families as the API server says them.
fn families(spec: &Value) -> Option<Vec<IpFamily>> {
    serde_json::from_value(spec["ipFamilies"].clone())
        .ok()
        .filter(|list: &Vec<IpFamily>| !list.is_empty())
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldPod {
    /// Its uid.
    pub uid: Box<str>,
    /// The cluster that its label names.
    pub cluster: Box<str>,
    /// The ring that its label names.
    pub ring: Box<str>,
    /// Its address.
    pub ip: Option<IpAddr>,
    node: Option<Box<str>>,
    template: Box<str>,
    /// Secret that it mounts its certificate from.
    pub tls_secret: Option<Box<str>>,
    unschedulable: Option<Box<str>>,
    ready: bool,
    /// It was asked to end.
    pub terminating: bool,
}

impl HeldPod {
    /// Of a pod as the API server has it.
    pub fn of(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let condition = |kind: &str| conditions.into_iter().flatten().find(|one| one.type_ == kind);
        let unschedulable = condition("PodScheduled").filter(|one| one.status == "False");
        let label = |name: &str| pod.labels().get(name).map(String::as_str).unwrap_or_default();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let template = pod.annotations().get(TEMPLATE_ANNOTATION).map(String::as_str);
        Self {
            uid: pod.metadata.uid.as_deref().unwrap_or_default().into(),
            cluster: label(CLUSTER_LABEL).into(),
            ring: label(RING_LABEL).into(),
            ip: status.and_then(|status| status.pod_ip.as_ref()?.parse().ok()),
            node: node.map(Into::into),
            template: template.unwrap_or_default().into(),
            tls_secret: tls_secret(pod).map(Into::into),
            unschedulable: unschedulable
                .map(|one| one.message.as_deref().unwrap_or_default().into()),
            ready: condition("Ready").is_some_and(|one| one.status == "True"),
            terminating: pod.metadata.deletion_timestamp.is_some(),
        }
    }

    /// As the planner takes it, without its daemon's own view.
    pub fn fact(&self, ordinal: u32) -> PodFact {
        PodFact {
            ordinal,
            uid: self.uid.to_string(),
            node: self.node.as_deref().map(str::to_owned),
            ready: self.ready,
            terminating: self.terminating,
            template: self.template.to_string(),
            tls_secret: self.tls_secret.as_deref().map(str::to_owned),
            unschedulable: self.unschedulable.as_deref().map(str::to_owned),
            report: None,
        }
    }
}

/// Secret that a pod mounts its certificate from.
fn tls_secret(pod: &Pod) -> Option<&str> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    let volume = volumes.iter().find(|volume| volume.name == TLS_VOLUME)?;
    volume.secret.as_ref()?.secret_name.as_deref()
}

/// A node as the planner takes it.
pub fn node_fact(node: Node) -> NodeFact {
    let spec = node.spec.unwrap_or_default();
    NodeFact {
        name: node.metadata.name.unwrap_or_default(),
        labels: node.metadata.labels.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        cordoned: spec.unschedulable.unwrap_or_default(),
        taints: spec.taints.unwrap_or_default(),
    }
}

/// A namespace as the planner takes it.
pub fn namespace_fact(namespace: Namespace) -> NamespaceFact {
    NamespaceFact {
        terminating: namespace.metadata.deletion_timestamp.is_some(),
        name: namespace.metadata.name.unwrap_or_default(),
        labels: namespace.metadata.labels.unwrap_or_default(),
    }
}
