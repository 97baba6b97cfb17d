//! Observe: from the caches to facts. What a decision may not miss and the cache does not show is read
//! live: the ring's record, and what is random and made once.

use crate::admin::{Answer, ClusterKey, Target};
use crate::context::Context;
use crate::held::{Detail, Held, HeldPod, HeldSet, SecretContent};
use crate::kinds::resource;
use crate::refusal::trouble;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject};
use spread_operator_api::{
    AuthenticationType, IpFamily, PlacementType, RingEncryptionType, SpreadCluster, TlsType,
    requests,
};
use spread_plan::names::{
    ACCESS_PWORD_KEY, ADMIN_PORT, ISSUED_FOR_ANNOTATION, Names, RING_KEY, SPREAD_PORT,
};
use spread_plan::{
    Facts, NodeFact, PodFact, RingKeys, RingRecord, Trouble, TroubleKind, slot_name,
};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;

/// What was seen of a cluster.
#[derive(Default)]
pub struct Seen {
    ring_records: Vec<RingRecord>,
    restart_in_force: Option<String>,
    current_replicas: u32,
    ip_families: Option<Vec<IpFamily>>,
    external_client: Option<(String, u16)>,
    pods: Vec<PodFact>,
    nodes: Option<Vec<NodeFact>>,
    keys: Option<RingKeys>,
    /// Secret of the cluster's own authority.
    pub authority: Option<Arc<SecretContent>>,
    /// Secret of the daemons' certificate, whoever made it.
    pub certificate: Option<Arc<SecretContent>>,
    /// cert-manager has written the Secret that is the operator's otherwise.
    pub issued: bool,
    /// Other Secrets that daemons still mount their certificate from, by name.
    pub mounted: BTreeMap<String, Arc<SecretContent>>,
    /// All pods with the cluster's label, by name.
    pub held_pods: BTreeMap<String, HeldPod>,
    /// A daemon was not asked yet, so nothing is known of it.
    pub unasked: bool,
    /// Daemons that can be asked, each with the Secret in `mounted` that it has its certificate from. None: it has it from
    /// where the object says.
    pub targets: Vec<(Target, Option<String>)>,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
}

impl Seen {
    /// As the planner takes it.
    pub fn facts<'a>(&'a self, cluster: &'a SpreadCluster, context: &'a Context) -> Facts<'a> {
        let ca = self.certificate.as_ref().and_then(|secret| secret.text("ca.crt"));
        Facts {
            cluster,
            defaults: &context.defaults,
            ring_records: self.ring_records.clone(),
            restart_in_force: self.restart_in_force.clone(),
            current_replicas: self.current_replicas,
            ip_families: self.ip_families.clone(),
            external_client: self.external_client.clone(),
            pods: self.pods.clone(),
            nodes: self.nodes.clone(),
            keys: self.keys.clone(),
            ca_certificate: ca.map(str::to_owned),
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
    seen.see_mounted(context, cluster, &names).await;
    seen.see_pods(context, cluster, &names);
    if cluster.spec.placement.r#type == PlacementType::PerNode {
        let key = (names.namespace.clone(), names.cluster.clone());
        seen.nodes = context.nodes.all(&key).await;
    }
    seen
}

impl Seen {
    async fn see_ring(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let name = names.ring(1);
        let set = self.look_up(context, cluster, "StatefulSet", &name).await;
        if let Some(Detail::StatefulSet(set)) = set.as_ref().map(|set| &set.detail) {
            let HeldSet { replicas, restart, .. } = &**set;
            self.current_replicas = *replicas;
            self.restart_in_force.clone_from(restart);
        }
        let conf = self.look_up(context, cluster, "ConfigMap", &name).await;
        let records = [set, conf].into_iter().flatten();
        self.ring_records = records.filter_map(|held| held.record().cloned()).collect();
    }

    fn see_service(&mut self, context: &Context, names: &Names) {
        let service = context.caches.child("Service", &names.namespace, &names.client());
        if let Some(Detail::Service(families, host)) = service.as_ref().map(|held| &held.detail) {
            self.ip_families.clone_from(families);
            self.external_client = host.as_ref().map(|host| (host.to_string(), SPREAD_PORT));
        }
    }

