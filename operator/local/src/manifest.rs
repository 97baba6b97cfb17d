//! The manifest: read, and refused with the place of the fault.

use anyhow::{Context, Result, bail};
use spread_operator_api::{GROUP, SpreadCluster, VERSION, Violation, validate, validate_new};
use std::fs;
use std::path::Path;

/// Largest manifest in bytes.
const MANIFEST_MAX_BYTES: u64 = 1 << 20;

/// Reads a manifest of a cluster that is to be made.
pub fn read_new(file: &Path) -> Result<SpreadCluster> {
    let cluster = read(file)?;
    refuse(&validate_new(&cluster), &file.display().to_string())?;
    Ok(cluster)
}

/// Reads a manifest that breaks no rule.
pub fn read(file: &Path) -> Result<SpreadCluster> {
    let name = file.display();
    let size = fs::metadata(file).with_context(|| format!("{name}: cannot be read"))?.len();
    if size > MANIFEST_MAX_BYTES {
        bail!("{name}: has {size} bytes; a manifest has at most {MANIFEST_MAX_BYTES}");
    }
    let text = fs::read_to_string(file).with_context(|| format!("{name}: cannot be read"))?;
    parse(&text, &name.to_string())
}

fn parse(text: &str, name: &str) -> Result<SpreadCluster> {
    let head: serde_json::Value = from_yaml(text, name)?;
    let (version, kind) = (format!("{GROUP}/{VERSION}"), "SpreadCluster");
    if head["apiVersion"] != version || head["kind"] != kind {
        bail!("{name}:1:1: not a SpreadCluster: write apiVersion: {version} and kind: {kind}");
    }
    let cluster: SpreadCluster = from_yaml(text, name)?;
    refuse(&validate(&cluster), name)?;
    Ok(cluster)
}

fn refuse(violations: &[Violation], name: &str) -> Result<()> {
    if violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        violations.iter().map(|violation| format!("{name}: {violation}")).collect();
    bail!("{}", lines.join("\n"));
}

fn from_yaml<T: serde::de::DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, column) =
            error.location().map_or((1, 1), |place| (place.line(), place.column()));
        anyhow::anyhow!("{name}:{line}:{column}: {error}")
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    const HEAD: &str = "apiVersion: spread-operator.dev/v1alpha1\nkind: SpreadCluster\n";

    #[test]
    fn a_misspelt_field_is_shown_with_its_place() {
        let text = format!("{HEAD}metadata: {{name: a}}\nspec:\n  replica: 3\n");
        let error = parse(&text, "a.yaml").unwrap_err().to_string();
        assert!(error.starts_with("a.yaml:5:3:") && error.contains("replica"), "{error}");
    }

    #[test]
    fn a_broken_rule_is_shown_with_its_field_and_remedy() {
        let text = format!("{HEAD}metadata: {{name: a}}\nspec: {{replicas: 70}}\n");
        let error = parse(&text, "a.yaml").unwrap_err().to_string();
        assert!(error.contains("spec.replicas") && error.contains("raise slots.max"), "{error}");
    }

    #[test]
    fn another_kind_is_refused() {
        let error = parse("apiVersion: v1\nkind: Pod\n", "a.yaml").unwrap_err().to_string();
        assert!(error.contains("not a SpreadCluster"), "{error}");
    }
}
