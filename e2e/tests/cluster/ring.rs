//! A SpreadCluster as its user sees it, and the pods that the operator keeps for it.

use crate::bench::Bench;
use anyhow::ensure;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;

/// Name of the object in each namespace.
pub const NAME: &str = "orders";

/// A pod of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    pub uid: String,
    pub address: String,
    pub node: String,
    pub restarts: u64,
    pub running: bool,
    pub ready: bool,
}

/// A SpreadCluster in a namespace.
pub struct Ring<'a> {
    bench: &'a Bench,
}

impl<'a> Ring<'a> {
    /// Three daemons and two spare slots, Ready.
    pub fn make(bench: &'a Bench) -> Self {
        Self::with(bench, &spec())
    }

    /// The same with another spec of three daemons.
    pub fn with(bench: &'a Bench, spec: &Value) -> Self {
        let (ring, begin) = (Self { bench }, Instant::now());
        ring.apply(spec);
        bench.wait("three daemons to be started", || {
            let daemons = ring.try_daemons()?;
            ensure!(daemons.len() == 3 && daemons.values().all(|daemon| daemon.running));
            Ok(())
        });
        let started = begin.elapsed();
        ring.ready(3);
        let (ready, started) = (begin.elapsed().as_secs_f64(), started.as_secs_f64());
        println!("all three pods run after {started:.1} s, Ready {:.1} s later", ready - started);
        ring
    }

    /// Applies a spec as its user does.
    pub fn apply(&self, spec: &Value) {
        apply(self.bench, spec);
    }

    pub fn scale(&self, replicas: usize) {
        self.bench.run(&["scale", "spreadcluster", NAME, &format!("--replicas={replicas}")]);
    }

    /// Waits until so many daemons are in one ring by their own word, and the object is as asked for.
    pub fn ready(&self, replicas: usize) {
        self.bench.wait(&format!("{replicas} daemons in one ring"), || self.is_ready(replicas));
    }

    /// An error says what is not as asked for.
    pub fn is_ready(&self, replicas: usize) -> anyhow::Result<()> {
        let found = self.bench.try_get(&["spreadcluster", NAME])?;
        let (generation, status) = (&found["metadata"]["generation"], &found["status"]);
        ensure!(status["observedGeneration"] == *generation, "generation {generation} is not seen");
        let members = &status["rings"][0]["members"];
        for wanted in ["wanted", "ready", "inRing"] {
            ensure!(members[wanted] == replicas, "members are {members}");
        }
        for (kind, wanted) in [
            ("Ready", "True"),
            ("MembershipConsistent", "True"),
            ("Reconciling", "False"),
            ("Degraded", "False"),
        ] {
            let condition = condition(&found, kind);
            ensure!(condition["status"] == wanted, "{condition}");
        }
        // The status may be of a moment ago.
        let daemons = self.try_daemons()?;
        let all_ready = daemons.values().all(|daemon| daemon.ready);
        ensure!(daemons.len() == replicas && all_ready, "pods are {daemons:?}");
        Ok(())
    }

    /// A condition of the object.
    pub fn condition(&self, kind: &str) -> anyhow::Result<Value> {
        Ok(condition(&self.bench.try_get(&["spreadcluster", NAME])?, kind))
    }

    /// The daemons' pods by name.
    pub fn daemons(&self) -> BTreeMap<String, Daemon> {
        self.try_daemons().unwrap()
    }

    /// The same where nobody may answer.
    pub fn try_daemons(&self) -> anyhow::Result<BTreeMap<String, Daemon>> {
        let selector = format!("--selector=spread-operator.dev/cluster={NAME}");
        let list = self.bench.try_get(&["pods", &selector])?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_ready = |pod: &Value| {
            let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
            let mut ready = conditions.filter(|one| one["type"] == "Ready");
            pod["metadata"]["deletionTimestamp"].is_null()
                && ready.any(|one| one["status"] == "True")
        };
        let daemon = |pod: &Value| Daemon {
            ready: is_ready(pod),
            uid: text(&pod["metadata"]["uid"]),
            address: text(&pod["status"]["podIP"]),
            node: text(&pod["spec"]["nodeName"]),
            restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or(0),
            running: pod["status"]["containerStatuses"][0]["state"]["running"].is_object(),
        };
        let pods = list["items"].as_array().into_iter().flatten();
        Ok(pods.map(|pod| (text(&pod["metadata"]["name"]), daemon(pod))).collect())
    }

    /// Addresses of the pods of these slots.
    pub fn addresses(&self, slots: &[usize]) -> Vec<String> {
        let daemons = self.daemons();
        slots.iter().map(|slot| daemons[&pod(*slot)].address.clone()).collect()
    }
}

/// Applies an object whether or not anybody acts on it.
pub fn apply(bench: &Bench, spec: &Value) {
    let manifest = json!({
        "apiVersion": "spread-operator.dev/v1alpha1", "kind": "SpreadCluster",
        "metadata": {"name": NAME, "namespace": bench.namespace},
        "spec": spec,
    });
    bench.kubectl().apply(&manifest.to_string()).unwrap();
}

/// Three daemons and two spare slots.
pub fn spec() -> Value {
    json!({"replicas": 3, "slots": {"initial": 5}})
}

/// Name of a slot's pod.
pub fn pod(slot: usize) -> String {
    format!("{NAME}-r1-{slot}")
}

fn condition(cluster: &Value, kind: &str) -> Value {
    let conditions = cluster["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|one| one["type"] == kind).cloned().unwrap_or(Value::Null)
}
