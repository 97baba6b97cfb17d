//! Clients in a pod of their own: numbered messages through several daemons, judged for loss, doubles and order.

use crate::bench::{Bench, restricted, restricted_pod};
use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use spread_e2e::product;
use std::process::Stdio;

/// What the program says when all its clients are in the group.
const STARTED: &str = "sending";

/// A pod with a sender and a receiver at each of some daemons, all in one group, until it is judged.
pub struct Flood<'a> {
    bench: &'a Bench,
}

impl<'a> Flood<'a> {
    /// Starts it at the daemons with these addresses, on a node if one is named; returns when messages flow.
    pub fn start(bench: &'a Bench, addresses: &[String], node: Option<&str>) -> Self {
        let mut arguments: Vec<String> =
            addresses.iter().map(|address| format!("--server=4803@{address}")).collect();
        // Longer than any test: it is asked to end.
        let fixed = ["--rate=500", "--bytes=100", "--duration=3600", "--warmup=0", "--json"];
        arguments.extend(fixed.map(str::to_owned));
        let manifest = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "flood", "namespace": bench.namespace, "labels": {"app": "flood"}},
            "spec": {
                "restartPolicy": "Never",
                "nodeName": node,
                "automountServiceAccountToken": false,
                "securityContext": restricted_pod(),
                "containers": [{
                    "name": "flood",
                    "image": product::image_name("spreadd"),
                    "command": ["spread-flood"],
                    "args": arguments,
                    // Without a request its turn comes after everybody's, and gaps are its own.
                    "resources": {"requests": {"cpu": "500m"}},
                    "securityContext": restricted(),
                }],
            },
        });
        bench.kubectl().apply(&manifest.to_string()).unwrap();
        let flood = Self { bench };
        bench.wait("messages to flow", || {
            let said = bench.kubectl().run(&["logs", "flood", "--namespace", &bench.namespace])?;
            ensure!(flood.phase() == "Running", "the flood's pod is {}: {said}", flood.phase());
            ensure!(said.contains(STARTED), "it says: {said}");
            Ok(())
        });
        flood
    }

    fn phase(&self) -> String {
        let pod = self.bench.get(&["pod", "flood"]);
        pod["status"]["phase"].as_str().unwrap_or_default().to_owned()
    }

    /// Ends it and checks that nothing was lost, doubled or in another order.
    pub fn judge(self) -> Value {
        let bench = self.bench;
        assert_eq!(self.phase(), "Running", "{}", bench.run(&["logs", "flood"]));
        // Its log goes with the pod: read it meanwhile.
        let follow = ["logs", "--follow", "flood", "--namespace", &bench.namespace];
        let mut log = bench.kubectl().command(&follow);
        let log = log.stdout(Stdio::piped()).spawn().unwrap();
        bench.run(&["delete", "pod", "flood", "--grace-period=60"]);
        let said = String::from_utf8(log.wait_with_output().unwrap().stdout).unwrap();
        let report = report(&said).unwrap();
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

/// The report stands behind what was said before.
fn report(said: &str) -> anyhow::Result<Value> {
    let start = said.find("{\n").with_context(|| format!("no report: {said}"))?;
    serde_json::from_str(&said[start..]).with_context(|| format!("no report: {said}"))
}
