//! Where the daemon program is; it is built if this runs from a cargo workspace.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The daemon beside this program, brought up to date by cargo where cargo started us.
pub fn find_or_build() -> Result<PathBuf> {
    let own = env::current_exe().context("where this program is")?;
    let folder = own.parent().context("this program is in no folder")?;
    let spreadd = folder.join("spreadd");
    if let Some(cargo) = env::var_os("CARGO") {
        // The folder of a profile is named after it, but for dev's.
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        // The workspace's default members, as in the command that built this program: with another choice of packages cargo would
        // choose other features and build again what they share.
        let packages = ["-p", "spreadd", "-p", "spread-tools", "-p", "spread-local"];
        let programs = ["spreadd", "spread-user", "spread-flood", "spread-monitor"];
        let status = Command::new(cargo)
            .args(["build", "--locked", "--profile", profile])
            .args(packages)
            .args(programs.iter().flat_map(|program| ["--bin", program]))
            .status()?;
        if !status.success() {
            bail!("spreadd could not be built: see above");
        }
    }
    if !spreadd.exists() {
        bail!(
            "{} is missing: cargo build -p spreadd, or name it with --spreadd",
            spreadd.display()
        );
    }
    Ok(spreadd)
}

/// How to call a program that is built with this one: by its path from here if it is beside it.
pub fn beside(name: &str) -> String {
    let path = env::current_exe().ok().map(|own| own.with_file_name(name));
    let Some(path) = path.filter(|path| path.exists()) else { return name.to_owned() };
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(&path).display().to_string()
}
