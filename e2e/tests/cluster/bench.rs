//! What the tests share: a namespace of their own, daemons in pods, clients in pods.

use serde_json::{Value, json};
use spread_e2e::{Cluster, Kubectl, product};
use std::process::Stdio;
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

/// A client in a pod of its own that sends numbered messages through some daemons until it is judged.
pub struct Flood<'a> {
    bench: &'a Bench,
    pod: String,
}

impl<'a> Flood<'a> {
    /// Starts it through these daemons' pods, on a node if one is named; returns when messages flow.
    pub fn start(bench: &'a Bench, pods: &[String], node: Option<&str>) -> Self {
        let pod = "flood".to_owned();
        let host = |pod: &String| format!("{pod}.ring.{}.svc.cluster.local", bench.namespace);
        let mut arguments: Vec<String> =
            pods.iter().map(|pod| format!("--server=4803@{}", host(pod))).collect();
        // Longer than any test: it is asked to end.
        let fixed = ["--rate=500", "--bytes=100", "--duration=3600", "--warmup=0", "--json"];
        arguments.extend(fixed.map(str::to_owned));
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": pod, "namespace": bench.namespace, "labels": {"app": "flood"}},
            "spec": {
                "restartPolicy": "Never",
                "nodeName": node,
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
        let flood = Self { bench, pod };
        let flows = |_: &Kubectl| {
            let status = bench.daemon_status(&pods[0])?;
            anyhow::ensure!(flood.phase() == "Running", "the flood's pod is {}", flood.phase());
            Ok(status["counters"]["payloads_delivered"]
                .as_u64()
                .filter(|count| *count > 500)
                .map(drop))
        };
        bench.kubectl().wait("messages to flow", TIMEOUT, flows).unwrap();
        flood
    }

    fn phase(&self) -> String {
        let pod = self.bench.get(&["pod", &self.pod]);
        pod["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Ends it and checks that nothing was lost, doubled or in another order.
    pub fn judge(self) -> Value {
        assert_eq!(self.phase(), "Running", "{}", self.bench.run(&["logs", &self.pod]));
        // Its log goes with the pod: read it meanwhile.
        let namespace = format!("--namespace={}", self.bench.namespace);
        let kubectl = self.bench.kubectl();
        let mut log = kubectl.command(&[&namespace, "logs", "--follow", &self.pod]);
        let log = log.stdout(Stdio::piped()).spawn().unwrap();
        self.bench.run(&["delete", "pod", &self.pod, "--grace-period=60"]);
        let said = String::from_utf8(log.wait_with_output().unwrap().stdout).unwrap();
        let report: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        assert!(report["sent"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["lost"], 0, "{report}");
        assert_eq!(report["doubled"], 0, "{report}");
        assert_eq!(report["one_order"], true, "{report}");
        assert_eq!(report["ended"], json!([]), "{report}");
        let [gap, at] =
            ["longest_gap_milliseconds", "longest_gap_at_seconds"].map(|key| &report[key]);
        println!(
            "{} messages in {} s, longest gap {gap} ms at {at} s",
            report["sent"], report["seconds"]
        );
        report
    }
}
