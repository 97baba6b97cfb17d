//! Observe: from the caches to facts. What a decision may not miss and the cache does not show is read
//! live: the ring's record, and what is random and made once.

use crate::admin::{ClusterKey, Target};
use crate::context::Context;
use crate::kinds::{resource, secret_text};
use crate::refusal::trouble;
use crate::write::{is_ours, is_owned};
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta};
use serde_json::Value;
use spread_operator_api::{
    AuthenticationType, IpFamily, PlacementType, RingEncryptionType, SpreadCluster, TlsType,
    requests,
};
use spread_plan::names::{
    ACCESS_PWORD_KEY, ADMIN_PORT, Names, RING_KEY, RING_LABEL, SPREAD_PORT, TEMPLATE_ANNOTATION,
};
use spread_plan::{Facts, NodeFact, PodFact, RingKeys, Trouble, TroubleKind, slot_name};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What was seen of a cluster.
#[derive(Default)]
pub struct Seen {
    ring_records: Vec<ObjectMeta>,
    restart_in_force: Option<String>,
    current_replicas: u32,
    ip_families: Option<Vec<IpFamily>>,
    external_client: Option<(String, u16)>,
    pods: Vec<PodFact>,
    nodes: Option<Vec<NodeFact>>,
    keys: Option<RingKeys>,
    /// Secret of the cluster's own authority.
    pub authority: Option<DynamicObject>,
    /// Secret of the daemons' certificate, whoever made it.
    pub certificate: Option<DynamicObject>,
    /// Daemons that can be asked.
    pub targets: Vec<Target>,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
}

impl Seen {
    /// As the planner takes it.
    pub fn facts<'a>(&'a self, cluster: &'a SpreadCluster, context: &'a Context) -> Facts<'a> {
        let ca = self.certificate.as_ref().and_then(|secret| secret_text(secret, "ca.crt"));
        Facts {
            cluster,
            defaults: &context.defaults,
            ring_records: self.ring_records.iter().collect(),
            restart_in_force: self.restart_in_force.clone(),
            current_replicas: self.current_replicas,
            ip_families: self.ip_families.clone(),
            external_client: self.external_client.clone(),
            pods: self.pods.clone(),
            nodes: self.nodes.clone(),
            keys: self.keys.clone(),
            ca_certificate: ca,
            troubles: self.troubles.clone(),
        }
    }
}

/// Looks at everything that a cluster has.
pub async fn observe(context: &Context, cluster: &SpreadCluster) -> Seen {
    let names = Names::of(cluster);
    let mut seen = Seen::default();
    for (kind, why) in context.caches.refusals() {
        let message = format!(
            "{kind}: cannot be watched: {why}: add list and watch to the operator's Role or ClusterRole"
        );
        seen.troubles.push(Trouble { kind: TroubleKind::MissingPermission, message });
    }
    seen.see_ring(context, cluster, &names).await;
    seen.see_service(context, &names);
    seen.see_secrets(context, cluster, &names).await;
    seen.see_pods(context, &names);
    if cluster.spec.placement.r#type == PlacementType::PerNode {
        seen.see_nodes(context).await;
    }
    seen
}

impl Seen {
    async fn see_ring(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let name = names.ring(1);
        let set = self.look_up(context, cluster, "StatefulSet", &name).await;
        if let Some(set) = &set {
            let replicas = set.data["spec"]["replicas"].as_u64().unwrap_or_default();
            self.current_replicas = u32::try_from(replicas).unwrap_or(u32::MAX);
            let annotations = &set.data["spec"]["template"]["metadata"]["annotations"];
            self.restart_in_force = annotations[requests::RESTART].as_str().map(str::to_owned);
        }
        let conf = self.look_up(context, cluster, "ConfigMap", &name).await;
        self.ring_records =
            [set, conf].into_iter().flatten().map(|object| object.metadata).collect();
    }

    fn see_service(&mut self, context: &Context, names: &Names) {
        let Some(service) = context.caches.child("Service", &names.namespace, &names.client())
        else {
            return;
        };
        let spec = &service.data["spec"];
        self.ip_families = families(spec);
        let ingress = &service.data["status"]["loadBalancer"]["ingress"][0];
        let host = ingress["ip"].as_str().or(ingress["hostname"].as_str());
        if let Some(host) = host {
            self.external_client = Some((host.to_owned(), SPREAD_PORT));
        }
    }

