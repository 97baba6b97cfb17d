//! The wall around the pure crates.
//!
//! Pure means: time, bytes and facts come in, outputs go out. That is what lets one seed replay a whole
//! cluster, so it is checked twice: no IO crate in the dependency tree, and no clock, net, thread, file
//! system, environment or hash-map order in the source. The check then proves itself on planted
//! violations: a wall nobody has run into is not known to stand.

use crate::steps::{cargo, root};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Package name and folder of every pure crate.
const PURE: &[(&str, &str)] = &[
    ("spread-wire", "daemon/wire"),
    ("spread-conf", "daemon/conf"),
    ("spread-seal", "daemon/seal"),
    ("spread-ring", "daemon/ring"),
    ("spread-engine", "daemon/engine"),
    ("spread-front", "daemon/front"),
    ("spread-sim", "daemon/sim"),
    ("spread-operator-api", "operator/api"),
    ("spread-plan", "operator/plan"),
];

/// Crates that reach the outside world.
const IO_CRATES: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rustix",
    "nix",
    "quinn-udp",
    "hyper",
    "axum",
    "reqwest",
    "async-std",
    "smol",
    "polling",
    "kube-client",
    "notify",
];

/// Crates whose *binary* shows progress or takes arguments; allowed below `spread-sim` only.
const ALLOWED_IN_SIM_BINARY: &[&str] = &["rustix"];

/// What the source may not name: the text and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::time::Instant", "reads a clock"),
    ("SystemTime", "reads a clock"),
    ("std::net", "is IO (core::net has the address types)"),
    ("std::thread", "is a thread"),
    ("thread_local!", "is a thread's state"),
    ("std::fs", "is the file system"),
    ("std::env", "is the environment"),
    ("std::process", "is a process"),
    ("std::os", "is the operating system"),
    ("HashMap", "has an order of its own at each run"),
    ("HashSet", "has an order of its own at each run"),
    ("RandomState", "is process-wide randomness"),
    ("getrandom", "is process-wide randomness"),
    ("tokio::", "is a runtime"),
];

/// Names that a braced import from `std` may not bring in.
const FORBIDDEN_IN_BRACES: &[&str] =
    &["net", "thread", "fs", "env", "process", "os", "Instant", "SystemTime", "HashMap", "HashSet"];

/// Runs the whole check.
pub fn run() -> Result<()> {
    for (package, folder) in PURE {
        check_tree(package, &tree(&root().join("Cargo.toml"), package)?)?;
        check_sources(&root().join(folder).join("src"))?;
    }
    eprintln!("{} pure crates: dependency trees and sources are clean", PURE.len());
    planted_source()?;
    planted_dependency()
}

/// The names in a package's tree of normal dependencies.
fn tree(manifest: &Path, package: &str) -> Result<Vec<String>> {
    let output = cargo(&["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", package, "--manifest-path"])
        .arg(manifest)
        .output()?;
    ensure!(
        output.status.success(),
        "cargo tree of {package}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

fn check_tree(package: &str, names: &[String]) -> Result<()> {
    for name in names {
        if package == "spread-sim" && ALLOWED_IN_SIM_BINARY.contains(&name.as_str()) {
            continue;
        }
        if IO_CRATES.contains(&name.as_str()) {
            bail!("{package} is pure but depends on {name}: move the IO to a binary");
        }
    }
    Ok(())
}

fn check_sources(folder: &Path) -> Result<()> {
    for file in sources(folder)? {
        let text = fs::read_to_string(&file)?;
        if let Some(found) = violation(&text) {
            bail!("{}: {found}", file.display());
        }
    }
    Ok(())
}

/// All Rust files below a folder, except binaries (`src/bin`), which are the edge.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "bin") {
                found.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The first forbidden name outside comments, with its line.
fn violation(text: &str) -> Option<String> {
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (name, why) in FORBIDDEN {
            if names(code, name) {
                return Some(format!("line {}: `{name}` {why}", index + 1));
            }
        }
    }
    braced_imports(text)
}

/// Whether `code` holds `name` as a whole word (`std::net` does not match `std::network`).
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let before = code[..at].chars().next_back().is_some_and(word);
        let after = code[at + name.len()..].chars().next().is_some_and(word);
        !before && (!after || name.ends_with(':') || name.ends_with('!'))
    })
}

/// `use std::{…}` may spread over lines and hide what the line check looks for.
fn braced_imports(text: &str) -> Option<String> {
    for (at, _) in text.match_indices("use std::") {
        let statement = text[at..].split(';').next().unwrap_or_default();
        let Some((_, braces)) = statement.split_once('{') else { continue };
        for name in FORBIDDEN_IN_BRACES {
            if names(braces, name) {
                let line = text[..at].lines().count() + 1;
                return Some(format!("line {line}: `{name}` in a braced import"));
            }
        }
    }
    None
}

/// Copies a pure crate's source, plants each violation in turn, and wants each one found.
fn planted_source() -> Result<()> {
    let folder = scratch("source")?;
    let real = root().join("daemon/ring/src/lib.rs");
    let clean = fs::read_to_string(&real)?;
    let planted = folder.join("lib.rs");
    let lines = [
        "use std::time::Instant;",
        "use std::time::{Duration, Instant};",
        "use std::{\n    fs,\n    io,\n};",
        "fn now() -> u64 { std::time::SystemTime::now().elapsed().map_or(0, |d| d.as_secs()) }",
        "use std::collections::{BTreeMap, HashMap};",
        "fn name() -> Option<String> { std::env::var(\"NAME\").ok() }",
        "fn run() { std::thread::yield_now(); }",
        "use std::net::UdpSocket;",
    ];
    for line in lines {
        fs::write(&planted, format!("{clean}\n{line}\n"))?;
        ensure!(check_sources(&folder).is_err(), "the planted line was not found: {line}");
    }
    fs::write(&planted, clean)?;
    check_sources(&folder).context("the copy without a planted line must pass")?;
    fs::remove_dir_all(&folder)?;
    eprintln!("{} planted lines found", lines.len());
    Ok(())
}

/// Builds a crate that depends on a pure crate and on tokio, and wants its tree refused.
fn planted_dependency() -> Result<()> {
    let folder = scratch("dependency")?;
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"planted\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\ntokio = \"1\"\n",
    )?;
    let names = tree(&folder.join("Cargo.toml"), "planted")?;
    ensure!(names.iter().any(|name| name == "tokio"), "the planted tree has no tokio: {names:?}");
    ensure!(check_tree("planted", &names).is_err(), "the planted dependency was not found");
    fs::remove_dir_all(&folder)?;
    eprintln!("the planted dependency was found");
    Ok(())
}

fn scratch(name: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("spread-purity-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod purity_tests {
    use super::*;

    #[test]
    fn comments_and_longer_words_are_no_violation() {
        assert_eq!(violation("// std::fs is not used here\nstruct MyHashMapLike;\n"), None);
        assert_eq!(
            violation("use core::net::SocketAddr;\nuse spread_wire::time::Instant;\n"),
            None
        );
    }

    #[test]
    fn a_braced_import_over_lines_is_found() {
        let text = "use std::{\n    collections::BTreeMap,\n    net::IpAddr,\n};\n";
        assert!(violation(text).is_some());
    }

    #[test]
    fn an_io_crate_in_the_tree_is_found() {
        assert!(check_tree("x", &["bytes".into(), "mio".into()]).is_err());
        assert!(check_tree("x", &["bytes".into(), "thiserror".into()]).is_ok());
    }
}
