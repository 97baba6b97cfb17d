//! containerd of one node: its configuration, and what it is asked through `ctr`.

use crate::addresses::Family;
use crate::run;
use anyhow::Result;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// The image that holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "localhost/pause:1";

/// One node's containerd, everything of it below one folder.
pub(crate) struct Containerd {
    pub(crate) folder: PathBuf,
}

impl Containerd {
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("containerd.sock")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("containerd.toml")
    }

    /// Writes its configuration and that of the pods' network. `network` names it in CNI's caches.
    pub(crate) fn configure(&self, network: &str, family: Family, node: usize) -> Result<()> {
        let plugins = self.folder.join("cni");
        fs::create_dir_all(&plugins)?;
        fs::write(self.configuration(), configuration(&self.folder))?;
        let pods = family.pods(node);
        let ranges: Vec<_> = pods.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
        let everywhere = |subnet: &String| if subnet.contains(':') { "::/0" } else { "0.0.0.0/0" };
        let routes: Vec<_> = pods.iter().map(|subnet| json!({"dst": everywhere(subnet)})).collect();
        // Point to point: what pods of one node say to each other passes the node's netfilter, as services need it.
        let list = json!({
            "cniVersion": "1.0.0",
            "name": network,
            "plugins": [
                {"type": "ptp", "ipMasq": false, "ipam": {
                    "type": "host-local",
                    "dataDir": self.folder.join("addresses"),
                    "ranges": ranges,
                    "routes": routes,
                }},
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        });
        fs::write(plugins.join("10-pods.conflist"), serde_json::to_string_pretty(&list)?)?;
        Ok(())
    }

    /// Whether it answers.
    pub(crate) fn ready(&self) -> bool {
        self.ctr(&["version"]).is_ok()
    }

    /// Loads an image archive.
    pub(crate) fn import(&self, archive: &Path) -> Result<()> {
        self.ctr(&["images", "import", &archive.display().to_string()]).map(drop)
    }

    /// Starts a container of an image outside any pod, in a cgroup below the given one.
    pub(crate) fn start(&self, image: &str, name: &str, cgroup: &str) -> Result<()> {
        let (cgroup, root) = (format!("{cgroup}/{name}"), self.folder.join("runc"));
        let root = root.display().to_string();
        let options = ["run", "--detach", "--cgroup", &cgroup, "--runc-root", &root, image, name];
        self.ctr(&options).map(drop)
    }

    fn ctr(&self, words: &[&str]) -> Result<String> {
        let socket = self.socket().display().to_string();
        run::words(&[&["ctr", "--address", &socket, "--namespace", "k8s.io"], words].concat())
    }
}

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
oom_score = 0
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Inside a container nobody may lower an oom score.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{folder}/runc"
        SystemdCgroup = false
"#
    )
}
