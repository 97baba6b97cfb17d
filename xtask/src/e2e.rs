//! The end-to-end tests, where this machine can have a real Kubernetes.

use crate::steps::{cargo, check};
use anyhow::Result;
use std::process::Stdio;

fn e2e(task: &str) -> std::process::Command {
    cargo(&[
        "run",
        "--quiet",
        "--locked",
        "--package",
        "spread-e2e",
        "--bin",
        "spread-e2e",
        "--",
        task,
    ])
}

/// Why they can't be run here.
pub fn missing() -> Option<String> {
    match e2e("missing").stderr(Stdio::inherit()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Brings a cluster up, runs them and removes it.
pub fn run() -> Result<()> {
    check(&mut e2e("test"))
}
