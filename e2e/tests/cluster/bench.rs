//! What the tests share: a namespace of their own, daemons in pods, clients in pods.

use serde_json::Value;
use spread_e2e::{Cluster, Kubectl, product};
use std::time::Duration;

/// For what should take seconds.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// A namespace with restricted pods, deleted when dropped.
pub struct Bench {
    pub cluster: Cluster,
    pub namespace: String,
}

impl Bench {
    pub fn new(namespace: &str) -> Self {
        let name = std::env::var("SPREAD_E2E_CLUSTER")
            .expect("SPREAD_E2E_CLUSTER names no cluster: use `cargo e2e test`");
        let cluster = Cluster::find(&name).unwrap();
        let bench = Self { cluster, namespace: namespace.to_owned() };
        let manifest = serde_json::json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        });
        bench.kubectl().apply(&manifest.to_string()).unwrap();
        bench
    }

    pub fn kubectl(&self) -> &Kubectl {
        self.cluster.kubectl()
    }

    /// Runs kubectl in the namespace.
    pub fn run(&self, arguments: &[&str]) -> String {
        let namespace = format!("--namespace={}", self.namespace);
        self.kubectl().run(&[&[namespace.as_str()], arguments].concat()).unwrap()
    }

    /// An object or list in the namespace.
    pub fn get(&self, arguments: &[&str]) -> Value {
        let namespace = format!("--namespace={}", self.namespace);
        self.kubectl().get(&[&[namespace.as_str()], arguments].concat()).unwrap()
    }

    /// What a daemon's admin endpoint says of itself.
    pub fn daemon_status(&self, pod: &str) -> anyhow::Result<Value> {
        let path =
            format!("--raw=/api/v1/namespaces/{}/pods/{pod}:4805/proxy/status", self.namespace);
        Ok(serde_json::from_str(&self.kubectl().run(&["get", &path])?)?)
    }

    /// Waits until each of the pods says that exactly these daemons are in its ring.
    pub fn wait_ring(&self, pods: &[String], members: &[String]) {
        let what = format!("{pods:?} to be in a ring of {members:?}");
        self.kubectl()
            .wait(&what, TIMEOUT, |_| {
                for pod in pods {
                    let status = self.daemon_status(pod)?;
                    let list = status["members"].as_array().cloned().unwrap_or_default();
                    let names: Vec<&str> =
                        list.iter().filter_map(|one| one["name"].as_str()).collect();
                    anyhow::ensure!(names == *members, "{pod} says {names:?}");
                }
                Ok(Some(()))
            })
            .unwrap();
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
        let _ = self.kubectl().run(&["delete", "namespace", &self.namespace, "--grace-period=1"]);
    }
}

impl Bench {
    /// What there is, for whoever reads a failure.
    fn show(&self) {
        let namespace = format!("--namespace={}", self.namespace);
        for words in [
            &["get", "pods", "--output=wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["logs", "--selector=app", "--all-containers", "--prefix", "--tail=20"],
        ] {
            let shown = self.kubectl().run(&[words, &[namespace.as_str()]].concat());
            eprintln!(
                "--- kubectl {}\n{}",
                words.join(" "),
                shown.unwrap_or_else(|error| error.to_string())
            );
        }
    }
}

/// Settings that restricted pod security asks for.
pub fn restricted() -> Value {
    serde_json::json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// Of a pod.
pub fn restricted_pod() -> Value {
    serde_json::json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
}

/// A client in a pod of its own that sends numbered messages through some daemons and judges what came.
pub struct Flood<'a> {
    bench: &'a Bench,
    pod: String,
}

impl<'a> Flood<'a> {
    /// Starts it; returns when its sessions are open.
    pub fn start(bench: &'a Bench, pod: &str, servers: &[String], seconds: u32) -> Self {
        let mut arguments: Vec<String> =
            servers.iter().map(|server| format!("--server={server}")).collect();
        arguments.extend(["--rate=500", "--bytes=100", "--json", "--group"].map(str::to_owned));
        arguments.extend([pod.to_owned(), format!("--duration={seconds}")]);
        let manifest = serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": bench.namespace, "labels": {"app": "flood"}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": restricted_pod(),
                "containers": [{
                    "name": "flood",
                    "image": product::image_name("spreadd"),
                    "imagePullPolicy": "Never",
                    "command": ["spread-flood"],
                    "args": arguments,
                    "securityContext": restricted(),
                }],
            },
        });
        bench.kubectl().apply(&manifest.to_string()).unwrap();
        let flood = Self { bench, pod: pod.to_owned() };
        bench
            .kubectl()
            .wait("the flood's pod to run", TIMEOUT, |_| {
                Ok((flood.phase() == "Running").then_some(()))
            })
            .unwrap();
        flood
    }

    fn phase(&self) -> String {
        let pod = self.bench.get(&["pod", &self.pod]);
        pod["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it still sends.
    pub fn runs(&self) -> bool {
        self.phase() == "Running"
    }

    /// Waits until it is over and checks that nothing was lost, doubled or in another order.
    pub fn judge(self) -> Value {
        self.bench
            .kubectl()
            .wait("the flood to end", TIMEOUT, |_| Ok((!self.runs()).then_some(())))
            .unwrap();
        let said = self.bench.run(&["logs", &self.pod]);
        assert_eq!(self.phase(), "Succeeded", "{said}");
        let report: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert!(report["sent"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["lost"], 0, "{report}");
        assert_eq!(report["doubled"], 0, "{report}");
        assert_eq!(report["one_order"], true, "{report}");
        assert_eq!(report["ended"], serde_json::json!([]), "{report}");
        report
    }
}
