//! kubelet and kube-proxy of one node.

use crate::addresses::Family;
use anyhow::Result;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Where every kubelet of a machine waits for device plugins, whatever its root; it first removes what is there. Nobody here has such plugins.
pub(crate) const PLUGIN_REGISTRY: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";

/// Name of a node, counted from 1.
pub(crate) fn name(node: usize) -> String {
    format!("node{node}")
}

/// What a node's kubelet and proxy need to know.
pub(crate) struct Node<'a> {
    /// The cluster's folder.
    pub(crate) cluster: &'a Path,
    /// The node's own folder.
    pub(crate) folder: &'a Path,
    pub(crate) node: usize,
    pub(crate) family: Family,
    /// Root of the pods' cgroups.
    pub(crate) cgroup: &'a str,
    /// Where containerd listens.
    pub(crate) containerd: &'a Path,
}

impl Node<'_> {
    /// Writes the kubelet's configuration and returns its arguments.
    pub(crate) fn kubelet(&self) -> Result<Vec<String>> {
        let own = self.family.node(self.node);
        let (folder, pki) = (self.folder, self.cluster.join("pki"));
        // Pods with the node's own resolver ask nobody.
        fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\n")?;
        let name = name(self.node);
        let configuration = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": own[0],
            "healthzBindAddress": "127.0.0.1",
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": pki.join("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": pki.join(format!("{name}.crt")),
            "tlsPrivateKeyFile": pki.join(format!("{name}.key")),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup,
            "cgroupsPerQOS": true,
            "enforceNodeAllocatable": ["pods"],
            "failSwapOn": false,
            // A nearly full disk of the machine is not the node's.
            "evictionHard": {
                "memory.available": "1Mi", "nodefs.available": "0%",
                "imagefs.available": "0%", "nodefs.inodesFree": "0%",
            },
            "imageGCHighThresholdPercent": 100,
            "containerRuntimeEndpoint": format!("unix://{}", self.containerd.display()),
            "clusterDNS": self.family.dns_service(),
            "clusterDomain": "cluster.local",
            "resolvConf": folder.join("resolv.conf"),
            "podLogsDir": folder.join("pod-logs"),
            "volumePluginDir": folder.join("volume-plugins"),
            "syncFrequency": "10s",
            "fileCheckFrequency": "5s",
            "nodeStatusUpdateFrequency": "4s",
            "seccompDefault": true,
            // All nodes share the machine's processors.
            "maxPods": 110,
        });
        fs::write(folder.join("kubelet.yaml"), serde_json::to_string_pretty(&configuration)?)?;
        let kubeconfig = self.cluster.join(format!("{name}.kubeconfig"));
        Ok(vec![
            format!("--config={}", folder.join("kubelet.yaml").display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--root-dir={}", folder.join("kubelet").display()),
            format!("--cert-dir={}", folder.join("certificates").display()),
            format!("--hostname-override={name}"),
            format!("--node-ip={}", own.join(",")),
            format!("--node-labels=topology.kubernetes.io/zone=zone{}", self.node),
        ])
    }

    /// The proxy's arguments.
    pub(crate) fn proxy(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.cluster.join("proxy.kubeconfig").display()),
            format!("--hostname-override={}", name(self.node)),
            "--proxy-mode=iptables".to_owned(),
            format!("--cluster-cidr={}", self.family.all_pods()),
            // These belong to the machine.
            "--conntrack-max-per-core=0".to_owned(),
            "--conntrack-tcp-timeout-established=0s".to_owned(),
            "--conntrack-tcp-timeout-close-wait=0s".to_owned(),
            "--nodeport-addresses=primary".to_owned(),
        ]
    }
}