    async fn see_secrets(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let security = &cluster.spec.security;
        match (&security.ring_encryption.r#type, &security.ring_encryption.name) {
            (RingEncryptionType::Managed, _) => {
                let found = self.look_up(context, cluster, "Secret", &names.ring_secret()).await;
                self.keys = found.map(|secret| RingKeys {
                    text: secret_text(&secret, RING_KEY).unwrap_or_default(),
                    handled_request: secret.annotations().get(requests::ROTATE_KEYS).cloned(),
                });
            }
            (RingEncryptionType::Secret, Some(name)) => {
                self.need(context, names, name, &[RING_KEY], "spec.security.ringEncryption.name")
                    .await;
            }
            _ => {}
        }
        let authentication = &cluster.spec.clients.authentication;
        if let (AuthenticationType::Secret, Some(name)) =
            (&authentication.r#type, &authentication.name)
        {
            let field = "spec.clients.authentication.name";
            self.need(context, names, name, &[ACCESS_PWORD_KEY], field).await;
        }
        match (&security.tls.r#type, &security.tls.name) {
            (TlsType::Secret, Some(name)) => {
                let keys = ["tls.crt", "tls.key", "ca.crt"];
                self.certificate =
                    self.need(context, names, name, &keys, "spec.security.tls.name").await;
            }
            (TlsType::CertManager, _) => {
                let name = names.tls_secret();
                let found = context.caches.child("Secret", &names.namespace, &name);
                self.certificate = found.map(|secret| (*secret).clone());
            }
            _ => {
                let (ca, tls) = (names.ca_secret(), names.tls_secret());
                self.authority = self.look_up(context, cluster, "Secret", &ca).await;
                self.certificate = self.look_up(context, cluster, "Secret", &tls).await;
            }
        }
    }

    fn see_pods(&mut self, context: &Context, names: &Names) {
        let key: ClusterKey = (names.namespace.clone(), names.cluster.clone());
        for pod in context.caches.pods(&names.namespace, &names.cluster) {
            let in_ring = pod.labels().get(RING_LABEL).is_some_and(|ring| ring == "1");
            let Some(ordinal) = ordinal(&pod, &names.ring(1)).filter(|_| in_ring) else { continue };
            let uid = pod.uid().unwrap_or_default();
            let mut fact = pod_fact(&pod, ordinal);
            fact.report = context.poller.report(&key, &uid);
            let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_ref());
            if let Some(ip) = ip.and_then(|ip| ip.parse().ok())
                && !fact.terminating
            {
                self.targets.push(Target {
                    pod_uid: uid,
                    slot: slot_name(ordinal),
                    address: SocketAddr::new(ip, context.admin_port.unwrap_or(ADMIN_PORT)),
                    server_name: names.slot_host(1, ordinal),
                });
            }
            self.pods.push(fact);
        }
        self.pods.sort_by_key(|pod| pod.ordinal);
    }

    async fn see_nodes(&mut self, context: &Context) {
        let api: Api<Node> = Api::all(context.client.clone());
        match context.ask(api.list(&ListParams::default())).await {
            Ok(nodes) => self.nodes = Some(nodes.items.into_iter().map(node_fact).collect()),
            // The decision says what is missing and what can be done.
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(error) => self.troubles.push(trouble("Node", "list", &error)),
        }
    }

    /// A child of ours, live where the cache does not show it as ours.
    async fn look_up(
        &mut self,
        context: &Context,
        cluster: &SpreadCluster,
        kind: &'static str,
        name: &str,
    ) -> Option<DynamicObject> {
        let names = Names::of(cluster);
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let cached = context.caches.child(kind, &names.namespace, name);
        let found = match cached.filter(|cached| is_owned(&cached.metadata, uid)) {
            Some(cached) => Some((*cached).clone()),
            None => {
                let api: Api<DynamicObject> =
                    Api::namespaced_with(context.client.clone(), &names.namespace, &resource(kind));
                match context.ask(api.get_opt(name)).await {
                    Ok(live) => live.filter(|live| is_ours(&live.metadata, uid)),
                    Err(error) => {
                        self.troubles.push(trouble(kind, name, &error));
                        None
                    }
                }
            }
        };
        if kind != "Secret" {
            return found;
        }
        // Somebody's edit or deletion of what cannot be made again is undone.
        match (found, context.remembered(uid, name)) {
            (Some(mut found), Some(written)) => {
                found.data["data"] = written.data["data"].clone();
                found.metadata.annotations = written.metadata.annotations;
                Some(found)
            }
            (found, written) => found.or(written),
        }
    }

    /// A Secret of the user's that has to have these keys.
    async fn need(
        &mut self,
        context: &Context,
        names: &Names,
        name: &str,
        keys: &[&str],
        field: &str,
    ) -> Option<DynamicObject> {
        let secrets = kube::core::ApiResource::erase::<Secret>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(context.client.clone(), &names.namespace, &secrets);
        let found = match context.ask(api.get_opt(name)).await {
            Ok(found) => found,
            Err(error) => {
                self.troubles.push(trouble("Secret", name, &error));
                return None;
            }
        };
        let missing: Vec<&str> = keys
            .iter()
            .filter(|key| found.as_ref().is_none_or(|secret| secret.data["data"][**key].is_null()))
            .copied()
            .collect();
        if missing.is_empty() {
            return found;
        }
        let what = if found.is_some() { "has no" } else { "does not exist; it needs" };
        self.troubles.push(Trouble {
            kind: TroubleKind::SecretMissing,
            message: format!("{field}: Secret {name} {what} {}: make it so", missing.join(", ")),
        });
        None
    }
}

/// Address families as the API server says them.
pub fn families(spec: &Value) -> Option<Vec<IpFamily>> {
    serde_json::from_value(spec["ipFamilies"].clone())
        .ok()
        .filter(|list: &Vec<IpFamily>| !list.is_empty())
}

fn ordinal(pod: &Pod, set: &str) -> Option<u32> {
    pod.name_any().strip_prefix(set)?.strip_prefix('-')?.parse().ok()
}

fn pod_fact(pod: &Pod, ordinal: u32) -> PodFact {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let condition = |kind: &str| conditions.into_iter().flatten().find(|one| one.type_ == kind);
    let unschedulable = condition("PodScheduled").filter(|one| one.status == "False");
    PodFact {
        ordinal,
        uid: pod.uid().unwrap_or_default(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        ready: condition("Ready").is_some_and(|one| one.status == "True"),
        terminating: pod.metadata.deletion_timestamp.is_some(),
        template: pod.annotations().get(TEMPLATE_ANNOTATION).cloned().unwrap_or_default(),
        unschedulable: unschedulable.map(|one| one.message.clone().unwrap_or_default()),
        report: None,
    }
}

fn node_fact(node: Node) -> NodeFact {
    let spec = node.spec.unwrap_or_default();
    NodeFact {
        name: node.metadata.name.unwrap_or_default(),
        labels: node.metadata.labels.unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>(),
        cordoned: spec.unschedulable.unwrap_or_default(),
        taints: spec.taints.unwrap_or_default(),
    }
}
