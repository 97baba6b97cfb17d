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
use spread_plan::names::{ACCESS_PWORD_KEY, ADMIN_PORT, Names, RING_KEY, SPREAD_PORT};
use spread_plan::{
    Facts, NodeFact, PodFact, RingKeys, RingRecord, Trouble, TroubleKind, slot_name,
};
use std::collections::BTreeMap;
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
    /// All pods with the cluster's label, by name.
    pub held_pods: BTreeMap<String, HeldPod>,
    /// A daemon was not asked yet, so nothing is known of it.
    pub unasked: bool,
    /// Daemons that can be asked.
    pub targets: Vec<Target>,
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
    seen.see_pods(context, &names);
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
        match (&security.tls.r#type, &security.tls.name) {
            (TlsType::Secret, Some(name)) => {
                let keys = ["tls.crt", "tls.key", "ca.crt"];
                self.certificate =
                    self.need(context, names, name, &keys, "spec.security.tls.name").await;
            }
            (TlsType::CertManager, _) => {
                let name = names.tls_secret();
                let found = context.caches.child("Secret", &names.namespace, &name);
                self.certificate = found.and_then(|held| held.secret().cloned());
            }
            _ => {
                let (ca, tls) = (names.ca_secret(), names.tls_secret());
                self.authority = self.secret(context, cluster, &ca).await;
                self.certificate = self.secret(context, cluster, &tls).await;
            }
        }
    }

    fn see_pods(&mut self, context: &Context, names: &Names) {
        let key: ClusterKey = (names.namespace.clone(), names.cluster.clone());
        for (name, pod) in context.caches.pods(&names.namespace, &names.cluster) {
            self.held_pods.insert(name.clone(), (*pod).clone());
            let in_ring = *pod.ring == *"1";
            let Some(ordinal) = ordinal(&name, &names.ring(1)).filter(|_| in_ring) else {
                continue;
            };
            let mut fact = pod.fact(ordinal);
            if let Some(ip) = pod.ip
                && !pod.terminating
            {
                match context.poller.answer(&key, &pod.uid) {
                    Answer::Says(report) => fact.report = Some(report),
                    Answer::Silent => {}
                    Answer::Unasked => self.unasked = true,
                }
                self.targets.push(Target {
                    pod_uid: pod.uid.to_string(),
                    slot: slot_name(ordinal),
                    address: SocketAddr::new(ip, context.admin_port.unwrap_or(ADMIN_PORT)),
                    server_name: names.slot_host(1, ordinal),
                });
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

fn ordinal(pod: &str, set: &str) -> Option<u32> {
    pod.strip_prefix(set)?.strip_prefix('-')?.parse().ok()
}
