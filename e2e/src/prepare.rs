//! Gets what a cluster needs onto this machine, and tries whether containers run here.

use crate::addresses::Family;
use crate::cgroups::Cgroups;
use crate::cluster::{Cluster, pause_image};
use crate::containerd::{Containerd, PAUSE_IMAGE};
use crate::go_commands::{self, Module};
use crate::launch::{Launch as _, Services};
use crate::local::ControlPlane;
use crate::missing::{missing, missing_for_api_server};
use crate::options::Options;
use crate::progress::Step;
use crate::{network, packages, run, static_build, teardown};
use anyhow::{Context, Result, anyhow};
use std::fs::{self, File};
use std::path::Path;

/// What a kubelet does not start without.
const KERNEL_LOG: &str = "/dev/kmsg";
/// What a kubelet sets.
const KERNEL_SETTINGS: [&str; 3] =
    ["/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"];

/// The cluster of the trial: a node without Kubernetes.
const TRIAL: &str = "trial";

/// What a cluster needs, and what its tests need besides.
const MODULES: [Module; 5] =
    [Module::Etcd, Module::Kubernetes, Module::CoreDns, Module::Helm, Module::CertManager];

/// Installs Debian's packages, builds the Go commands (minutes, once), and runs a container in a network namespace.
///
/// # Errors
/// The first thing that can't be had here.
pub fn prepare() -> Result<()> {
    if let Some(missing) = missing() {
        return Err(anyhow!(missing));
    }
    kernel().context("a cluster needs kubelets")?;
    packages::install().context("a cluster needs Debian's packages")?;
    for module in MODULES {
        go_commands::ensure(module).context("a cluster needs Kubernetes' commands")?;
    }
    static_build::ensure_target().context("images need static programs")?;
    // One at a time: all have the same names.
    let lock = File::create(go_commands::cache()?.join("trial.lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Cluster::down(TRIAL).context("removing an earlier trial")?;
    let step = Step::start("a container runs");
    let outcome = trial();
    let removed = Cluster::down(TRIAL).context("removing the trial");
    outcome.context("a cluster needs containers")?;
    removed?;
    step.done();
    Ok(())
}

/// Builds what an API server alone needs (minutes, once), and starts one.
///
/// # Errors
/// The first thing that can't be had here.
pub fn prepare_api_server() -> Result<()> {
    if let Some(missing) = missing_for_api_server() {
        return Err(anyhow!(missing));
    }
    for module in [Module::Etcd, Module::Kubernetes] {
        go_commands::ensure(module).context("an API server needs Kubernetes' commands")?;
    }
    let step = Step::start("an API server runs");
    drop(ControlPlane::start().context("an API server needs to start")?);
    step.done();
    Ok(())
}

/// Whether a kubelet would find the kernel as it needs it.
fn kernel() -> Result<()> {
    File::open(KERNEL_LOG).with_context(|| format!("{KERNEL_LOG} can't be read"))?;
    for setting in KERNEL_SETTINGS {
        // As it is: only whether it may be written.
        let value = fs::read(setting).with_context(|| format!("{setting} can't be read"))?;
        fs::write(setting, value).with_context(|| format!("{setting} can't be set"))?;
    }
    Ok(())
}

/// What a node does before Kubernetes comes in: namespace, netfilter, containerd, runc, an image, cgroups.
fn trial() -> Result<()> {
    let options = Options { name: TRIAL.to_owned(), nodes: 1, family: Family::Ipv4 };
    let folder = options.folder();
    let node = folder.join("n1");
    fs::create_dir_all(&node).with_context(|| format!("{} can't be made", node.display()))?;
    let cgroups = Cgroups::new(TRIAL)?;
    network::make(TRIAL, options.nodes, options.family)?;
    let namespace = network::node(TRIAL, 1);
    run::words(&["ip", "netns", "exec", &namespace, "iptables", "-t", "nat", "-S"])?;
    let containerd = Containerd { folder: node };
    let network = teardown::network_name(TRIAL, Some(1));
    containerd.configure(&network, options.family, 1)?;
    let mut services = Services { logs: &folder, cgroups: &cgroups, namespace: Some(namespace) };
    let file = containerd.configuration().display().to_string();
    services.launch("containerd-1", Path::new("containerd"), &["--config".to_owned(), file])?;
    services.wait("containerd-1", || containerd.ready())?;
    let archive = folder.join("image.tar");
    pause_image()?.write(&archive)?;
    containerd.import(&archive)?;
    containerd.start(PAUSE_IMAGE, TRIAL, &cgroups.node(1)?)
}
