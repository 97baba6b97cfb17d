//! The bundle for a bug report: files without secrets.

use crate::fetch::Facts;
use crate::redact::{redact, redact_text};
use crate::screen::{Style, screen};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::io::Write;

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path inside the bundle.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// All files, each with its secrets removed. `objects` are children and pods' logs as they were fetched.
pub fn bundle(
    facts: &Facts,
    objects: &[Value],
    logs: &[(String, String)],
    missing: &[String],
) -> Result<Vec<File>> {
    let mut files = vec![File {
        path: "status.txt".to_owned(),
        text: redact_text(&screen(facts, Style::Plain)),
    }];
    let mut cluster = serde_json::to_value(&facts.cluster)?;
    cluster["kind"] = "SpreadCluster".into();
    files.push(object_file(cluster)?);
    for pod in &facts.pods {
        let mut pod = serde_json::to_value(pod)?;
        pod["kind"] = "Pod".into();
        files.push(object_file(pod)?);
    }
    for object in objects {
        files.push(object_file(object.clone())?);
    }
    let events = redact(json!({"kind": "EventList", "items": facts.events}));
    files.push(File { path: "events.yaml".to_owned(), text: yaml(&events)? });
    for (name, text) in logs {
        files.push(File { path: format!("logs/{name}.log"), text: redact_text(text) });
    }
    let mut about = format!(
        "kubectl-spread {}\ntaken {}\n\nSecrets: their values were not asked for, and what looks like one was removed.\n",
        env!("CARGO_PKG_VERSION"),
        facts.now
    );
    for sentence in facts.missing.iter().chain(missing) {
        about += &format!("missing: {sentence}\n");
    }
    files.push(File { path: "README.txt".to_owned(), text: redact_text(&about) });
    Ok(files)
}

fn object_file(object: Value) -> Result<File> {
    let word = |value: &Value| value.as_str().unwrap_or("unnamed").to_lowercase();
    let path =
        format!("objects/{}-{}.yaml", word(&object["kind"]), word(&object["metadata"]["name"]));
    Ok(File { path, text: yaml(&redact(object))? })
}

fn yaml(value: &Value) -> Result<String> {
    serde_saphyr::to_string(value).context("an object could not be written as YAML")
}

/// Writes the files as a tar archive below one folder.
pub fn write_tar(folder: &str, files: &[File], to: impl Write) -> Result<()> {
    let mut archive = tar::Builder::new(to);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.text.len() as u64);
        header.set_mode(0o644);
        let path = format!("{folder}/{}", file.path);
        archive.append_data(&mut header, &path, file.text.as_bytes())?;
    }
    archive.finish()?;
    Ok(())
}
