//! cert-manager in a cluster: its definitions and its controllers, without a webhook.

use crate::cluster::Cluster;
use crate::go_commands::{self, Module};
use crate::image::{Image, USER};
use crate::kubectl::Kubectl;
use crate::static_build::Arch;
use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// Names its image.
const IMAGE: &str = "localhost/cert-manager:1";
/// Its definitions without those of ACME.
const DEFINITIONS: [&str; 4] = ["certificates", "certificaterequests", "issuers", "clusterissuers"];
/// From the manifest to a controller that runs.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// Builds it if need be, puts it on the nodes and waits until it runs.
///
/// # Errors
/// It can't be built, or does not run.
pub fn install(cluster: &Cluster) -> Result<()> {
    let folder = go_commands::ensure(Module::CertManager)?;
    let program = "/usr/local/bin/cert-manager".to_owned();
    cluster.load(&Image {
        name: IMAGE.to_owned(),
        files: vec![(folder.join("cert-manager"), program.clone())],
        entrypoint: vec![program],
        user: USER,
        arch: Arch::here()?,
    })?;
    let kubectl = cluster.kubectl();
    for name in DEFINITIONS {
        let file = folder.join(format!("cert-manager.io_{name}.yaml"));
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} can't be read", file.display()))?;
        kubectl.apply(&text)?;
        let definition = format!("crd/{name}.cert-manager.io");
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", &definition])?;
    }
    kubectl.apply(include_str!("../manifests/cert-manager.yaml"))?;
    kubectl.wait("cert-manager to run", START_TIMEOUT, |kubectl| {
        let found = kubectl.get(&["deployment", "cert-manager", "--namespace=cert-manager"])?;
        Ok((found["status"]["readyReplicas"] == 1).then_some(()))
    })
}

/// Removes it with all its objects.
///
/// # Errors
/// kubectl refuses.
pub fn uninstall(kubectl: &Kubectl) -> Result<()> {
    let names = DEFINITIONS.map(|name| format!("crd/{name}.cert-manager.io"));
    let mut words = vec!["delete", "--ignore-not-found"];
    words.extend(names.iter().map(String::as_str));
    words.extend(["namespace/cert-manager", "clusterrolebinding/cert-manager"]);
    kubectl.run(&words).map(drop)
}
