//! The end-to-end tests, on whichever cluster.

use crate::cluster::Cluster;
use crate::helm::Helm;
use crate::kubectl::Kubectl;
use crate::options::Options;
use crate::product::Programs;
use crate::progress::Step;
use crate::{Family, elsewhere, example};
use anyhow::{Result, ensure};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Name of a cluster that is there for the tests alone.
const OWN: &str = "test";
/// What is run on every family of addresses; all other tests are indifferent to it and run on the first.
const ANY_FAMILY: &str = "scaling_into_spare_slots_and_back";

/// Where the tests run.
#[derive(Clone, Debug)]
pub enum Site {
    /// On a cluster of so many nodes that is made for them and removed afterwards, whatever their outcome.
    Own {
        /// Nodes, 1 to 3.
        nodes: usize,
        /// Addresses. None: IPv4, and then what concerns addresses once more on one node with IPv6, and with both.
        family: Option<Family>,
    },
    /// On a cluster of this machine that is up, and stays.
    Up(String),
    /// On a cluster of others: tests that cut off nodes or stop the API server are left out, and say so.
    Kubeconfig(PathBuf),
}

/// Builds, installs and runs all tests whose names contain the filter.
///
/// # Errors
/// A test failed, no test has such a name, or there is nothing to run them on.
pub fn run(site: Site, filter: Option<&str>) -> Result<()> {
    match site {
        Site::Own { nodes, family: Some(family) } => on_own(nodes, family, filter),
        Site::Own { nodes, family: None } => {
            on_own(nodes, Family::Ipv4, filter)?;
            if filter.is_none() {
                on_own(1, Family::Ipv6, Some(ANY_FAMILY))?;
                on_own(1, Family::Dual, Some(ANY_FAMILY))?;
            }
            Ok(())
        }
        Site::Up(name) => on(&Cluster::find(&name)?, filter),
        Site::Kubeconfig(file) => {
            // The tests run elsewhere than this program.
            let file = std::path::absolute(file)?;
            let kubectl = Kubectl::new(&file)?;
            elsewhere::load(&kubectl)?;
            Helm::new(&kubectl)?.install()?;
            tests("SPREAD_E2E_KUBECONFIG", file.as_os_str(), filter)
        }
    }
}

/// A cluster for the tests, removed whatever their outcome.
fn on_own(nodes: usize, family: Family, filter: Option<&str>) -> Result<()> {
    eprintln!("\n  {nodes} node(s), {family:?}");
    Cluster::down(OWN)?;
    let options = Options { name: OWN.to_owned(), nodes, family };
    let outcome = Cluster::up(options).and_then(|cluster| on(&cluster, filter));
    let step = Step::start(format!("removing cluster {OWN}"));
    Cluster::down(OWN)?;
    step.done();
    outcome
}

fn on(cluster: &Cluster, filter: Option<&str>) -> Result<()> {
    example::load(cluster, &Programs::build()?)?;
    Helm::new(cluster.kubectl())?.install()?;
    tests("SPREAD_E2E_CLUSTER", OsStr::new(cluster.name()), filter)
}

/// One test after the other: they share the operator and the API server, and take both away.
fn tests(variable: &str, value: &OsStr, filter: Option<&str>) -> Result<()> {
    if let Some(filter) = filter {
        let found = crate::run::output(cargo_test().args(["--ignored", "--list"]).arg(filter))?;
        ensure!(found.contains(": test"), "no end-to-end test has `{filter}` in its name");
    }
    let mut tests = cargo_test();
    tests.args(["--ignored", "--test-threads=1", "--nocapture"]).args(filter);
    let status = tests.env(variable, value).status()?;
    ensure!(status.success(), "the end-to-end tests ended with {status}");
    Ok(())
}

/// With the features of the whole workspace: after `cargo test --workspace` nothing is built again.
fn cargo_test() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--workspace", "--locked", "--test", "control_plane"]);
    cargo.args(["--test", "cluster", "--"]);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    cargo
}
