//! What a test does to a cluster: nodes cut off, packets dropped, services killed.

use crate::cluster::Cluster;
use crate::network;
use anyhow::Result;

impl Cluster {
    /// Cuts a node off from everything: other nodes, the API server.
    ///
    /// # Errors
    /// There is no such node.
    pub fn cut(&self, node: usize) -> Result<()> {
        network::connect(self.name(), node, false)
    }

    /// Undoes [`Cluster::cut`].
    ///
    /// # Errors
    /// There is no such node.
    pub fn mend(&self, node: usize) -> Result<()> {
        network::connect(self.name(), node, true)
    }

    /// Drops what pods send to a UDP port, on every node, or lets it through again.
    ///
    /// # Errors
    /// A rule can't be made, or is not there.
    pub fn drop_udp(&self, port: u16, dropped: bool) -> Result<()> {
        (1..=self.nodes()).try_for_each(|node| network::drop_udp(self.name(), node, port, dropped))
    }

    /// Kills one of the cluster's services, such as `kube-apiserver` or `kubelet-1`.
    ///
    /// # Errors
    /// It does not end.
    pub fn stop_service(&self, name: &str) -> Result<()> {
        self.cgroups.kill(|cgroups| cgroups.service_processes(name))
    }
}
