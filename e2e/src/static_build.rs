//! Programs of this workspace without any library of the system, for images with nothing else in them.

use crate::progress::Step;
use crate::run;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of this machine's architecture.
fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Builds programs of packages and returns the folder they are in.
///
/// # Errors
/// The target can't be added, the C compiler for it (`musl-gcc`) is missing, or a package does not compile.
pub fn build(packages: &[&str]) -> Result<PathBuf> {
    let step = Step::start(format!("building static programs of {}", packages.join(", ")));
    let target = target();
    add_target(&target)?;
    ensure!(run::on_path("musl-gcc"), "`musl-gcc` is missing: install musl-tools");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let folder = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--locked", "--profile", "quick", "--target", &target]);
    for package in packages {
        command.args(["--package", package]);
    }
    let compiler = format!("CC_{}", target.replace('-', "_"));
    command.env(compiler, "musl-gcc").current_dir(root);
    run::output(&mut command)?;
    step.done();
    Ok(folder.join(target).join("quick"))
}

/// Compiles a single file that uses nothing but the standard library into a program.
///
/// # Errors
/// The target can't be added, or the file does not compile.
pub fn build_file(source: &Path, program: &Path) -> Result<()> {
    let target = target();
    add_target(&target)?;
    let mut command = Command::new("rustc");
    command.args(["--edition=2024", "-O", "-Cpanic=abort", "-Cstrip=symbols", "--target", &target]);
    run::output(command.arg("-o").arg(program).arg(source)).map(drop)
}

/// Adds the target of static programs, if it is not there.
///
/// # Errors
/// It can't be added.
pub fn ensure_target() -> Result<()> {
    add_target(&target())
}

fn add_target(target: &str) -> Result<()> {
    let installed = run::words(&["rustup", "target", "list", "--installed"]).unwrap_or_default();
    if installed.lines().any(|line| line == target) {
        return Ok(());
    }
    run::words(&["rustup", "target", "add", target])
        .with_context(|| format!("the standard library for {target} can't be added"))
        .map(drop)
}
