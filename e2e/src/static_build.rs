//! Programs of this workspace without any library of the system, for images with nothing else in them.

use crate::progress::Step;
use crate::{cross, elf, run};
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Architectures that images are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// x86_64.
    Amd64,
    /// aarch64.
    Arm64,
}

impl Arch {
    /// That of this machine.
    ///
    /// # Errors
    /// There are no images for it.
    pub fn here() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => anyhow::bail!("there are no images for {other}: only for x86_64 and aarch64"),
        }
    }

    /// As images name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// Has cargo compile C and link for this architecture.
    fn tools(self, cargo: &mut Command) -> Result<()> {
        let target = self.target().replace('-', "_");
        if self == Self::here()? {
            ensure!(run::on_path("musl-gcc"), "`musl-gcc` is missing: install musl-tools");
            cargo.env(format!("CC_{target}"), "musl-gcc");
            return Ok(());
        }
        let (compiler, flags) = cross::tools(self)?;
        cargo.env(format!("CC_{target}"), compiler).env(format!("CFLAGS_{target}"), flags);
        // Rust brings the linker and musl's start files.
        cargo.env(format!("CARGO_TARGET_{}_LINKER", target.to_uppercase()), "rust-lld");
        Ok(())
    }
}

/// What programs are built for: a profile of the workspace's `Cargo.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// To be tried on this machine: only what carries messages is optimised.
    Up,
    /// To be used elsewhere.
    Quick,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Quick => "quick",
        }
    }
}

/// Builds programs of packages and returns the folder they are in.
///
/// # Errors
/// The target can't be added, the C compiler for it is missing, or a package does not compile.
pub fn build(packages: &[&str], arch: Arch, profile: Profile) -> Result<PathBuf> {
    let what = format!("building static programs of {} for {}", packages.join(", "), arch.name());
    let step = Step::start(what);
    let target = arch.target();
    add_target(target)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let folder = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--locked", "--target", target]);
    command.args(["--profile", profile.name()]);
    for package in packages {
        command.args(["--package", package]);
    }
    arch.tools(&mut command)?;
    run::output(command.current_dir(root))?;
    step.done();
    Ok(folder.join(target).join(profile.name()))
}

/// Compiles a single file that uses nothing but the standard library into a program for this machine.
///
/// # Errors
/// The target can't be added, or the file does not compile.
pub fn build_file(source: &Path, program: &Path) -> Result<()> {
    let target = Arch::here()?.target();
    add_target(target)?;
    let mut command = Command::new("rustc");
    command.args(["--edition=2024", "-O", "-Cpanic=abort", "-Cstrip=symbols", "--target", target]);
    run::output(command.arg("-o").arg(program).arg(source)).map(drop)
}

/// Adds the target of static programs for this machine, if it is not there.
///
/// # Errors
/// It can't be added.
pub fn ensure_target() -> Result<()> {
    add_target(Arch::here()?.target())
}

/// That a program is of an architecture and needs nothing of the system it runs on.
///
/// # Errors
/// What is wrong with it.
pub fn check(program: &Path, arch: Arch) -> Result<()> {
    let bytes =
        std::fs::read(program).with_context(|| format!("{} can't be read", program.display()))?;
    elf::check_static(&bytes, arch).with_context(|| program.display().to_string())
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
