//! What needs a real Kubernetes: the operator on an API server, and rings in pods.

use crate::steps::{cargo, check};
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// Why no API server can be had here; builds it if need be (minutes, once).
pub fn missing_api_server() -> Result<Option<String>> {
    missing(&mut e2e(&["prepare", "--api-server"]))
}

/// Why no pods can run here; installs and builds what they need.
pub fn missing_nodes() -> Result<Option<String>> {
    missing(&mut e2e(&["prepare"]))
}

/// The operator against an API server with Kubernetes' own controllers.
pub fn api_server_tests() -> Result<()> {
    let tests = ["test", "--workspace", "--locked", "--test", "api_server", "--", "--ignored"];
    check(&mut cargo(&tests))
}

/// Rings in pods on three nodes of their own.
pub fn pod_tests() -> Result<()> {
    check(&mut e2e(&["test"]))
}

fn e2e(arguments: &[&str]) -> Command {
    let run = ["run", "--locked", "-p", "spread-e2e", "--bin", "spread-e2e", "--"];
    cargo(&[&run[..], arguments].concat())
}

/// What is missing is said on standard output; progress goes elsewhere.
fn missing(command: &mut Command) -> Result<Option<String>> {
    let shown = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).spawn();
    let output = child.and_then(std::process::Child::wait_with_output);
    let output = output.with_context(|| format!("{shown} could not be started"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match (output.status.success(), said.is_empty()) {
        (true, _) => Ok(None),
        (false, false) => Ok(Some(said)),
        (false, true) => anyhow::bail!("{shown} ended with {}", output.status),
    }
}
