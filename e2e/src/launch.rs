//! Programs that go on running: as children of this process, or on their own inside a cluster.

use crate::cgroups::Cgroups;
use crate::run;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How a program is started and looked at.
pub(crate) trait Launch {
    /// Starts a program under a name of ours; what it says goes to `NAME.log`.
    fn launch(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<()>;
    /// Whether it still runs.
    fn runs(&mut self, name: &str) -> bool;
    /// Where its log is.
    fn log(&self, name: &str) -> PathBuf;

    /// Waits for `ready`, but not longer than the program lives.
    fn wait(&mut self, name: &str, mut ready: impl FnMut() -> bool) -> Result<()>
    where
        Self: Sized,
    {
        /// Far more than the slowest takes on a busy machine.
        const TIMEOUT: Duration = Duration::from_secs(120);
        let deadline = Instant::now() + TIMEOUT;
        while !ready() {
            let log = self.log(name);
            if !self.runs(name) {
                bail!("{name} ended; the end of {}:\n{}", log.display(), run::log_end(&log));
            }
            if Instant::now() > deadline {
                bail!("{name} is not ready after {TIMEOUT:?}:\n{}", run::log_end(&log));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// Children that the kernel ends with the thread that started them, so that nothing outlives a killed test.
pub(crate) struct Children {
    folder: PathBuf,
    running: Vec<(String, Child)>,
}

impl Children {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), running: Vec::new() }
    }

    /// Ends one of them.
    pub(crate) fn stop(&mut self, name: &str) {
        self.running.retain_mut(|(other, child)| {
            if other == name {
                let _ = child.kill();
                let _ = child.wait();
            }
            other != name
        });
    }
}

impl Launch for Children {
    fn launch(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log(name))?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        self.running.push((name.to_owned(), child));
        Ok(())
    }

    fn runs(&mut self, name: &str) -> bool {
        self.running
            .iter_mut()
            .any(|(other, child)| other == name && matches!(child.try_wait(), Ok(None)))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

impl Drop for Children {
    /// Last started, first ended: the API server lingers without its store.
    fn drop(&mut self) {
        while let Some((_, mut child)) = self.running.pop() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Programs in a network namespace and a cgroup each: the cgroup finds them and all that they start again.
pub(crate) struct Services<'a> {
    pub(crate) logs: &'a Path,
    pub(crate) cgroups: &'a Cgroups,
    /// Network namespace; `None`: the machine's own.
    pub(crate) namespace: Option<String>,
}

impl Launch for Services<'_> {
    fn launch(&mut self, name: &str, program: &Path, arguments: &[String]) -> Result<()> {
        let groups = self.cgroups.service(name)?;
        let enlist: String = groups
            .iter()
            .map(|group| format!("echo $$ > {}/cgroup.procs && ", group.display()))
            .collect();
        fs::create_dir_all(self.logs)?;
        let log = File::options().create(true).append(true).open(self.log(name))?;
        // `ip netns exec` would mount a fresh /sys and hide the cgroups.
        let enter = match &self.namespace {
            Some(namespace) => format!("exec nsenter --net=/run/netns/{namespace} setsid \"$@\""),
            None => "exec setsid \"$@\"".to_owned(),
        };
        // The shell forks, so that the service is nobody's child who would have to wait for it.
        let script = format!("{enlist}{{ {enter} & }}");
        let status = Command::new("sh")
            .args(["-c", &script, name])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir("/")
            .status()
            .with_context(|| format!("{} could not be started", program.display()))?;
        anyhow::ensure!(
            status.success(),
            "{name} could not be started: {}",
            run::log_end(&self.log(name))
        );
        Ok(())
    }

    fn runs(&mut self, name: &str) -> bool {
        !self.cgroups.service_processes(name).is_empty()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}
