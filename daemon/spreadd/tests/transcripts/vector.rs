//! A transcript as its file has it.

use serde_json::Value;
use std::path::PathBuf;

/// A transcript.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl Vector {
    pub(crate) fn load(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json")))
            .expect("the transcript is there");
        Self {
            name: name.to_owned(),
            value: serde_json::from_str(&text).expect("the transcript is JSON"),
        }
    }

    pub(crate) fn daemons(&self) -> Vec<String> {
        let daemons = self.value["daemons"].as_array().expect("a list of daemons");
        daemons.iter().map(|daemon| text(&daemon["name"])).collect()
    }

    pub(crate) fn config(&self) -> Vec<String> {
        self.value["config"].as_array().expect("lines").iter().map(text).collect()
    }

    /// Further files: name and content.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let Some(files) = self.value["files"].as_object() else { return Vec::new() };
        let lines = |lines: &Value| {
            lines.as_array().map(|all| all.iter().map(text).collect::<Vec<_>>().join("\n"))
        };
        files
            .iter()
            .map(|(name, content)| (name.clone(), lines(content).unwrap_or_default() + "\n"))
            .collect()
    }

    /// Daemon and transport of a client.
    pub(crate) fn client(&self, index: u64) -> (String, bool) {
        let clients = self.value["clients"].as_array().expect("a list of clients");
        let client = clients
            .iter()
            .find(|client| client["client"].as_u64() == Some(index))
            .expect("a listed client");
        (text(&client["daemon"]), client["transport"] == "unix")
    }

    pub(crate) fn steps(&self) -> &[Value] {
        self.value["steps"].as_array().expect("a list of steps")
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The bytes of a data step, with its fill.
pub(crate) fn bytes(step: &Value) -> Vec<u8> {
    let hex = step["bytes"].as_str().unwrap_or_default();
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    let mut bytes: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
    if let Some(length) = step["fill"]["len"].as_u64() {
        bytes.extend((0..length).map(|index| (index % 251) as u8));
    }
    bytes
}

/// Ranges that are not compared.
pub(crate) fn masked(step: &Value) -> Vec<(usize, usize)> {
    let ranges = |name: &str| step[name].as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().expect("a number") as usize;
    ranges("mask")
        .iter()
        .chain(&ranges("impl"))
        .map(|range| (number(&range[0]), number(&range[1])))
        .collect()
}

/// Where the id of a view stands in a membership message.
pub(crate) fn id_offset(message: &[u8]) -> usize {
    let groups = u32::from_le_bytes(message[36..40].try_into().expect("four bytes")) as usize;
    48 + 32 * groups
}
