//! The ring's key file, read again whenever it changes: that is how keys are rotated.

use anyhow::{Context as _, Result, bail};
use spread_seal::{Key, parse_keys};
use std::fs;
use std::path::{Path, PathBuf};

/// A key file and what it said last.
pub(crate) struct KeyFile {
    path: PathBuf,
    text: String,
}

impl KeyFile {
    /// Reads the file for the first time.
    pub(crate) fn read(path: &Path) -> Result<(Self, Vec<Key>)> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("the ring's keys can't be read from {}", path.display()))?;
        let keys = keys(path, &text)?;
        Ok((Self { path: path.to_owned(), text }, keys))
    }

    /// The keys, if the file says something new. What is wrong with it is said once; the keys held stay.
    pub(crate) fn changed(&mut self) -> Option<Vec<Key>> {
        // A file that is being replaced is there again at the next look.
        let text = fs::read_to_string(&self.path).ok()?;
        if text == self.text {
            return None;
        }
        self.text = text;
        match keys(&self.path, &self.text) {
            Ok(keys) => Some(keys),
            Err(error) => {
                tracing::error!("the keys stay as they were: {error:#}");
                None
            }
        }
    }
}

fn keys(path: &Path, text: &str) -> Result<Vec<Key>> {
    let keys = parse_keys(text).with_context(|| path.display().to_string())?;
    if keys.is_empty() {
        bail!("{} has no key: write `1 ` and 64 hexadecimal digits", path.display());
    }
    Ok(keys)
}
