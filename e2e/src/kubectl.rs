//! kubectl, the one of the cluster's version, with the cluster's administrator.

use crate::go_commands::{self, Module};
use crate::run;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks while waiting. Each starts kubectl, which takes a tenth of a second of a processor that what is
/// waited for needs, too.
const INTERVAL: Duration = Duration::from_millis(500);

/// Talks to one API server.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// With any cluster's kubeconfig; builds kubectl if need be.
    ///
    /// # Errors
    /// kubectl can't be built.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        let program = go_commands::command(Module::Kubernetes, "kubectl")?;
        Ok(Self { program, kubeconfig: kubeconfig.to_owned() })
    }

    /// The program's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The kubeconfig's path.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A command that is ready for more arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    /// Runs kubectl and returns what it wrote.
    ///
    /// # Errors
    /// kubectl ended with an error; what it said is part of it.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        run::output(&mut self.command(arguments))
    }

    /// Applies manifests (YAML or JSON) by server-side apply.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn apply(&self, manifest: &str) -> Result<String> {
        let mut command =
            self.command(&["apply", "--server-side", "--force-conflicts", "--filename=-"]);
        let shown = run::show(&command);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().context("kubectl could not be started")?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(manifest.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`{shown}` ended with {}: {}", output.status, said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// An object or list as JSON.
    ///
    /// # Errors
    /// As [`Kubectl::run`].
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get", "--output=json"], arguments].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until `until` gives something. Its errors count as "not yet".
    ///
    /// # Errors
    /// Nothing came in time; the last error is told.
    pub fn wait<T>(
        &self,
        what: &str,
        timeout: Duration,
        until: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut until = until;
        let deadline = Instant::now() + timeout;
        loop {
            let last = match until(self) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if Instant::now() > deadline {
                match last {
                    Some(error) => {
                        return Err(error.context(format!("waited {timeout:?} for {what}")));
                    }
                    None => bail!("waited {timeout:?} for {what}"),
                }
            }
            std::thread::sleep(INTERVAL);
        }
    }
}
