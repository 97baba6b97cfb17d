//! What a cluster is made with, and where it is kept.

use crate::addresses::Family;
use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of all clusters.
const FOLDER: &str = "/var/lib/spread-e2e";
/// What a cluster was made with, inside its folder.
const OPTIONS: &str = "options.json";
/// Most nodes of a cluster.
pub const NODES_MAX: usize = 3;

/// What a cluster is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    /// Name, lowercase letters and digits; clusters of different names stand side by side.
    pub name: String,
    /// Nodes, 1 to [`NODES_MAX`].
    pub nodes: usize,
    /// Address families.
    pub family: Family,
}

impl Options {
    /// Whether such a cluster can be.
    pub(crate) fn check(&self) -> Result<()> {
        const NAME_BYTES: usize = 12;
        let right =
            self.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        ensure!(
            right && (1..=NAME_BYTES).contains(&self.name.len()),
            "`{}` can't name a cluster: write 1 to {NAME_BYTES} lowercase letters and digits",
            self.name
        );
        ensure!(
            (1..=NODES_MAX).contains(&self.nodes),
            "{} nodes can't be had: choose 1 to {NODES_MAX}",
            self.nodes
        );
        Ok(())
    }

    /// Where everything of it is.
    pub(crate) fn folder(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    /// Those of a cluster that is there.
    pub(crate) fn read(name: &str) -> Result<Self> {
        let file = Path::new(FOLDER).join(name).join(OPTIONS);
        let text = fs::read_to_string(&file).with_context(|| {
            format!("there is no cluster {name}: `cargo e2e up --name {name}` makes it")
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} can't be read", file.display()))
    }

    /// Keeps them for [`Options::read`].
    pub(crate) fn write(&self) -> Result<()> {
        let file = self.folder().join(OPTIONS);
        let text = serde_json::to_string_pretty(self)?;
        fs::write(&file, text).with_context(|| format!("{} can't be written", file.display()))
    }

    /// The names of clusters on this machine.
    pub(crate) fn names() -> Vec<String> {
        let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_that_can_be() {
        let with =
            |name: &str, nodes| Options { name: name.to_owned(), nodes, family: Family::Ipv4 };
        assert!(with("big2", NODES_MAX).check().is_ok());
        for wrong in ["", "Big", "a-1", "../x", "thirteenchars"] {
            assert!(with(wrong, 1).check().is_err(), "{wrong}");
        }
        assert!(with("big", 0).check().is_err());
        assert!(with("big", NODES_MAX + 1).check().is_err());
    }
}
