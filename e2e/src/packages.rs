//! What comes from the system: Debian's packages, installed where that is possible.

use crate::progress::Step;
use crate::run;
use anyhow::{Result, ensure};
use std::path::Path;

/// A program or file, and the package that has it.
const NEEDED: [(&str, &str); 9] = [
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("musl-gcc", "musl-tools"),
];

fn absent() -> Vec<&'static str> {
    let there = |what: &str| match what.starts_with('/') {
        true => Path::new(what).exists(),
        false => run::on_path(what),
    };
    let mut absent: Vec<&str> =
        NEEDED.iter().filter(|(what, _)| !there(what)).map(|(_, package)| *package).collect();
    absent.dedup();
    absent
}

/// Why what is absent can't be installed.
pub(crate) fn missing() -> Option<String> {
    let absent = absent();
    (!absent.is_empty() && !run::on_path("apt-get"))
        .then(|| format!("a cluster needs {}, and there is no apt-get", absent.join(", ")))
}

/// Installs what is absent.
pub(crate) fn install() -> Result<()> {
    let packages = absent();
    if packages.is_empty() {
        return Ok(());
    }
    install_all(&packages)?;
    let still = absent();
    ensure!(
        still.is_empty(),
        "{} is installed and yet its programs are not found",
        still.join(", ")
    );
    Ok(())
}

/// Installs the package of one program, if it is not there.
pub(crate) fn install_one(program: &str, package: &str) -> Result<()> {
    if run::on_path(program) {
        return Ok(());
    }
    ensure!(
        run::on_path("apt-get") && rustix::process::geteuid().is_root(),
        "`{program}` is missing: install it, on Debian as root with `apt-get install {package}`"
    );
    install_all(&[package])
}

fn install_all(packages: &[&str]) -> Result<()> {
    let step = Step::start(format!("installing {}", packages.join(", ")));
    let install = || {
        let arguments = ["install", "-qy", "--no-install-recommends"];
        let mut command = std::process::Command::new("apt-get");
        command.args(arguments).args(packages).env("DEBIAN_FRONTEND", "noninteractive");
        // Its own service is not ours, and must not start beside us.
        command.env("RUNLEVEL", "1");
        run::output(&mut command)
    };
    // The list of packages may be old or absent.
    if install().is_err() {
        run::words(&["apt-get", "update", "-q"])?;
        install()?;
    }
    step.done();
    Ok(())
}
