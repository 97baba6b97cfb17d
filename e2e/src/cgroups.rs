//! Control groups: where a cluster's processes are found again, and what its kubelets divide.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Parent of all our groups.
const TOP: &str = "spread-e2e";
/// How long killed processes may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(30);

/// Weight of a cluster for each processor, and once more for its services: what systemd and a kubelet give the pods and services of a
/// machine.
const SHARES: u64 = 1024;

/// Weight of the services inside the cluster. A real one has its control plane on machines of its own, and its nodes don't share
/// processors: here all that would take the time of pods that need a moment of it at once. Pods are idle most of the time.
const SERVICES_SHARES: u64 = 128;

/// The groups of one cluster: `spread-e2e/CLUSTER/{services/NAME,nodeN}`.
pub(crate) struct Cgroups {
    cluster: String,
    /// Hierarchies with controllers: one each in version 1, one for all in version 2.
    hierarchies: Vec<PathBuf>,
    /// One of version 2 beside those of version 1, in which runc makes groups, too.
    beside: Vec<PathBuf>,
}

impl Cgroups {
    pub(crate) fn new(cluster: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
        let (hierarchies, beside) = hierarchies(&mounts);
        if hierarchies.is_empty() {
            bail!("a cluster needs cgroups, and none are mounted");
        }
        Ok(Self { cluster: cluster.to_owned(), hierarchies, beside })
    }

    /// Why cgroups can't be had here.
    pub(crate) fn missing() -> Option<String> {
        let probe = || {
            let folder = Self::new("probe")?.tracking().join(TOP);
            fs::create_dir_all(&folder)
                .with_context(|| format!("{} can't be made", folder.display()))
        };
        probe().err().map(|error| format!("a cluster needs cgroups: {error:#}"))
    }

    /// The hierarchy whose groups say which process is whose.
    fn tracking(&self) -> &Path {
        let pids = self.hierarchies.iter().find(|path| path.ends_with("pids"));
        pids.unwrap_or(&self.hierarchies[0])
    }

    fn version_2(&self) -> bool {
        self.hierarchies[0].join("cgroup.controllers").exists()
    }

    /// The groups that a service is to be in, made if they are not there.
    pub(crate) fn service(&self, name: &str) -> Result<Vec<PathBuf>> {
        let mut folders = vec![self.service_path(name)];
        if let Some(processor) = self.processor() {
            folders.push(processor.join(TOP).join(&self.cluster).join("services"));
        }
        for folder in &folders {
            fs::create_dir_all(folder)
                .with_context(|| format!("{} can't be made", folder.display()))?;
        }
        Ok(folders)
    }

    /// Weighs services and pods as a node of its own machine would: without it, each thread of a service counts as
    /// much as all pods together, and a pod that starts takes the others' time.
    pub(crate) fn weigh(&self, nodes: usize) -> Result<()> {
        let Some(processor) = self.processor() else { return Ok(()) };
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let (pods, all) = (SHARES * processors, SHARES * (processors + 1));
        let top = processor.join(TOP);
        let cluster = top.join(&self.cluster);
        let mut weights =
            vec![(top, all), (cluster.clone(), all), (cluster.join("services"), SERVICES_SHARES)];
        for node in 1..=nodes {
            weights.push((cluster.join(format!("node{node}")), pods / nodes as u64));
        }
        for (folder, shares) in weights {
            fs::create_dir_all(&folder)
                .with_context(|| format!("{} can't be made", folder.display()))?;
            let file = folder.join("cpu.shares");
            fs::write(&file, shares.to_string())
                .with_context(|| format!("{} can't be written", file.display()))?;
        }
        Ok(())
    }

    /// The hierarchy that divides the processors, where there is one for this alone.
    fn processor(&self) -> Option<&PathBuf> {
        self.hierarchies.iter().find(|path| path.join("cpu.shares").exists())
    }

    fn service_path(&self, name: &str) -> PathBuf {
        self.tracking().join(TOP).join(&self.cluster).join("services").join(name)
    }

