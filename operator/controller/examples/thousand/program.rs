//! The operator as a process: started, looked at, ended.

use anyhow::{Context as _, Result, ensure};
use spread_e2e::ControlPlane;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where it serves its metrics, in this program's own network.
const METRICS: &str = "127.0.0.1:8080";
/// Ticks of a second in `/proc`.
const TICKS: f64 = 100.0;
/// Longest time to end.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// A running operator; killed when dropped.
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts it with its usual options.
    pub fn start(program: &Path, plane: &ControlPlane) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(plane.folder().join("spread-operator.log"))?;
        // Killed with this program, however that ends.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(["--listen", METRICS, "--daemon-image", "spreadd:1"])
            .env("KUBECONFIG", plane.kubeconfig())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        Ok(Self { child })
    }

    fn status(&self, field: &str) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find(|line| line.starts_with(field)).context("it has ended")?;
        let kib = line.split_whitespace().nth(1).context("no number")?;
        Ok(kib.parse::<u64>()? / 1024)
    }

    /// Memory now.
    pub fn resident_mib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Most memory so far.
    pub fn highest_mib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// CPU time so far.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let behind_name = text.rsplit(") ").next().context("no fields")?;
        let fields: Vec<&str> = behind_name.split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        Ok((ticks(11).context("no time")? + ticks(12).context("no time")?) / TICKS)
    }

    /// Waits until it has made so many passes over objects.
    pub async fn wait_passes(&self, passes: usize, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let made = metric("spread_operator_reconciles_total").await.unwrap_or(0.0);
            if made >= passes as f64 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it made {made} passes of {passes}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until it has figures of so many clusters: it has them once all daemons of a cluster were asked.
    pub async fn wait_told(&self, clusters: usize, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let text = metrics().await.unwrap_or_default();
            let told = text.lines().filter(|line| line.starts_with("spread_operator_members{"));
            let told = told.count();
            if told >= clusters {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "it knows {told} clusters of {clusters}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Writes to the API server so far.
    pub async fn writes(&self) -> Result<f64> {
        metric("spread_operator_writes_total").await
    }

    /// Questions to daemons so far.
    pub async fn polls(&self) -> Result<f64> {
        metric("spread_operator_polls_total").await
    }

    /// Asks it to end, and waits.
    pub async fn end(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").arg(&id).status()?;
        let deadline = Instant::now() + END_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "it does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A metric without labels.
async fn metric(name: &str) -> Result<f64> {
    let text = metrics().await?;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.split(' ').nth(1)).context("no such metric")?;
    Ok(value.parse()?)
}

/// All metrics.
async fn metrics() -> Result<String> {
    let mut stream = TcpStream::connect(METRICS).await?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}
