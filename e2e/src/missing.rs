//! What this machine lacks, in one line, so that a test runner can leave the rest out.

use crate::go_commands::{self, Module};
use crate::packages;
use crate::run;

/// Why no cluster with nodes can be had here; `None`: it can.
pub fn missing() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("a cluster needs Linux".into());
    }
    if !rustix::process::geteuid().is_root() {
        return Some("a cluster needs root (network namespaces, cgroups, containerd)".into());
    }
    missing_for_api_server()
        .or_else(packages::missing)
        .or_else(crate::cgroups::Cgroups::missing)
        .or_else(crate::network::missing)
}

/// Why no API server can be had here; `None`: it can.
pub fn missing_for_api_server() -> Option<String> {
    let built =
        [Module::Etcd, Module::Kubernetes].iter().all(|module| go_commands::is_built(*module));
    if !built && !run::on_path("go") {
        return Some("an API server needs Go, to build it".into());
    }
    if !run::on_path("setpriv") {
        return Some("an API server needs `setpriv` of util-linux".into());
    }
    None
}