    /// Processes of a service and those they started, except containers.
    pub(crate) fn service_processes(&self, name: &str) -> Vec<i32> {
        processes(&self.service_path(name))
    }

    /// All processes of the cluster, containers too.
    pub(crate) fn all_processes(&self) -> Vec<i32> {
        processes(&self.tracking().join(TOP).join(&self.cluster))
    }

    /// What the kubelet of a node takes as its root; made in all hierarchies.
    pub(crate) fn node(&self, node: usize) -> Result<String> {
        let name = format!("{TOP}/{}/node{node}", self.cluster);
        for hierarchy in &self.hierarchies {
            let mut folder = hierarchy.clone();
            for part in name.split('/') {
                self.share(&folder);
                folder.push(part);
                let made = fs::create_dir_all(&folder);
                made.with_context(|| format!("{} can't be made", folder.display()))?;
            }
            self.share(&folder);
        }
        Ok(format!("/{name}"))
    }

    /// Lets a group's children have what it has.
    fn share(&self, folder: &Path) {
        if self.version_2() {
            let controllers =
                fs::read_to_string(folder.join("cgroup.controllers")).unwrap_or_default();
            for controller in controllers.split_whitespace() {
                // One that can't be shared is missed by the kubelet, which says so.
                let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
            }
            return;
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let own = folder.join(file);
            let empty = fs::read_to_string(&own).is_ok_and(|text| text.trim().is_empty());
            let parents = folder.parent().and_then(|parent| fs::read(parent.join(file)).ok());
            if let (true, Some(parents)) = (empty, parents) {
                let _ = fs::write(&own, parents);
            }
        }
    }

    /// Kills some processes by asking again and again who they are.
    pub(crate) fn kill(&self, whom: impl Fn(&Self) -> Vec<i32>) -> Result<()> {
        let deadline = Instant::now() + KILL_TIMEOUT;
        loop {
            let left = whom(self);
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("processes {left:?} don't end after {KILL_TIMEOUT:?}");
            }
            for process in left.into_iter().filter_map(rustix::process::Pid::from_raw) {
                // It may have ended by itself.
                let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes the cluster's groups; they have to be empty of processes.
    pub(crate) fn remove(&self) -> Result<()> {
        for hierarchy in self.hierarchies.iter().chain(&self.beside) {
            let top = hierarchy.join(TOP);
            let folder = top.join(&self.cluster);
            if folder.exists() {
                remove(&folder)?;
            }
            // Another cluster may be in it.
            let _ = fs::remove_dir(&top);
        }
        Ok(())
    }
}

/// Where hierarchies with controllers are mounted (those of version 1, or the one of version 2), and one without.
fn hierarchies(mounts: &str) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let of = |kind: &str| -> Vec<PathBuf> {
        let words = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        words
            .filter(|words| words.get(2) == Some(&kind))
            .filter_map(|words| words.get(1).map(PathBuf::from))
            .collect()
    };
    let (first, second) = (of("cgroup"), of("cgroup2"));
    if first.is_empty() { (second, first) } else { (first, second) }
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn processes(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    found.extend(subfolders(folder).iter().flat_map(|folder| processes(folder)));
    found
}

/// Groups go innermost first; one whose last process just ended is busy for a moment.
fn remove(folder: &Path) -> Result<()> {
    for inner in subfolders(folder) {
        remove(&inner)?;
    }
    let deadline = Instant::now() + KILL_TIMEOUT;
    while let Err(error) = fs::remove_dir(folder) {
        if Instant::now() > deadline {
            return Err(error).with_context(|| format!("{} can't be removed", folder.display()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_goes_before_version_2() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup \
                      /sys/fs/cgroup/pids cgroup rw,pids 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let (found, beside) = hierarchies(hybrid);
        assert_eq!(found, [Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup/pids")]);
        assert_eq!(beside, [Path::new("/sys/fs/cgroup/unified")]);
        let second = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        assert_eq!(hierarchies(second).0, [Path::new("/sys/fs/cgroup")]);
        assert!(hierarchies("").0.is_empty());
    }
}
