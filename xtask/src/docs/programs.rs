//! Which programs documents speak of, and whether a command that is not run would at least be understood.

use crate::steps::{cargo, root};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Programs of others, of which no machine of ours need have any.
const FOREIGN: [&str; 4] = ["cosign", "curl", "docker", "gh"];
/// Programs that are there where Kubernetes is.
const OF_KUBERNETES: [&str; 2] = ["helm", "kubectl"];
/// Cargo's own commands, which say nothing of options that stand before `--help`.
const OF_CARGO: [&str; 4] = ["build", "run", "test", "+nightly"];

/// Where cargo puts what it builds.
fn target() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    own.ancestors().nth(2).map(PathBuf::from).context("this program is in no target folder")
}

/// The command with cargo's folder in place of `target`, if that is elsewhere.
pub fn in_target(command: &str) -> String {
    match (command.strip_prefix("target/"), target()) {
        (Some(rest), Ok(target)) => format!("{}/{rest}", target.display()),
        _ => command.to_owned(),
    }
}

/// The first part of a reader's PATH: what this workspace builds, and with Kubernetes kubectl and Helm.
pub fn path(kubernetes: bool) -> Result<String> {
    let mut folders = vec![target()?.join("debug").display().to_string()];
    if kubernetes {
        folders.push(e2e("commands")?);
    }
    Ok(folders.join(":"))
}

/// Whether a cluster is up on this machine.
pub fn clusters() -> Result<bool> {
    Ok(!e2e("status")?.starts_with("no cluster"))
}

/// What `cargo e2e` says.
fn e2e(task: &str) -> Result<String> {
    let run = ["run", "--quiet", "--locked", "-p", "spread-e2e", "--bin", "spread-e2e", "--", task];
    let output = cargo(&run).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "`cargo e2e {task}` ended with {}", output.status);
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Checks that program and options exist, by asking for help behind them. Returns why nothing can be said.
pub fn understood(command: &str, path: &str, kubernetes: bool) -> Result<Option<String>> {
    let words: Vec<&str> = command.split_whitespace().take_while(|word| *word != "#").collect();
    let program = *words.first().context("an empty command")?;
    if FOREIGN.contains(&program) {
        return Ok(Some(format!("{program} is not ours")));
    }
    let plugin = words.starts_with(&["kubectl", "spread"]);
    if OF_KUBERNETES.contains(&program) && !kubernetes && !plugin {
        return Ok(Some(format!("{program} is not here")));
    }
    if program == "cargo" && words.get(1).is_some_and(|word| OF_CARGO.contains(word)) {
        return Ok(Some("cargo's own commands don't check options before `--help`".to_owned()));
    }
    // Redirected output and remarks are the shell's.
    let typed = command.split(" #").next().unwrap_or(command);
    let typed = typed.split(" > ").next().unwrap_or(typed).trim_end();
    let typed =
        if plugin { typed.replacen("kubectl spread", "kubectl-spread", 1) } else { typed.into() };
    let script = format!("PATH={path}:$PATH\n{} --help", in_target(&typed));
    let output = Command::new("bash").args(["-ec", &script]).current_dir(root()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{command}` is not understood: {}", said.trim());
    Ok(None)
}
