//! Files that tell a client where the API server is and who it is.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::fs;
use std::path::Path;

/// Writes a kubeconfig (JSON is YAML, too) that holds its certificates, so that it may be copied.
pub(crate) fn write(file: &Path, server: &str, pki: &Path, user: &str) -> Result<()> {
    let inline = |name: String| Ok::<_, anyhow::Error>(STANDARD.encode(fs::read(pki.join(name))?));
    let cluster = json!({"server": server, "certificate-authority-data": inline("ca.crt".into())?});
    let who = json!({
        "client-certificate-data": inline(format!("{user}.crt"))?,
        "client-key-data": inline(format!("{user}.key"))?,
    });
    let text = serde_json::to_string_pretty(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "spread-e2e", "cluster": cluster}],
        "users": [{"name": user, "user": who}],
        "contexts": [{"name": "spread-e2e", "context": {"cluster": "spread-e2e", "user": user}}],
        "current-context": "spread-e2e",
    }))?;
    fs::write(file, text)?;
    Ok(())
}
