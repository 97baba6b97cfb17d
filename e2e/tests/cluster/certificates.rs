//! Certificates that cert-manager issues and renews.

use crate::bench::Bench;
use crate::flood::Flood;
use crate::ring::{self, Ring, pod};
use anyhow::ensure;
use serde_json::{Value, json};
use spread_e2e::{Kubectl, cert_manager};

/// What a daemon says when it has read its files anew.
const READ_AGAIN: &str = "the admin endpoint has new certificates";

/// An authority of the namespace's own, that signs itself, and an issuer that signs with it.
fn make_issuer(bench: &Bench) {
    let object = |kind: &str, name: &str, spec: &Value| {
        json!({
            "apiVersion": "cert-manager.io/v1", "kind": kind,
            "metadata": {"name": name, "namespace": bench.namespace},
            "spec": spec,
        })
    };
    for object in [
        object("Issuer", "itself", &json!({"selfSigned": {}})),
        object(
            "Certificate",
            "authority",
            &json!({
                "isCA": true, "commonName": "authority", "secretName": "authority",
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
                "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": "itself"},
            }),
        ),
        object("Issuer", "authority", &json!({"ca": {"secretName": "authority"}})),
    ] {
        bench.kubectl().apply(&object.to_string()).unwrap();
    }
}

/// The certificate in the Secret that daemons and operator read.
fn issued(bench: &Bench) -> anyhow::Result<Value> {
    let certificate = bench.try_get(&["secret", "orders-tls"])?["data"]["tls.crt"].clone();
    ensure!(certificate.is_string(), "there is none");
    Ok(certificate)
}

/// How often a daemon has read its files anew.
fn read_again(bench: &Bench, slot: usize) -> usize {
    bench.run(&["logs", &pod(slot)]).matches(READ_AGAIN).count()
}

/// What `cmctl renew` does.
fn renew(bench: &Bench) {
    let condition = json!({
        "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
        "message": "a test asks for it", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let found = bench.get(&["certificate", "orders-tls"]);
    let mut conditions = found["status"]["conditions"].as_array().unwrap().clone();
    conditions.push(condition);
    let patch = json!({"status": {"conditions": conditions}}).to_string();
    let words = ["patch", "certificate", "orders-tls", "--subresource=status", "--type=merge"];
    bench.run(&[&words[..], &["--patch", &patch]].concat());
}

/// Removes cert-manager when the test is over, whatever its outcome.
struct Installed<'a>(&'a Kubectl);

impl Drop for Installed<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.0.run(&["logs", "--namespace=cert-manager", "deployment/cert-manager"]);
            eprintln!("--- cert-manager\n{}", said.unwrap_or_else(|error| error.to_string()));
        }
        if let Err(error) = cert_manager::uninstall(self.0) {
            eprintln!("cert-manager stays: {error:#}");
        }
    }
}

#[test]
#[ignore = "needs a cluster: cargo e2e test"]
fn certificates_of_cert_manager_are_renewed_and_nobody_is_restarted() {
    let bench = Bench::with_operator("cert-manager-ring");
    let Some(cluster) = bench.own_cluster(1) else { return };
    let _installed = Installed(bench.kubectl());
    cert_manager::install(cluster).unwrap();
    make_issuer(&bench);
    let mut spec = ring::spec();
    spec["security"] = json!({"tls": {
        "type": "CertManager", "issuerRef": {"kind": "Issuer", "name": "authority"},
    }});
    let ring = Ring::with(&bench, &spec);
    let (daemons, first) = (ring.daemons(), issued(&bench).unwrap());
    let read_before: Vec<usize> = (0..3).map(|slot| read_again(&bench, slot)).collect();

    let flood = Flood::start(&bench, &ring.addresses(&[0, 1, 2]), None);
    renew(&bench);
    // A kubelet looks at its Secrets about once a minute.
    replaced(&bench, &first, &read_before);
    // The operator asks with the new one, and they answer.
    ring.scale(4);
    ring.ready(4);
    flood.judge();
    let mut now = ring.daemons();
    now.remove(&pod(3));
    assert_eq!(daemons, now, "nobody was restarted");
    to_managed_and_back(&bench, &ring, &spec["security"]);
}

/// Waits until all daemons have read another certificate than this one, and gives it.
fn replaced(bench: &Bench, certificate: &Value, read_before: &[usize]) -> Value {
    let new = bench.wait("another certificate", || {
        let found = issued(bench)?;
        ensure!(found != *certificate, "it is the one before");
        Ok(found)
    });
    bench.wait("all daemons to have read it", || {
        for (slot, before) in read_before.iter().enumerate() {
            ensure!(read_again(bench, slot) > *before, "slot {slot} has not");
        }
        Ok(())
    });
    new
}

/// The certificate changes hands twice under traffic: the operator reaches all daemons all the time.
fn to_managed_and_back(bench: &Bench, ring: &Ring<'_>, cert_manager: &Value) {
    let mut spec = ring::spec();
    spec["replicas"] = json!(4);
    let read = || (0..4).map(|slot| read_again(bench, slot)).collect::<Vec<usize>>();
    let since = || ring.condition("Ready").unwrap()["lastTransitionTime"].clone();
    let (daemons, first, ready_since) = (ring.daemons(), issued(bench).unwrap(), since());
    let flood = Flood::start(bench, &ring.addresses(&[0, 1, 2]), None);

    let before = read();
    ring.apply(&spec);
    let second = replaced(bench, &first, &before);
    ring.ready(4);
    assert!(bench.try_get(&["certificate", "orders-tls"]).is_err(), "the Certificate is gone");
    let secret = bench.get(&["secret", "orders-tls"]);
    assert_eq!(secret["metadata"]["ownerReferences"][0]["kind"], "SpreadCluster");

    let before = read();
    spec["security"] = cert_manager.clone();
    ring.apply(&spec);
    replaced(bench, &second, &before);
    ring.ready(4);
    assert_eq!(since(), ready_since, "it was Ready all the time");
    // The operator asks with the newest, and they answer.
    ring.scale(5);
    ring.ready(5);
    flood.judge();
    let mut now = ring.daemons();
    now.remove(&pod(4));
    assert_eq!(daemons, now, "nobody was restarted");
}
