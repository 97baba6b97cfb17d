//! What the API server knows about a cluster. Of Secrets only names and dates are asked for: their values never come here.

use crate::CLUSTER_LABEL;
use anyhow::{Context as _, Result, anyhow};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, LogParams};
use kube::core::PartialObjectMeta;
use kube::{Client, Resource, ResourceExt as _};
use serde_json::Value;
use spread_operator_api::SpreadCluster;
use std::fmt::Debug;

/// Last lines of a pod's log that a report takes.
const LOG_LINES: i64 = 2000;
/// Most bytes of it.
const LOG_BYTES: i64 = 1 << 20;

/// What was fetched, and what could not be.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The object.
    pub cluster: SpreadCluster,
    /// Pods of its daemons, by name.
    pub pods: Vec<Pod>,
    /// Events about it, oldest first.
    pub events: Vec<Event>,
    /// When.
    pub now: Timestamp,
    /// What was refused, one sentence each.
    pub missing: Vec<String>,
}

/// Asks the API server with the user's own rights.
pub struct Fetcher {
    client: Client,
    namespace: String,
}

impl Fetcher {
    /// With the kubeconfig and context that kubectl would take.
    pub async fn new(context: Option<&str>, namespace: Option<&str>) -> Result<Self> {
        let options = kube::config::KubeConfigOptions {
            context: context.map(str::to_owned),
            ..Default::default()
        };
        let config = match context {
            Some(_) => {
                kube::Config::from_kubeconfig(&options).await.map_err(|error| anyhow!(error))
            }
            None => kube::Config::infer().await.map_err(|error| anyhow!(error)),
        };
        let config =
            config.context("no cluster: set KUBECONFIG, or name a context with --context")?;
        let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
        Ok(Self { client: Client::try_from(config)?, namespace })
    }

    /// The object alone.
    pub async fn cluster(&self, name: &str) -> Result<SpreadCluster> {
        let api: Api<SpreadCluster> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get(name).await.map_err(|error| explain(error, name, &self.namespace))
    }

    /// The object with its pods and events; what the user may not see is named in `missing`.
    pub async fn facts(&self, name: &str) -> Result<Facts> {
        let cluster = self.cluster(name).await?;
        let mut missing = Vec::new();
        let mut pods = self.children::<Pod>(name, &mut missing).await;
        pods.sort_by_key(|pod| (pod.name_any().len(), pod.name_any()));
        let about = format!("involvedObject.kind=SpreadCluster,involvedObject.name={name}");
        let mut events =
            self.list::<Event>(&ListParams::default().fields(&about), &mut missing).await;
        events.sort_by_key(event_time);
        Ok(Facts { cluster, pods, events, now: Timestamp::now(), missing })
    }

    /// All other objects of the cluster as the API server has them, Secrets without data.
    pub async fn objects(&self, name: &str, missing: &mut Vec<String>) -> Vec<Value> {
        let mut all = Vec::new();
        take(&mut all, self.children::<StatefulSet>(name, missing).await);
        take(&mut all, self.children::<Service>(name, missing).await);
        take(&mut all, self.children::<ConfigMap>(name, missing).await);
        take(&mut all, self.children::<NetworkPolicy>(name, missing).await);
        take(&mut all, self.children::<PodDisruptionBudget>(name, missing).await);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        match secrets.list_metadata(&children_of(name)).await {
            Ok(list) => list.items.iter().for_each(|secret| all.push(named(secret))),
            Err(error) => missing.push(format!("Secrets (names only): {error}")),
        }
        all
    }

    /// The end of a pod's log, and of the one before its last restart.
    pub async fn logs(&self, pod: &Pod, missing: &mut Vec<String>) -> Vec<(String, String)> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let restarts = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
        let restarted = restarts.is_some_and(|all| all.iter().any(|one| one.restart_count > 0));
        let mut logs = Vec::new();
        for previous in [false, true].into_iter().take(if restarted { 2 } else { 1 }) {
            let wanted = LogParams {
                tail_lines: Some(LOG_LINES),
                limit_bytes: Some(LOG_BYTES),
                timestamps: true,
                previous,
                ..Default::default()
            };
            let name = pod.name_any();
            let file = if previous { format!("{name}.previous") } else { name.clone() };
            match api.logs(&name, &wanted).await {
                Ok(text) => logs.push((file, text)),
                Err(error) => missing.push(format!("log of {file}: {error}")),
            }
        }
        logs
    }

    async fn children<K>(&self, name: &str, missing: &mut Vec<String>) -> Vec<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + Debug,
        K: serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        self.list(&children_of(name), missing).await
    }

    async fn list<K>(&self, wanted: &ListParams, missing: &mut Vec<String>) -> Vec<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope> + Clone + Debug,
        K: serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        match api.list(wanted).await {
            Ok(list) => list.items,
            Err(error) => {
                missing.push(format!("{}: {error}", K::kind(&K::DynamicType::default())));
                Vec::new()
            }
        }
    }
}

fn children_of(name: &str) -> ListParams {
    ListParams::default().labels(&format!("{CLUSTER_LABEL}={name}"))
}

/// Lists come without kinds: they are put back.
fn take<K>(all: &mut Vec<Value>, items: Vec<K>)
where
    K: Resource + serde::Serialize,
    K::DynamicType: Default,
{
    let kind = K::DynamicType::default();
    for item in items {
        let Ok(mut value) = serde_json::to_value(item) else { continue };
        value["kind"] = K::kind(&kind).into();
        value["apiVersion"] = K::api_version(&kind).into();
        all.push(value);
    }
}

fn named(secret: &PartialObjectMeta<Secret>) -> Value {
    serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": secret.metadata})
}

/// When an event happened last.
pub(crate) fn event_time(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let micro = series.or(event.event_time.as_ref()).map(|time| time.0);
    last.max(micro).or(event.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

fn explain(error: kube::Error, name: &str, namespace: &str) -> anyhow::Error {
    match &error {
        kube::Error::Api(status) if status.code == 404 && status.message.contains(name) => anyhow!(
            "there is no SpreadCluster {name} in the namespace {namespace}: `kubectl get spreadclusters --all-namespaces` lists them"
        ),
        kube::Error::Api(status) if status.code == 404 => anyhow!(
            "this cluster does not know SpreadClusters: install the chart spread-operator-crds"
        ),
        kube::Error::Api(status) if status.code == 403 => {
            anyhow!(
                "not allowed: {}: ask for the role view in the namespace {namespace}",
                status.message
            )
        }
        _ => anyhow!(error).context("the API server does not answer as it should"),
    }
}
