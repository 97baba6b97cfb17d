//! `daemon/sim/examples/hot_path.rs` under valgrind: what a message takes in whole daemons without sockets and clock, the same in every run.

use crate::steps::{cargo, check, root};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Messages of the two runs: what they do not have in common is messages alone, without the start.
const MESSAGES: [u64; 2] = [2_400, 4_800];

/// Why nothing can be counted here.
pub fn missing() -> Option<String> {
    let found = Command::new("valgrind").arg("--version").output();
    match found.is_ok_and(|output| output.status.success()) {
        true => None,
        false => Some("valgrind is not there: install it".to_owned()),
    }
}

/// The example, built as the simulator's tests are.
pub struct HotPath(PathBuf);

impl HotPath {
    /// Builds it.
    ///
    /// # Errors
    /// It does not compile.
    pub fn build() -> Result<Self> {
        let example =
            ["--locked", "--profile", "quick", "-p", "spread-sim", "--example", "hot_path"];
        check(cargo(&["build", "--quiet"]).args(example))?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), PathBuf::from);
        Ok(Self(target.join("quick/examples/hot_path")))
    }

    /// Instructions for a message, all its deliveries together.
    ///
    /// # Errors
    /// valgrind does not run, or counts nothing.
    pub fn instructions(&self, options: &[&str]) -> Result<f64> {
        let tool = ["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];
        self.for_a_message(&tool, "refs:", options)
    }

    /// Bytes that are copied for a message, all its deliveries together: by the C library's functions, so not the few that are moved in
    /// registers.
    ///
    /// # Errors
    /// valgrind does not run, or counts nothing.
    pub fn copied_bytes(&self, options: &[&str]) -> Result<f64> {
        let tool = ["--tool=dhat", "--mode=copy", "--dhat-out-file=/dev/null"];
        self.for_a_message(&tool, "Total:", options)
    }

    /// The figure behind a word that a tool says, for one message.
    fn for_a_message(&self, tool: &[&str], word: &str, options: &[&str]) -> Result<f64> {
        let [few, many] = MESSAGES.map(|messages| self.count(tool, word, options, messages));
        let difference = many?.checked_sub(few?).context("more messages took less")?;
        Ok(difference as f64 / (MESSAGES[1] - MESSAGES[0]) as f64)
    }

    fn count(&self, tool: &[&str], word: &str, options: &[&str], messages: u64) -> Result<u64> {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(tool).arg(&self.0).args(options).arg(format!("--messages={messages}"));
        let output = valgrind.output().context("valgrind could not be started")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{valgrind:?} ended with {}:\n{said}", output.status);
        let line = said.lines().find_map(|line| line.split_once(word));
        let (_, figure) = line.with_context(|| format!("valgrind counts nothing:\n{said}"))?;
        let figure = figure.split_whitespace().next().unwrap_or_default().replace(',', "");
        figure.parse().with_context(|| format!("no figure: {figure}"))
    }
}
