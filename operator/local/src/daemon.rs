//! One slot's process.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;
use tokio::process::{Child, Command};

/// A daemon that runs.
pub struct Daemon {
    child: Child,
    /// When it was started.
    pub started: Instant,
    /// Whether it was asked to leave.
    pub leaving: bool,
    /// Whether it was seen in a configuration with all daemons that run.
    pub in_ring: bool,
}

impl Daemon {
    /// Starts the daemon of a slot; what it says goes to a log file.
    pub fn start(program: &Path, config: &Path, name: &str, log: &Path) -> Result<Self> {
        let log_file = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(config)
            .args(["-n", name])
            // Even if we are killed, no daemon stays behind.
            .arg("--exit-with-parent")
            .stdin(Stdio::null())
            .stdout(log_file.try_clone()?)
            .stderr(log_file)
            // Ctrl-C goes to us only: daemons leave when we ask them, in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{}: cannot be started", program.display()))?;
        Ok(Self { child, started: Instant::now(), leaving: false, in_ring: false })
    }

    /// Asks it to leave in order.
    pub fn leave(&mut self) {
        self.leaving = true;
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // An error says that it ended by itself, which the next look at it finds.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// How it ended, once it has.
    pub fn ended(&mut self) -> Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| status.to_string()))
    }

    /// Ends it at once, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
