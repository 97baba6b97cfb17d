//! One control plane for all tests of this program, a namespace for each.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt as _};
use serde_json::{Value, json};
use spread_e2e::ControlPlane;
use spread_operator::kinds::resource;
use spread_operator::points::Points;
use spread_operator::run::{Hooks, run};
use spread_operator::settings::Settings;
use spread_operator_api::{GROUP, SpreadCluster, VERSION, definition};
use std::fmt::Debug;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longest wait for anything; generous, for machines with other things to do, and for several failures in a row: the
/// operator waits up to a minute after each.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Gives an API server the definition of SpreadClusters.
pub fn define(plane: &ControlPlane) {
    let definition = serde_json::to_string(&definition()).unwrap();
    plane.kubectl().apply(&definition).unwrap();
    established(plane, "spreadclusters.spread-operator.dev");
}

/// Waits until objects of a definition can be made.
fn established(plane: &ControlPlane, definition: &str) {
    let definition = format!("crd/{definition}");
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", &definition];
    plane.kubectl().run(&wait).unwrap();
}

fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| {
        let plane = ControlPlane::start_with_controllers().unwrap();
        define(&plane);
        // What cert-manager would serve; nobody acts on it.
        plane.kubectl().apply(include_str!("certificates.json")).unwrap();
        established(&plane, "certificates.cert-manager.io");
        plane
    })
}

/// The administrator's configuration of a client.
pub async fn config() -> Config {
    let path = tokio::task::spawn_blocking(|| plane().kubeconfig().to_owned()).await.unwrap();
    config_of(&path).await
}

/// The same of any API server.
pub async fn config_of(path: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// A namespace of a test.
#[derive(Clone)]
pub struct World {
    pub client: Client,
    pub namespace: String,
}

impl World {
    pub async fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let client = Client::try_from(config().await).unwrap();
        let namespace = format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let object: Namespace =
            serde_json::from_value(json!({"metadata": {"name": namespace}})).unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.create(&PostParams::default(), &object).await.unwrap();
        Self { client, namespace }
    }

    pub fn clusters(&self) -> Api<SpreadCluster> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn children(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    pub fn manifest(&self, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": "SpreadCluster",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        })
    }

    /// Applies as a user does.
    pub async fn apply(&self, name: &str, spec: &Value) -> SpreadCluster {
        let parameters = PatchParams::apply("user").force();
        let manifest = self.manifest(name, spec);
        self.clusters().patch(name, &parameters, &Patch::Apply(&manifest)).await.unwrap()
    }

    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.clusters().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    /// Status and reason of a condition; empty while there is none.
    pub async fn condition(&self, name: &str, kind: &str) -> (String, String, String) {
        let found = self.clusters().get(name).await.unwrap().status.unwrap_or_default();
        let found = found.conditions.into_iter().find(|condition| condition.type_ == kind);
        found.map(|one| (one.status, one.reason, one.message)).unwrap_or_default()
    }

    /// Waits for a condition's reason.
    pub async fn reason(&self, name: &str, kind: &str, reason: &str) -> String {
        let what = format!("{kind} of {name} says {reason}");
        wait(&what, async || {
            let (_, found, message) = self.condition(name, kind).await;
            if found == reason { Ok(message) } else { Err(format!("{found}: {message}")) }
        })
        .await
    }

    /// Waits for a child.
    pub async fn child(&self, kind: &str, name: &str) -> DynamicObject {
        wait(&format!("{kind} {name} exists"), async || {
            self.children(kind).get(name).await.map_err(|error| error.to_string())
        })
        .await
    }

    /// Waits until a child is gone.
    pub async fn gone(&self, kind: &str, name: &str) {
        wait(&format!("{kind} {name} is gone"), async || {
            match self.children(kind).get_opt(name).await {
                Ok(None) => Ok(()),
                other => Err(format!("{:?}", other.map(|found| found.map(|one| one.name_any())))),
            }
        })
        .await;
    }

    /// Waits until the whole ring of a cluster with the usual choices is made.
    pub async fn made(&self, name: &str) -> DynamicObject {
        for (kind, child) in CHILDREN {
            self.child(kind, &child.replace("CLUSTER", name)).await;
        }
        self.child("StatefulSet", &format!("{name}-r1")).await
    }

    pub async fn all(&self, kind: &str) -> Vec<DynamicObject> {
        self.children(kind).list(&ListParams::default()).await.unwrap().items
    }
}

/// All children of a cluster with the usual choices.
pub const CHILDREN: &[(&str, &str)] = &[
    ("Service", "CLUSTER-client"),
    ("Service", "CLUSTER-r1"),
    ("ConfigMap", "CLUSTER-client"),
    ("ConfigMap", "CLUSTER-r1"),
    ("Secret", "CLUSTER-ring"),
    ("Secret", "CLUSTER-ca"),
    ("Secret", "CLUSTER-tls"),
    ("PodDisruptionBudget", "CLUSTER-r1"),
    ("NetworkPolicy", "CLUSTER-r1"),
    ("StatefulSet", "CLUSTER-r1"),
];

/// An operator that runs in this process; dropped, it is dead at once, as by SIGKILL.
pub struct Operator {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

/// How an operator is started.
#[derive(Default)]
pub struct Start {
    pub client: Option<Client>,
    pub points: Points,
    pub admin_port: Option<u16>,
    pub election: Option<&'static str>,
    /// All namespaces are watched, not the test's alone.
    pub everywhere: bool,
}

impl Operator {
    pub fn start(world: &World) -> Self {
        Self::start_with(world, Start::default())
    }

    pub fn start_with(world: &World, start: Start) -> Self {
        let settings = Settings {
            watch_namespaces: if start.everywhere {
                Vec::new()
            } else {
                vec![world.namespace.clone()]
            },
            namespace: world.namespace.clone(),
            daemon_image: "spreadd:1".to_owned(),
            listen: "127.0.0.1:0".parse().unwrap(),
            leader_election: start.election.is_some(),
            identity: start.election.unwrap_or("alone").to_owned(),
            log: "info".to_owned(),
            log_format: "text".to_owned(),
        };
        let (stop, stopped) = watch::channel(false);
        let hooks = Hooks { points: start.points, admin_port: start.admin_port };
        let client = start.client.unwrap_or_else(|| world.client.clone());
        // A runtime of its own, so that nothing of it outlives it.
        let task = tokio::spawn(run(client, settings, hooks, stopped));
        Self { stop, task: Some(task) }
    }

    /// SIGTERM.
    pub async fn end(mut self) {
        self.stop.send_replace(true);
        let task = self.task.take().unwrap();
        tokio::time::timeout(TIMEOUT, task).await.unwrap().unwrap().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Waits until the check gives something; tells what it said last.
pub async fn wait<T, E: Debug>(what: &str, mut check: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(error) if tokio::time::Instant::now() > deadline => {
                panic!("waited in vain until {what}: {error:?}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
