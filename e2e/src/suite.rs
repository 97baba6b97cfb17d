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

/// Where the tests run.
#[derive(Clone, Debug)]
pub enum Site {
    /// On a cluster of so many nodes that is made for them and removed afterwards, whatever their outcome.
    Own {
        /// Nodes, 1 to 3.
        nodes: usize,
    },
    /// On a cluster of this machine that is up, and stays.
    Up(String),
    /// On a cluster of others: tests that cut off nodes or stop the API server are left out, and say so.
    Kubeconfig(PathBuf),
}

/// Builds, installs and runs all tests whose names contain the filter.
///
/// # Errors
/// A test failed, or there is nothing to run them on.
pub fn run(site: Site, filter: Option<String>) -> Result<()> {
    match site {
        Site::Own { nodes } => {
            Cluster::down(OWN)?;
            let options = Options { name: OWN.to_owned(), nodes, family: Family::Ipv4 };
            let outcome = Cluster::up(options).and_then(|cluster| on(&cluster, filter));
            let step = Step::start(format!("removing cluster {OWN}"));
            Cluster::down(OWN)?;
            step.done();
            outcome
        }
        Site::Up(name) => on(&Cluster::find(&name)?, filter),
        Site::Kubeconfig(file) => {
            // The tests run elsewhere than this program.
            let file = std::path::absolute(file)?;
            let kubectl = Kubectl::new(&file)?;
            elsewhere::load(&kubectl, &Programs::build()?)?;
            Helm::new(&kubectl)?.install()?;
            tests("SPREAD_E2E_KUBECONFIG", file.as_os_str(), filter)
        }
    }
}

fn on(cluster: &Cluster, filter: Option<String>) -> Result<()> {
    example::load(cluster, &Programs::build()?)?;
    Helm::new(cluster.kubectl())?.install()?;
    tests("SPREAD_E2E_CLUSTER", OsStr::new(cluster.name()), filter)
}

/// One test after the other: they share the operator and the API server, and take both away.
fn tests(variable: &str, value: &OsStr, filter: Option<String>) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--locked", "--package", "spread-e2e", "--tests", "--"]);
    cargo.args(["--ignored", "--test-threads=1", "--nocapture"]).args(filter);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR"))).env(variable, value);
    let status = cargo.status()?;
    ensure!(status.success(), "the end-to-end tests ended with {status}");
    Ok(())
}
