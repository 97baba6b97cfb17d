//! The folder of one run: configuration, key, sockets, logs. It goes when the run ends.

use anyhow::{Context, Result};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes of a ring's key.
const KEY_BYTES: usize = 32;

/// A private folder that is removed when dropped.
pub struct RunDir {
    path: PathBuf,
    keep: bool,
}

impl RunDir {
    /// Makes the folder; an existing one is refused, because it would be removed at the end.
    pub fn create(path: Option<&Path>, keep: bool) -> Result<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("spread-local-{}", std::process::id())),
        };
        DirBuilder::new().mode(0o700).create(&path).with_context(|| {
            format!("{}: cannot be made: name a folder that does not exist", path.display())
        })?;
        let path = path.canonicalize()?;
        Ok(Self { path, keep })
    }

    /// A file's path in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the ring's key, readable by its owner only.
    pub fn write_key(&self) -> Result<PathBuf> {
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.file("ring.key");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "1 {digits}")?;
        Ok(path)
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            eprintln!("{} stays behind: {error}", self.path.display());
        }
    }
}
