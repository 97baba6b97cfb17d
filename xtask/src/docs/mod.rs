//! The commands of the documents: run as a reader would type them, or, where a comment says why they can't be run here,
//! checked for programs and options that exist.

mod blocks;
mod programs;
mod session;

use crate::steps::root;
use anyhow::{Context, Result, ensure};
use blocks::{Block, Use};
use session::Session;
use std::fs;
use std::path::PathBuf;

/// What a command that needs a cluster begins with.
const CLUSTER: &str = "cargo e2e ";

/// Runs and checks the commands of all documents; those that need a cluster, unless `Err` says why there can be none.
/// With files, only those of them.
pub fn run(kubernetes: Result<(), String>, files: &[PathBuf]) -> Result<()> {
    // They remove all clusters of this machine: only where there are none.
    let kubernetes = match kubernetes {
        Ok(()) if programs::clusters()? => Err("a cluster is up: `cargo e2e status`".to_owned()),
        other => other,
    };
    let path = programs::path(kubernetes.is_ok())?;
    let documents = match files {
        [] => documents()?,
        some => some.iter().map(|file| root().join(file)).collect(),
    };
    for document in documents {
        let shown = document.strip_prefix(root()).unwrap_or(&document).display().to_string();
        let text = fs::read_to_string(&document).with_context(|| shown.clone())?;
        let blocks = blocks::find(&text).with_context(|| shown.clone())?;
        if blocks.is_empty() {
            continue;
        }
        eprintln!("  {shown}");
        let mut session = Session::new(&path)?;
        for block in &blocks {
            one(&mut session, block, &path, &kubernetes)
                .with_context(|| format!("{shown}, line {}", block.line))?;
        }
        session.end().with_context(|| shown.clone())?;
    }
    Ok(())
}

fn one(
    session: &mut Session,
    block: &Block,
    path: &str,
    kubernetes: &Result<(), String>,
) -> Result<()> {
    let reason = match (&block.usage, kubernetes) {
        (Use::NotRun(reason), _) => reason,
        (_, Err(missing)) if block.commands.iter().any(|command| on_cluster(command)) => missing,
        (Use::Stays(until), _) => {
            return block.commands.iter().try_for_each(|command| session.stays(command, until));
        }
        (Use::Run, _) => return block.commands.iter().try_for_each(|command| session.run(command)),
    };
    for command in &block.commands {
        let first = command.lines().next().unwrap_or_default();
        match programs::understood(command, path, kubernetes.is_ok())? {
            None => eprintln!("  not run   {first}   ({reason}; its options exist)"),
            Some(why) => eprintln!("  not run   {first}   ({reason}; {why})"),
        }
    }
    Ok(())
}

/// Whether it makes a cluster or talks to one.
fn on_cluster(command: &str) -> bool {
    [CLUSTER, "kubectl ", "helm "].iter().any(|start| command.starts_with(start))
}

/// Everything that people read.
fn documents() -> Result<Vec<PathBuf>> {
    let mut found = vec![root().join("README.md")];
    for folder in
        ["docs", "charts/spread-operator", "daemon/fuzz", "examples/clients", "examples/kubernetes"]
    {
        let entries = fs::read_dir(root().join(folder)).with_context(|| folder.to_owned())?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
        files.sort();
        found.extend(files);
    }
    ensure!(found.len() > 1, "there are no documents");
    Ok(found)
}
