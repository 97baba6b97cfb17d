//! The objects, and pods that a kubelet would have made.

use crate::PATIENCE;
use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use spread_e2e::ControlPlane;
use spread_operator::kinds::resource;
use spread_operator_api::{SpreadCluster, SpreadClusterSpec, definition};
use spread_plan::names::{CLUSTER_LABEL, RING_LABEL, TEMPLATE_ANNOTATION};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Daemons of each cluster.
pub const DAEMONS: usize = 3;
/// Requests of ours under way.
const CONCURRENCY: usize = 16;
/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
const NAMESPACE: &str = "thousand";

/// All clusters.
pub struct Fleet {
    client: Client,
    clusters: usize,
    hanging: usize,
}

impl Fleet {
    /// With the definition and a namespace on this API server.
    pub async fn new(plane: &ControlPlane, clusters: usize, hanging: usize) -> Result<Self> {
        plane.kubectl().apply(&serde_json::to_string(&definition())?)?;
        let crd = "crd/spreadclusters.spread-operator.dev";
        plane.kubectl().run(&["wait", "--for=condition=Established", "--timeout=60s", crd])?;
        let kubeconfig = Kubeconfig::read_from(plane.kubeconfig())?;
        let options = KubeConfigOptions::default();
        let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(Self { client, clusters, hanging })
    }

    fn objects(&self) -> Api<SpreadCluster> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn children(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, &resource(kind))
    }

    /// Creates all objects.
    pub async fn create(&self) -> Result<()> {
        let api = &self.objects();
        let create = |number| async move {
            let spec = SpreadClusterSpec { replicas: Some(3), ..SpreadClusterSpec::default() };
            let object = SpreadCluster::new(&name(number), spec);
            api.create(&PostParams::default(), &object).await.map(drop)
        };
        let all = stream::iter((0..self.clusters).map(create)).buffer_unordered(CONCURRENCY);
        Ok(all.try_collect::<()>().await?)
    }

    /// Waits until each has its StatefulSet, the last child that is made.
    pub async fn wait_made(&self) -> Result<()> {
        wait("StatefulSets", self.clusters, async || {
            Ok(self.children("StatefulSet").list(&ListParams::default()).await?.items.len())
        })
        .await
    }

    /// The daemons' certificates.
    pub async fn certificates(&self) -> Result<Vec<DynamicObject>> {
        let mut all = self.children("Secret").list(&ListParams::default()).await?.items;
        all.retain(|secret| {
            secret.metadata.name.as_ref().is_some_and(|name| name.ends_with("-tls"))
        });
        Ok(all)
    }

    /// Pods as the StatefulSets would make them, running, each with an address of its own.
    pub async fn create_pods(&self) -> Result<()> {
        let first = self.children("StatefulSet").get(&format!("{}-r1", name(0))).await?;
        let annotations = &first.data["spec"]["template"]["metadata"]["annotations"];
        let template = annotations[TEMPLATE_ANNOTATION].as_str().unwrap_or_default();
        let api: &Api<Pod> = &Api::namespaced(self.client.clone(), NAMESPACE);
        let create = |daemon: usize| async move {
            let (cluster, slot) = (name(daemon / DAEMONS), daemon % DAEMONS);
            let pod = format!("{cluster}-r1-{slot}");
            let manifest = json!({
                "metadata": {
                    "name": pod,
                    "labels": {CLUSTER_LABEL: cluster, RING_LABEL: "1"},
                    "annotations": {TEMPLATE_ANNOTATION: template},
                },
                "spec": {"containers": [{"name": "spreadd", "image": "spreadd:1"}]},
            });
            api.create(&PostParams::default(), &serde_json::from_value(manifest)?).await?;
            let ip = address(daemon).to_string();
            let status = json!({"status": {
                "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }});
            api.patch_status(&pod, &PatchParams::default(), &Patch::Merge(&status)).await?;
            anyhow::Ok(())
        };
        let daemons = 0..self.clusters * DAEMONS;
        let all = stream::iter(daemons.map(create)).buffer_unordered(CONCURRENCY);
        all.try_collect::<()>().await
    }

    /// Tells by its address whether a daemon hangs.
    pub fn hanging(&self) -> Box<dyn Fn(IpAddr) -> bool + Send + Sync> {
        let one_of = self.hanging;
        let hangs = (0..self.clusters * DAEMONS).filter(move |daemon| daemon % one_of == 0);
        let addresses: std::collections::BTreeSet<IpAddr> = hangs.map(address).collect();
        Box::new(move |ip| addresses.contains(&ip))
    }

    /// Waits until each object says of itself that it is whole, or that it is not because of a daemon that hangs.
    pub async fn wait_settled(&self) -> Result<()> {
        let degraded = (0..self.clusters).filter(|number| self.degraded(*number)).count();
        println!("{degraded} clusters have a daemon that hangs");
        wait("objects settled", self.clusters, async || {
            let all = self.objects().list(&ListParams::default()).await?.items;
            let settled = all.iter().filter(|object| {
                let number = object.metadata.name.as_ref().and_then(|name| name[1..].parse().ok());
                let wanted =
                    if number.is_some_and(|it| self.degraded(it)) { "Degraded" } else { "Ready" };
                let conditions = object.status.iter().flat_map(|status| &status.conditions);
                conditions.filter(|one| one.type_ == "Ready").any(|one| one.reason == wanted)
            });
            Ok(settled.count())
        })
        .await
    }

    fn degraded(&self, number: usize) -> bool {
        (0..DAEMONS).any(|slot| (number * DAEMONS + slot).is_multiple_of(self.hanging))
    }

    /// Asks clusters that are whole for one more daemon; how long it takes until the StatefulSet says so.
    pub async fn time_edits(&self, edits: usize) -> Result<Vec<Duration>> {
        let whole = (0..self.clusters).rev().filter(|number| !self.degraded(*number));
        let mut delays = Vec::new();
        for number in whole.take(edits) {
            let patch = json!({"spec": {"replicas": DAEMONS + 1}});
            let began = Instant::now();
            let parameters = PatchParams::default();
            self.objects().patch(&name(number), &parameters, &Patch::Merge(&patch)).await?;
            let set = format!("{}-r1", name(number));
            while self.children("StatefulSet").get(&set).await?.data["spec"]["replicas"]
                != DAEMONS + 1
            {
                ensure!(began.elapsed() < PATIENCE, "{set} is never scaled");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            delays.push(began.elapsed());
        }
        ensure!(!delays.is_empty(), "no cluster is whole");
        Ok(delays)
    }
}

/// Name of a cluster.
fn name(number: usize) -> String {
    format!("c{number}")
}

/// Address of a daemon: each has its own on loopback.
fn address(daemon: usize) -> IpAddr {
    let [.., high, low] = (daemon as u32 + 1).to_be_bytes();
    Ipv4Addr::new(127, 9, high, low).into()
}

/// Waits until there are so many; says how many there are.
async fn wait(what: &str, wanted: usize, count: impl AsyncFn() -> Result<usize>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut told = usize::MAX;
    loop {
        let found = count().await?;
        if found != told {
            eprintln!("  {what}: {found} of {wanted}");
            told = found;
        }
        if found >= wanted {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{found} {what} of {wanted}");
        tokio::time::sleep(INTERVAL).await;
    }
}
