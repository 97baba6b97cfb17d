//! Runs a document's commands as a reader would, in one terminal after the other.

use super::programs;
use crate::steps::root;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends what hangs; building Kubernetes for the first time is the longest.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// What a process that was asked to end may take.
const END: Duration = Duration::from_secs(30);
/// What a command tells its reader to type in his shell.
const EXPORT: &str = "export ";

/// Commands of one document. What stays is asked to end, as by Ctrl-C, when the document ends.
pub struct Session {
    /// What a command before said that its reader should type, and the reader's PATH.
    prelude: Vec<String>,
    folder: PathBuf,
    stays: Vec<(String, Child)>,
    count: usize,
}

impl Session {
    /// `path` is what stands first in the reader's PATH.
    pub fn new(path: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("spread-docs-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let prelude = vec![format!("{EXPORT}PATH={path}:$PATH")];
        Ok(Self { prelude, folder, stays: Vec::new(), count: 0 })
    }

    /// Runs a command to its end, without anybody who types.
    pub fn run(&mut self, command: &str) -> Result<()> {
        let start = Instant::now();
        let (mut child, output) = self.start(command)?;
        let deadline = start + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                let _ = interrupt(&mut child);
                bail!("`{command}` does not end:\n{}", read(&output));
            }
            std::thread::sleep(INTERVAL);
        };
        let said = read(&output);
        ensure!(status.success(), "`{command}` ended with {status}:\n{said}");
        eprintln!("    {:6.1} s  {command}", start.elapsed().as_secs_f64());
        // Those of a shell of its own only: text may speak of it.
        let exports = said.lines().map(str::trim).filter(|line| line.starts_with(EXPORT));
        self.prelude.extend(exports.map(str::to_owned));
        Ok(())
    }

    /// Starts a command that stays, and waits until it says something.
    pub fn stays(&mut self, command: &str, until: &str) -> Result<()> {
        let start = Instant::now();
        let (mut child, output) = self.start(command)?;
        while !read(&output).contains(until) {
            if let Some(status) = child.try_wait()? {
                bail!("`{command}` ended with {status} and should stay:\n{}", read(&output));
            }
            if start.elapsed() > PATIENCE {
                let _ = interrupt(&mut child);
                bail!("`{command}` never says `{until}`:\n{}", read(&output));
            }
            std::thread::sleep(INTERVAL);
        }
        eprintln!("    {:6.1} s  {command}   (stays)", start.elapsed().as_secs_f64());
        self.stays.push((command.to_owned(), child));
        Ok(())
    }

    /// Ends what stays; each has to end well.
    pub fn end(mut self) -> Result<()> {
        while let Some((command, mut child)) = self.stays.pop() {
            let status = interrupt(&mut child)
                .with_context(|| format!("`{command}` does not end after Ctrl-C"))?;
            ensure!(status, "`{command}` did not end well after Ctrl-C");
        }
        Ok(())
    }

    fn start(&mut self, command: &str) -> Result<(Child, PathBuf)> {
        self.count += 1;
        let output = self.folder.join(format!("{}.log", self.count));
        let log = File::create(&output)?;
        let script = format!("{}\n{}", self.prelude.join("\n"), programs::in_target(command));
        // A process group of its own is what Ctrl-C would reach.
        let child = Command::new("bash")
            .args(["-ec", &script])
            .process_group(0)
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("`{command}` could not be started"))?;
        Ok((child, output))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for (_, child) in &mut self.stays {
            let _ = interrupt(child);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn read(output: &Path) -> String {
    String::from_utf8_lossy(&fs::read(output).unwrap_or_default()).into_owned()
}

/// What Ctrl-C does, and after a while what nobody survives. Whether it ended well.
fn interrupt(child: &mut Child) -> Result<bool> {
    let group = |signal: &str| {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args([signal, "--", &group]).status();
    };
    group("-INT");
    let deadline = Instant::now() + END;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("it was killed after {END:?}");
        }
        std::thread::sleep(INTERVAL);
    }
}
