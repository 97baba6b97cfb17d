//! A cluster's network: a namespace with a bridge (the hub) and one per node, with routes to each other's pods.
//! Nothing in them has a way out of the machine.

use crate::addresses::{Family, flag, with_bits};
use crate::run;
use anyhow::{Context, Result, ensure};
use std::fs;

/// The bridge in the hub.
const BRIDGE: &str = "br0";
/// Where named namespaces are.
const NAMED: &str = "/run/netns";

/// Namespace of the control plane and the bridge.
pub(crate) fn hub(cluster: &str) -> String {
    format!("e2e-{cluster}")
}

/// Namespace of a node, counted from 1.
pub(crate) fn node(cluster: &str, node: usize) -> String {
    format!("e2e-{cluster}-{node}")
}

/// Why namespaces can't be had here.
pub(crate) fn missing() -> Option<String> {
    if !run::on_path("ip") {
        // Installed with the other packages.
        return None;
    }
    let name = format!("e2e-probe-{}", std::process::id());
    let probe = ip(&["netns", "add", &name]).and_then(|()| ip(&["netns", "del", &name]));
    probe.err().map(|error| format!("a cluster needs network namespaces: {error:#}"))
}

/// Makes all namespaces of a cluster.
pub(crate) fn make(cluster: &str, nodes: usize, family: Family) -> Result<()> {
    let hub = hub(cluster);
    ip(&["netns", "add", &hub])?;
    ip(&["-n", &hub, "link", "set", "lo", "up"])?;
    ip(&["-n", &hub, "link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["-n", &hub, "link", "set", BRIDGE, "up"])?;
    for address in family.hub() {
        add_address(&hub, BRIDGE, &address)?;
    }
    for node in 1..=nodes {
        make_node(cluster, node, family).with_context(|| format!("the network of node {node}"))?;
    }
    for node in 1..=nodes {
        for (via, pods) in family.node(node).iter().zip(family.pods(node)) {
            let others = (1..=nodes).filter(|other| *other != node);
            let others = others.map(|other| self::node(cluster, other));
            for namespace in others.chain([hub.clone()]) {
                ip(&["-n", &namespace, flag(via), "route", "add", &pods, "via", via])?;
            }
        }
    }
    Ok(())
}

fn make_node(cluster: &str, node: usize, family: Family) -> Result<()> {
    let (hub, name, port) = (hub(cluster), self::node(cluster, node), port(node));
    ip(&["netns", "add", &name])?;
    ip(&["-n", &name, "link", "set", "lo", "up"])?;
    let pair = ["link", "add", &port, "netns", &hub, "type", "veth", "peer", "name", "eth0"];
    ip(&[&pair[..], &["netns", &name]].concat())?;
    ip(&["-n", &hub, "link", "set", &port, "master", BRIDGE, "up"])?;
    ip(&["-n", &name, "link", "set", "eth0", "up"])?;
    for (own, via) in family.node(node).iter().zip(family.hub()) {
        add_address(&name, "eth0", own)?;
        ip(&["-n", &name, flag(own), "route", "add", "default", "via", &via])?;
    }
    for setting in [
        "net.ipv4.ip_forward=1",
        "net.ipv6.conf.all.forwarding=1",
        // kube-proxy's answers to the pods of its own node come back the way they went.
        "net.ipv4.conf.all.rp_filter=0",
    ] {
        ip(&["netns", "exec", &name, "sysctl", "-qw", setting])?;
    }
    Ok(())
}

fn add_address(namespace: &str, device: &str, address: &str) -> Result<()> {
    let full = with_bits(address);
    let mut words = vec!["-n", namespace, flag(address), "addr", "add", &full, "dev", device];
    if flag(address) == "-6" {
        // Nobody else has it.
        words.push("nodad");
    }
    ip(&words)
}

/// Plugs a node's cable into the bridge, or out of it.
pub(crate) fn connect(cluster: &str, node: usize, plugged: bool) -> Result<()> {
    let state = if plugged { "up" } else { "down" };
    ip(&["-n", &hub(cluster), "link", "set", &port(node), state])
}

/// Drops what pods of a node send to a UDP port, of pods of the same node too; or lets it through again.
pub(crate) fn drop_udp(cluster: &str, node: usize, port: u16, dropped: bool) -> Result<()> {
    let (name, port) = (self::node(cluster, node), port.to_string());
    let change = if dropped { "--insert" } else { "--delete" };
    for program in ["iptables", "ip6tables"] {
        let rule = ["FORWARD", "--protocol", "udp", "--dport", &port, "--jump", "DROP"];
        ip(&[&["netns", "exec", &name, program, "--wait", change], &rule[..]].concat())?;
    }
    Ok(())
}

/// A node's end of the cable at the bridge.
fn port(node: usize) -> String {
    format!("node{node}")
}

/// Removes what is there of a cluster's namespaces.
pub(crate) fn remove(cluster: &str) -> Result<()> {
    let (hub, prefix) = (hub(cluster), format!("{}-", hub(cluster)));
    let Ok(entries) = fs::read_dir(NAMED) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(&prefix);
        let is_node = number.is_some_and(|number| number.parse::<usize>().is_ok());
        if name == hub || is_node {
            ip(&["netns", "del", &name])?;
        }
    }
    Ok(())
}

fn ip(words: &[&str]) -> Result<()> {
    ensure!(run::on_path("ip"), "`ip` is missing: install iproute2");
    run::words(&[&["ip"], words].concat()).map(drop)
}
