//! What the charts are checked with: rendered manifests against the types of the Kubernetes API, and pods against the
//! restricted profile. The checks themselves are tests of this package.

mod monitoring;
mod restricted;
mod typed;

pub use restricted::restricted;
pub use typed::validate;

use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::PathBuf;

/// A file of the checkout.
#[must_use]
pub fn checkout(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file of the checkout.
///
/// # Errors
/// It can't be read.
pub fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(checkout(path)).with_context(|| format!("{path} can't be read"))
}

/// The documents of a YAML text; empty ones are left out.
///
/// # Errors
/// One of them is no YAML.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let split = text.split("\n---");
    let kept = split.map(|part| part.strip_prefix("---").unwrap_or(part));
    let parsed = kept.map(|part| {
        serde_saphyr::from_str::<Option<Value>>(part).with_context(|| format!("no YAML:\n{part}"))
    });
    let all: Vec<Option<Value>> = parsed.collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().filter(|value| !value.is_null()).collect())
}
