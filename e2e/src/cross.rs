//! C compilers for static programs of another architecture: Debian's, with musl's own headers for it.

use crate::progress::Step;
use crate::static_build::Arch;
use crate::{go_commands, packages, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's package of musl's headers.
const HEADERS: &str = "musl-dev";

/// A compiler, the flags it needs, and its package.
struct Compiler {
    program: &'static str,
    flags: &'static [&'static str],
    package: &'static str,
    /// Where musl's headers are in their package.
    headers: &'static str,
}

fn compiler(arch: Arch) -> Compiler {
    match arch {
        Arch::Amd64 => Compiler {
            program: "x86_64-linux-gnu-gcc",
            flags: &[],
            package: "gcc-x86-64-linux-gnu",
            headers: "usr/include/x86_64-linux-musl",
        },
        Arch::Arm64 => Compiler {
            program: "aarch64-linux-gnu-gcc",
            // Its library of atomics asks glibc what the processor can.
            flags: &["-mno-outline-atomics"],
            package: "gcc-aarch64-linux-gnu",
            headers: "usr/include/aarch64-linux-musl",
        },
    }
}

/// The compiler's name and all its flags; what is missing is installed or fetched.
///
/// # Errors
/// It can't be had here.
pub(crate) fn tools(arch: Arch) -> Result<(&'static str, String)> {
    let compiler = compiler(arch);
    packages::install_one(compiler.program, compiler.package)?;
    let own = run::words(&[compiler.program, "-print-file-name=include"])?;
    let headers = headers(arch)?.join(compiler.headers);
    // As in musl-gcc: nothing of glibc, and musl's before the compiler's own.
    let mut flags = vec!["-nostdinc".to_owned()];
    for folder in [headers.display().to_string(), own.trim().to_owned()] {
        flags.extend(["-isystem".to_owned(), folder]);
    }
    flags.extend(compiler.flags.iter().map(|flag| (*flag).to_owned()));
    Ok((compiler.program, flags.join(" ")))
}

/// The package of musl's headers, unpacked and kept: installing it would take an architecture that this system may not
/// have.
fn headers(arch: Arch) -> Result<PathBuf> {
    let folder = go_commands::cache()?.join(format!("{HEADERS}-{}", arch.name()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let absent = ["apt-get", "dpkg-deb"].iter().find(|program| !run::on_path(program));
    if let Some(program) = absent {
        anyhow::bail!("musl's headers are Debian's {HEADERS} for {}: no {program}", arch.name());
    }
    let step = Step::start(format!("fetching musl's headers for {}", arch.name()));
    let partial = folder.with_extension(format!("partial-{}", std::process::id()));
    let fetched = fetch(arch, &partial).with_context(|| format!("fetching {HEADERS}"));
    let kept = fetched.and_then(|()| match fs::rename(partial.join("unpacked"), &folder) {
        // Another process was first.
        Err(_) if folder.is_dir() => Ok(()),
        other => other.context("keeping them"),
    });
    let _ = fs::remove_dir_all(&partial);
    kept?;
    step.done();
    Ok(folder)
}

/// Downloads and unpacks the package, with apt's lists of that architecture in a folder of their own.
fn fetch(arch: Arch, folder: &Path) -> Result<()> {
    let [lists, cache] = ["lists", "cache"].map(|name| folder.join(name));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(cache.join("archives/partial"))?;
    let options = [
        format!("Dir::State::Lists={}", lists.display()),
        format!("Dir::Cache={}", cache.display()),
        format!("APT::Architecture={}", arch.name()),
        format!("APT::Architectures={}", arch.name()),
        // Its user for downloads can't write to our folder.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt = |task: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.arg("-q").args(options.iter().flat_map(|option| ["-o", option])).args(task);
        run::output(apt.current_dir(folder))
    };
    apt(&["update"])?;
    apt(&["download", HEADERS])?;
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let package = files.find(|path| path.extension() == Some("deb".as_ref()));
    let package = package.context("apt-get downloaded nothing")?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(package).arg(folder.join("unpacked"));
    run::output(&mut unpack).map(drop)
}
