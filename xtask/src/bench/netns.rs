//! Network namespaces on one bridge, removed when dropped.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::process::Command;

/// Says plainly when this machine can't make namespaces.
pub fn require() -> Result<()> {
    let output = Command::new("ip").args(["netns", "list"]).output();
    ensure!(output.is_ok_and(|o| o.status.success()), "`ip` is missing: install iproute2");
    let probe = format!("spr-probe-{}", std::process::id());
    if ip(&["netns", "add", &probe]).is_err() {
        bail!("network namespaces can't be made here: run as root");
    }
    ip(&["netns", "del", &probe])
}

/// The kernel's bound on neighbours counts those of all namespaces together: each of n has n - 1.
const NEIGHBOURS: [&str; 2] =
    ["/proc/sys/net/ipv4/neigh/default/gc_thresh2", "/proc/sys/net/ipv4/neigh/default/gc_thresh3"];
/// What that bound is raised to while many namespaces are there.
const MANY_NEIGHBOURS: &str = "16384";
/// Above so many namespaces the bound's default is too low.
const FEW: usize = 16;

/// Namespaces `0..n` with addresses 10.77.0.1, 10.77.0.2, … on one bridge (in a namespace too).
pub struct Network {
    prefix: String,
    count: usize,
    /// The kernel's bounds on neighbours as they were.
    neighbours: Vec<String>,
}

impl Network {
    /// Makes `count` namespaces.
    pub fn new(count: usize) -> Result<Self> {
        let prefix = format!("spr{}", std::process::id());
        let mut network = Self { prefix, count, neighbours: Vec::new() };
        if count > FEW {
            network.neighbours =
                NEIGHBOURS.iter().map(fs::read_to_string).collect::<Result<_, _>>()?;
            for file in NEIGHBOURS.iter().rev() {
                fs::write(file, MANY_NEIGHBOURS)?;
            }
        }
        let hub = network.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        for index in 0..count {
            network.add(index).with_context(|| format!("namespace {index}"))?;
        }
        Ok(network)
    }

    fn add(&self, index: usize) -> Result<()> {
        let (hub, name, port) = (self.hub(), self.name(index), format!("p{index}"));
        ip(&["netns", "add", &name])?;
        ip(&[
            "link", "add", &port, "netns", &hub, "type", "veth", "peer", "name", "eth0", "netns",
            &name,
        ])?;
        ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
        let address = format!("{}/24", Self::address(index));
        ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        ip(&["-n", &name, "link", "set", "eth0", "up"])
    }

    fn hub(&self) -> String {
        format!("{}h", self.prefix)
    }

    fn name(&self, index: usize) -> String {
        format!("{}n{index}", self.prefix)
    }

    /// Address of a namespace.
    pub fn address(index: usize) -> String {
        format!("10.77.0.{}", index + 1)
    }

    /// A command that runs inside a namespace.
    pub fn command(&self, index: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(index), program]);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for index in 0..self.count {
            let _ = ip(&["netns", "del", &self.name(index)]);
        }
        let _ = ip(&["netns", "del", &self.hub()]);
        for (file, before) in NEIGHBOURS.iter().zip(&self.neighbours) {
            let _ = fs::write(file, before);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("starting `ip`")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