    async fn see_secrets(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let security = &cluster.spec.security;
        match (&security.ring_encryption.r#type, &security.ring_encryption.name) {
            (RingEncryptionType::Managed, _) => {
                let found = self.secret(context, cluster, &names.ring_secret()).await;
                let owned = |text: &str| text.to_owned();
                self.keys = found.map(|secret| RingKeys {
                    text: secret.text(RING_KEY).map(owned).unwrap_or_default(),
                    handled_request: secret.annotation(requests::ROTATE_KEYS).map(owned),
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
        let tls_name = names.tls_secret();
        let held = context.caches.child("Secret", &names.namespace, &tls_name);
        let held = held.and_then(|held| held.secret().cloned());
        self.issued = held.as_ref().is_some_and(|secret| {
            secret.annotation(ISSUED_FOR_ANNOTATION) == Some(tls_name.as_str())
        });
        if security.tls.r#type != TlsType::Managed {
            // Should they become the operator's again, they are not to be as they were.
            let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
            context.memory.forget_secret(uid, &tls_name);
            context.memory.forget_secret(uid, &names.ca_secret());
        }
        match (&security.tls.r#type, &security.tls.name) {
            (TlsType::Secret, Some(name)) => {
                let keys = ["tls.crt", "tls.key", "ca.crt"];
                self.certificate =
                    self.need(context, names, name, &keys, "spec.security.tls.name").await;
            }
            (TlsType::CertManager, _) => self.certificate = held,
            _ => {
                self.authority = self.secret(context, cluster, &names.ca_secret()).await;
                self.certificate = self.secret(context, cluster, &tls_name).await;
            }
        }
    }

    /// Daemons that were made while the object named another source have their certificate from there.
    async fn see_mounted(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let named = certificate_name(cluster, names);
        let pods = context.caches.pods(&names.namespace, &names.cluster);
        let daemons = pods
            .iter()
            .filter(|(name, pod)| !pod.terminating && ordinal(name, &names.ring(1)).is_some());
        let others = daemons.filter_map(|(_, pod)| pod.tls_secret.as_deref());
        let others: BTreeSet<&str> = others.filter(|name| **name != *named).collect();
        let secrets = resource("Secret");
        let api: Api<DynamicObject> =
            Api::namespaced_with(context.client.clone(), &names.namespace, &secrets);
        for name in others {
            match context.ask(api.get_opt(name)).await {
                Ok(Some(secret)) => {
                    let content = Arc::new(SecretContent::of(&secret));
                    self.mounted.insert(name.to_owned(), content);
                }
                Ok(None) => self.troubles.push(Trouble {
                    kind: TroubleKind::SecretMissing,
                    message: format!(
                        "Secret {name} is gone and daemons still mount it, so they cannot be asked: delete the pods \
                         that mount it"
                    ),
                }),
                Err(error) => self.troubles.push(trouble("Secret", name, &error)),
            }
        }
    }

    fn see_pods(&mut self, context: &Context, cluster: &SpreadCluster, names: &Names) {
        let named = certificate_name(cluster, names);
        let key: ClusterKey = (names.namespace.clone(), names.cluster.clone());
        for (name, pod) in context.caches.pods(&names.namespace, &names.cluster) {
            self.held_pods.insert(name.clone(), (*pod).clone());
            let in_ring = *pod.ring == *"1";
            let Some(ordinal) = ordinal(&name, &names.ring(1)).filter(|_| in_ring) else {
                continue;
            };
            let mut fact = pod.fact(ordinal);
            let other = fact.tls_secret.clone().filter(|name| **name != *named);
            // With what is gone nobody can be asked.
            let can_be_asked = other.as_ref().is_none_or(|other| self.mounted.contains_key(other));
            if let Some(ip) = pod.ip
                && !pod.terminating
                && can_be_asked
            {
                match context.poller.answer(&key, &pod.uid) {
                    Answer::Says(report) => fact.report = Some(report),
                    Answer::Silent => {}
                    Answer::Unasked => self.unasked = true,
                }
                let target = Target {
                    pod_uid: pod.uid.to_string(),
                    slot: slot_name(ordinal),
                    address: SocketAddr::new(ip, context.admin_port.unwrap_or(ADMIN_PORT)),
                    server_name: names.slot_host(1, ordinal),
                };
                self.targets.push((target, other));
            }
            self.pods.push(fact);
        }
        self.pods.sort_by_key(|pod| pod.ordinal);
    }

    /// Changes with everything about the pods but their daemons' own view.
    pub fn pods_revision(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, pod) in &self.held_pods {
            (name, pod).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// A child of ours, live where the cache does not show it as ours.
    async fn look_up(
        &mut self,
        context: &Context,
        cluster: &SpreadCluster,
        kind: &'static str,
        name: &str,
    ) -> Option<Held> {
        let names = Names::of(cluster);
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let cached = context.caches.child(kind, &names.namespace, name);
        if let Some(cached) = cached.filter(|cached| cached.is_owned(uid)) {
            return Some((*cached).clone());
        }
        let api: Api<DynamicObject> =
            Api::namespaced_with(context.client.clone(), &names.namespace, &resource(kind));
        match context.ask(api.get_opt(name)).await {
            Ok(live) => live.map(|live| Held::of(kind, &live)).filter(|live| live.is_ours(uid)),
            Err(error) => {
                self.troubles.push(trouble(kind, name, &error));
                None
            }
        }
    }

    /// A Secret of ours. Somebody's edit or deletion of what cannot be made again is undone: what was written counts.
    async fn secret(
        &mut self,
        context: &Context,
        cluster: &SpreadCluster,
        name: &str,
    ) -> Option<Arc<SecretContent>> {
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let held = self.look_up(context, cluster, "Secret", name).await;
        let held = held.and_then(|held| held.secret().cloned());
        context.memory.remembered(uid, name, held.as_ref()).or(held)
    }

    /// A Secret of the user's that has to have these keys.
    async fn need(
        &mut self,
        context: &Context,
        names: &Names,
        name: &str,
        keys: &[&str],
        field: &str,
    ) -> Option<Arc<SecretContent>> {
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
            return found.map(|secret| Arc::new(SecretContent::of(&secret)));
        }
        let what = if found.is_some() { "has no" } else { "does not exist; it needs" };
        self.troubles.push(Trouble {
            kind: TroubleKind::SecretMissing,
            message: format!("{field}: Secret {name} {what} {}: make it so", missing.join(", ")),
        });
        None
    }
}

/// Secret that the object says the daemons' certificate is in.
fn certificate_name(cluster: &SpreadCluster, names: &Names) -> String {
    match &cluster.spec.security.tls.name {
        Some(name) => name.clone(),
        None => names.tls_secret(),
    }
}

fn ordinal(pod: &str, set: &str) -> Option<u32> {
    pod.strip_prefix(set)?.strip_prefix('-')?.parse().ok()
}
