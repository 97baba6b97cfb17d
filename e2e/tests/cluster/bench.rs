//! What the tests share: an API server, a namespace of their own, and what is shown when one fails.

use serde_json::{Value, json};
use spread_e2e::helm::{Helm, OPERATOR, SYSTEM};
use spread_e2e::{Cluster, Family, Kubectl};
use std::path::Path;
use std::time::Duration;

/// For what should take seconds, on a machine with other things to do.
pub const TIMEOUT: Duration = Duration::from_secs(180);

/// A namespace with restricted pods, deleted when dropped.
pub struct Bench {
    kubectl: Kubectl,
    /// One of this machine, whose nodes can be cut off.
    cluster: Option<Cluster>,
    pub namespace: String,
}

impl Bench {
    /// On the cluster that `SPREAD_E2E_CLUSTER` names, or that of the kubeconfig `SPREAD_E2E_KUBECONFIG`.
    pub fn new(namespace: &str) -> Self {
        let (kubectl, cluster) = match std::env::var_os("SPREAD_E2E_KUBECONFIG") {
            Some(file) => (Kubectl::new(Path::new(&file)).unwrap(), None),
            None => {
                let name = std::env::var("SPREAD_E2E_CLUSTER")
                    .expect("SPREAD_E2E_CLUSTER names no cluster: use `cargo e2e test`");
                let cluster = Cluster::find(&name).unwrap();
                (cluster.kubectl().clone(), Some(cluster))
            }
        };
        let bench = Self { kubectl, cluster, namespace: namespace.to_owned() };
        // An earlier run's may be on its way out.
        bench.wait("the namespace to be free", || {
            let found =
                bench.kubectl().run(&["get", "namespace", namespace, "--ignore-not-found"])?;
            anyhow::ensure!(found.is_empty(), "{found}");
            Ok(())
        });
        let manifest = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        });
        bench.kubectl().apply(&manifest.to_string()).unwrap();
        bench
    }

    /// With an operator that is ready: a test before may have taken it away.
    pub fn with_operator(namespace: &str) -> Self {
        let bench = Self::new(namespace);
        bench.helm().install_operator().unwrap();
        bench
    }

    /// A cluster of this machine with so many nodes, which can be cut off and whose API server can be stopped. Says
    /// what is left out where there is none.
    pub fn own_cluster(&self, nodes: usize) -> Option<&Cluster> {
        let cluster = self.cluster.as_ref().filter(|cluster| cluster.nodes() >= nodes);
        if cluster.is_none() {
            println!("left out: it needs a cluster of `cargo e2e up --nodes {nodes}`");
        }
        cluster
    }

    /// Addresses of the cluster, where that is known.
    pub fn family(&self) -> Option<Family> {
        self.cluster.as_ref().map(Cluster::family)
    }

    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    pub fn helm(&self) -> Helm {
        Helm::new(&self.kubectl).unwrap()
    }

    /// Runs kubectl in the namespace.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.kubectl().run(&self.inside(arguments)).unwrap()
    }

    /// An object or list in the namespace.
    pub fn get(&self, arguments: &[&str]) -> Value {
        self.try_get(arguments).unwrap()
    }

    /// The same where it may not be there, or nobody may answer.
    pub fn try_get(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let namespace = format!("--namespace={}", self.namespace);
        self.kubectl().get(&[&[namespace.as_str()], arguments].concat())
    }

    /// Waits until something holds; an error is what is told when it never does.
    pub fn wait<T>(&self, what: &str, until: impl Fn() -> anyhow::Result<T>) -> T {
        self.kubectl().wait(what, TIMEOUT, |_| until().map(Some)).unwrap()
    }

    fn inside<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        // After the verb, or kubectl takes no plugin for it.
        let mut all = arguments.to_vec();
        all.extend(["--namespace", self.namespace.as_str()]);
        all
    }

    /// What there is, for whoever reads a failure.
    fn show(&self) {
        let operator = format!("deployment/{OPERATOR}");
        for words in [
            &["get", "spreadclusters", "--output=yaml"][..],
            &["get", "statefulsets,pods", "--output=wide"],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["logs", "--selector=app", "--all-containers", "--prefix", "--tail=120"],
            &[
                "logs",
                "--selector=spread-operator.dev/cluster",
                "--all-containers",
                "--prefix",
                "--tail=120",
            ],
        ] {
            self.print(&self.inside(words));
        }
        self.print(&["logs", "--namespace", SYSTEM, &operator, "--all-pods", "--tail=60"]);
    }

    fn print(&self, words: &[&str]) {
        let shown = self.kubectl().run(words).unwrap_or_else(|error| error.to_string());
        eprintln!("--- kubectl {}\n{shown}", words.join(" "));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
            if std::env::var_os("SPREAD_E2E_KEEP").is_some() {
                return;
            }
        }
        let _ = self.kubectl().run(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// Settings that restricted pod security asks for.
pub fn restricted() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// Of a pod.
pub fn restricted_pod() -> Value {
    json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
}

/// The number of one of this machine's nodes.
pub fn node_number(name: &str) -> usize {
    name.trim_start_matches("node").parse().unwrap()
}
