//! What `cargo e2e up` shows: the charts installed, a SpreadCluster that is Ready, and what to type next.

use crate::cluster::Cluster;
use crate::helm::Helm;
use crate::kubectl::Kubectl;
use crate::product::{Programs, checkout, image_name};
use crate::progress::Step;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

/// The example, and the name of its SpreadCluster.
const EXAMPLE: &str = "examples/orders.yaml";
const NAME: &str = "orders";
/// From the manifest to a whole ring, on a busy machine.
const READY_TIMEOUT: Duration = Duration::from_secs(180);

/// Puts this checkout's images on a cluster's nodes.
///
/// # Errors
/// They can't be written or loaded.
pub fn load(cluster: &Cluster, programs: &Programs) -> Result<()> {
    for image in programs.images() {
        let step = Step::start(format!("loading {}", image.name));
        cluster.load(&image)?;
        step.done();
    }
    Ok(())
}

/// Installs the charts, applies the example, waits until it is Ready; returns what to type next.
///
/// # Errors
/// What did not work; for a SpreadCluster that is not Ready, what its conditions say.
pub fn show(cluster: &Cluster) -> Result<String> {
    let programs = Programs::build()?;
    load(cluster, &programs)?;
    let helm = Helm::new(cluster.kubectl())?;
    helm.install()?;
    let step = Step::start(format!("{EXAMPLE} is Ready"));
    apply(cluster.kubectl(), &step)?;
    step.done();
    let commands = commands(cluster, &programs, &helm)?;
    Ok(next_steps(cluster, &commands))
}

fn apply(kubectl: &Kubectl, step: &Step) -> Result<()> {
    let manifest = checkout(EXAMPLE);
    let text = fs::read_to_string(&manifest)
        .with_context(|| format!("{} can't be read", manifest.display()))?;
    kubectl.apply(&text)?;
    kubectl.wait(&format!("SpreadCluster {NAME} to be Ready"), READY_TIMEOUT, |kubectl| {
        let found = kubectl.get(&["spreadcluster", NAME])?;
        let Some(ready) = ready(&found) else { return Ok(None) };
        let text = |field: &str| ready[field].as_str().unwrap_or_default();
        step.detail(format!("{}: {}", text("reason"), text("message")));
        if text("status") == "True" {
            return Ok(Some(()));
        }
        // The last of these is what is told when time is over.
        anyhow::bail!("{}: {}", text("reason"), text("message"))
    })
}

fn ready(cluster: &Value) -> Option<&Value> {
    let conditions = cluster["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "Ready")
}

/// A folder with kubectl, its plugin and Helm, for the caller's PATH.
fn commands(cluster: &Cluster, programs: &Programs, helm: &Helm) -> Result<PathBuf> {
    let folder = cluster.folder().join("bin");
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let all = [
        ("kubectl", cluster.kubectl().program().to_owned()),
        ("kubectl-spread", programs.path("kubectl-spread")),
        ("helm", helm.program().to_owned()),
    ];
    for (name, program) in all {
        let link = folder.join(name);
        let _ = fs::remove_file(&link);
        symlink(&program, &link).with_context(|| format!("{} can't be made", link.display()))?;
    }
    Ok(folder)
}

fn next_steps(cluster: &Cluster, commands: &std::path::Path) -> String {
    let kubeconfig = cluster.kubectl().kubeconfig().display();
    let (commands, image) = (commands.display(), image_name("spreadd"));
    let down = match cluster.name() {
        "spread" => "cargo e2e down".to_owned(),
        name => format!("cargo e2e down --name {name}"),
    };
    format!(
        "\nA ring of three daemons serves clients on a real Kubernetes. In your shell:\n
  export KUBECONFIG={kubeconfig}
  export PATH={commands}:$PATH

and then:

  kubectl get spreadclusters
  kubectl spread status {NAME}
  kubectl scale spreadcluster {NAME} --replicas 5      # spare slots fill, no other daemon is restarted
  kubectl delete pod {NAME}-r1-1                       # it comes back in its slot

Two people who talk, each in a terminal (a line is a message, `/quit` ends it):

  kubectl run alice -it --rm --image {image} --command -- spread-user -s 4803@{NAME}-client -u alice -j chat
  kubectl run bob   -it --rm --image {image} --command -- spread-user -s 4803@{NAME}-client -u bob -j chat

What the operator says, and the end of it all:

  kubectl logs --namespace spread-system deployment/spread-operator
  {down}
"
    )
}
