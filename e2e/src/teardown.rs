//! Removes everything of a cluster, whatever state it is in.

use crate::cgroups::Cgroups;
use crate::{mounts, network};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Sockets of containerd's shims, whose place can't be chosen.
const SHIM_SOCKETS: &str = "/run/containerd/s/";
/// Where CNI keeps what plugins answered; its place can't be chosen either.
const CNI_RESULTS: [&str; 2] = ["/var/lib/cni/results", "/var/lib/cni/cache/results"];
/// Where containerd has a folder for each pod, inside a node's.
const SANDBOXES: &str = "containerd/io.containerd.grpc.v1.cri/sandboxes";
/// Where the kubelet links logs of containers.
const CONTAINER_LOGS: &str = "/var/log/containers";

/// Ends processes, then unmounts, then removes namespaces, groups and files. Goes on where a step fails, and tells
/// the first failure.
pub(crate) fn remove(cluster: &str, folder: &Path) -> Result<()> {
    let cgroups = Cgroups::new(cluster)?;
    let sockets = shim_sockets(&cgroups);
    let sandboxes = sandboxes(folder);
    let steps: [(&str, Result<()>); 8] = [
        ("ending processes", cgroups.kill(Cgroups::all_processes)),
        ("unmounting", mounts::remove_below(folder)),
        ("removing network namespaces", network::remove(cluster)),
        ("removing cgroups", cgroups.remove()),
        ("removing sockets", remove_sockets(&sockets)),
        ("removing answers of CNI", remove_cni_results(cluster, &sandboxes)),
        ("removing links to logs", remove_log_links(folder)),
        ("removing files", remove_folder(folder)),
    ];
    steps.into_iter().try_for_each(|(what, outcome)| outcome.context(what))
}

fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("{} can't be removed", folder.display()))?;
    }
    // The folder of all clusters, if this was the last.
    if let Some(parent) = folder.parent() {
        let _ = fs::remove_dir(parent);
    }
    Ok(())
}

/// Paths that shims of this cluster listen on: those bound in a network namespace of one of its processes.
fn shim_sockets(cgroups: &Cgroups) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for process in cgroups.all_processes() {
        // The relay is in the machine's own network, where others have sockets too.
        let own = fs::read_link(format!("/proc/{process}/ns/net")).ok();
        if own == fs::read_link("/proc/self/ns/net").ok() {
            continue;
        }
        let table = fs::read_to_string(format!("/proc/{process}/net/unix")).unwrap_or_default();
        let paths = table.lines().filter_map(|line| line.split_whitespace().nth(7));
        found.extend(paths.filter(|path| path.starts_with(SHIM_SOCKETS)).map(PathBuf::from));
    }
    found.sort();
    found.dedup();
    found
}

/// Ids of the cluster's pods, by which CNI names its files.
fn sandboxes(folder: &Path) -> Vec<String> {
    let below = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let nodes = below(folder.to_owned());
    let pods = nodes.flat_map(|node| below(node.path().join(SANDBOXES)));
    pods.map(|pod| pod.file_name().to_string_lossy().into_owned()).collect()
}

fn remove_sockets(sockets: &[PathBuf]) -> Result<()> {
    for socket in sockets {
        // A shim that ended in order has removed its own.
        let _ = fs::remove_file(socket);
    }
    remove_if_empty(&[
        SHIM_SOCKETS,
        "/run/containerd/io.containerd.runtime.v2.task",
        "/run/containerd",
    ])
}

fn remove_cni_results(cluster: &str, sandboxes: &[String]) -> Result<()> {
    let network = format!("{}-", network_name(cluster, None));
    for results in CNI_RESULTS {
        remove_where(Path::new(results), |name, _| {
            name.starts_with(&network) || sandboxes.iter().any(|id| name.contains(id.as_str()))
        })?;
    }
    remove_if_empty(&[CNI_RESULTS[0], CNI_RESULTS[1], "/var/lib/cni/cache", "/var/lib/cni"])
}

fn remove_log_links(folder: &Path) -> Result<()> {
    remove_where(Path::new(CONTAINER_LOGS), |_, path| {
        fs::read_link(path).is_ok_and(|target| target.starts_with(folder))
    })?;
    remove_if_empty(&[CONTAINER_LOGS])
}

/// Folders that programs of a cluster make; others may use them, too.
fn remove_if_empty(folders: &[&str]) -> Result<()> {
    for folder in folders {
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

fn remove_where(folder: &Path, whether: impl Fn(&str, &Path) -> bool) -> Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if whether(&entry.file_name().to_string_lossy(), &entry.path()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How a cluster's pod networks are named in CNI's files; `None`: what the names of all its nodes begin with.
pub(crate) fn network_name(cluster: &str, node: Option<usize>) -> String {
    match node {
        Some(node) => format!("spread-e2e-{cluster}-{node}"),
        None => format!("spread-e2e-{cluster}"),
    }
}
