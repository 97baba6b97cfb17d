//! Clusters that others brought up: of `kind`, or whatever a kubeconfig names.

use crate::kubectl::Kubectl;
use crate::product::Programs;
use crate::progress::Step;
use crate::run;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// What the contexts of `kind` begin with; the cluster's name follows.
const KIND_PREFIX: &str = "kind-";

/// Writes this checkout's images as archives, as `docker load`, `ctr images import` and `kind load image-archive` read
/// them; returns their paths.
///
/// # Errors
/// They can't be written.
pub fn write_images(folder: &Path, programs: &Programs) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    let mut archives = Vec::new();
    for image in programs.images() {
        let archive = folder.join(format!("{}.tar", image.entrypoint[0]));
        image.write(&archive)?;
        archives.push(archive);
    }
    Ok(archives)
}

/// Builds the images and puts them on the nodes of a `kind` cluster; other clusters are expected to have them.
///
/// # Errors
/// They can't be built, or `kind` refuses.
pub fn load(kubectl: &Kubectl) -> Result<()> {
    let context = kubectl.run(&["config", "current-context"])?;
    let Some(name) = context.trim().strip_prefix(KIND_PREFIX) else {
        eprintln!("  the nodes are expected to have the images: `cargo e2e images` writes them");
        return Ok(());
    };
    let programs = Programs::build()?;
    let step = Step::start(format!("loading images into kind cluster {name}"));
    let folder = std::env::temp_dir().join(format!("spread-e2e-images-{}", std::process::id()));
    let loaded = write_images(&folder, &programs).and_then(|archives| {
        for archive in archives {
            let archive = archive.display().to_string();
            run::words(&["kind", "load", "image-archive", &archive, "--name", name])?;
        }
        Ok(())
    });
    let _ = fs::remove_dir_all(&folder);
    loaded?;
    step.done();
    Ok(())
}
