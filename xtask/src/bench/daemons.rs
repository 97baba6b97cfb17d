//! Daemons in namespaces, and the clients that load them.

use super::cpu;
use super::netns::Network;
use crate::steps::{cargo, check, root};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// First client port; daemon *i* listens on `PORT + 10 i`.
const PORT: usize = 4803;

/// The programs to measure with, and how.
#[derive(clap::Args)]
pub struct Options {
    /// Folder with spreadd and spread-flood; without it they are built (release).
    #[arg(long, value_name = "FOLDER")]
    bin: Option<PathBuf>,
    /// Command line of a daemon, with {bin}, {conf} and {name} to fill in: for daemons of others.
    #[arg(long, default_value = OURS)]
    daemon: String,
    /// Ring packets in clear text, as in the original.
    #[arg(long)]
    no_encryption: bool,
}

/// Where a daemon of ours answers administrators, inside its namespace.
const ADMIN: &str = "127.0.0.1:4805";
/// The command line of a daemon of ours.
const OURS: &str = "{bin}/spreadd -c {conf} -n {name}";

/// The programs to measure with.
#[derive(Clone)]
pub struct Binaries {
    folder: PathBuf,
    daemon: String,
    /// Whether ring packets are sealed.
    pub encryption: bool,
}

impl Binaries {
    /// Builds them, unless a folder was named.
    pub fn find(options: &Options) -> Result<Self> {
        let folder = match &options.bin {
            Some(folder) => folder.clone(),
            None => {
                let build =
                    ["build", "--locked", "--release", "-p", "spreadd", "-p", "spread-tools"];
                check(&mut cargo(&build))?;
                let target = std::env::var_os("CARGO_TARGET_DIR");
                target.map_or_else(|| root().join("target"), PathBuf::from).join("release")
            }
        };
        let flood = folder.join("spread-flood");
        ensure!(flood.is_file(), "{} is missing", flood.display());
        let daemon = options.daemon.clone();
        Ok(Self { folder, daemon, encryption: !options.no_encryption })
    }

    /// The same with ring packets sealed, unless that was switched off, or in clear text.
    pub fn sealing(&self, sealed: bool) -> Self {
        Self { encryption: self.encryption && sealed, ..self.clone() }
    }
}

/// A cluster under measurement: namespaces, configuration, running daemons. All gone when dropped.
pub struct Cluster<'a> {
    binaries: &'a Binaries,
    network: Network,
    folder: PathBuf,
    running: Vec<Option<Child>>,
}

impl<'a> Cluster<'a> {
    /// Namespaces and a configuration with `slots` slots; nothing runs yet.
    pub fn new(binaries: &'a Binaries, slots: usize) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("spread-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let cluster = Self {
            binaries,
            network: Network::new(slots)?,
            folder,
            running: (0..slots).map(|_| None).collect(),
        };
        fs::write(cluster.conf(), cluster.configuration(slots))?;
        if binaries.encryption {
            fs::write(cluster.folder.join("ring.key"), format!("1 {}\n", "5a".repeat(32)))?;
        }
        Ok(cluster)
    }

    fn configuration(&self, slots: usize) -> String {
        let folder = self.folder.display();
        let mut text = String::from("DaemonPorts = on\n");
        text += &format!("UnixSocketDirectory = \"{folder}\"\nMaxSessionMessages = 100000\n");
        if self.binaries.daemon == OURS {
            text += &format!("AdminEndpoint = {ADMIN}\n");
        }
        if !self.binaries.encryption {
            text += "RingEncryption = off\n";
        } else {
            text += &format!("RingKeyFile = \"{folder}/ring.key\"\n");
        }
        text += "Spread_Segment 10.77.0.255:4803 {\n";
        for slot in 0..slots {
            text += &format!("  d{slot} {}:{}\n", Network::address(slot), Self::port(slot));
        }
        text + "}\n"
    }

    fn conf(&self) -> PathBuf {
        self.folder.join("spread.conf")
    }

    fn port(slot: usize) -> usize {
        PORT + 10 * slot
    }

    /// Path of a daemon's Unix socket: how clients outside the namespaces reach it.
    pub fn socket(&self, slot: usize) -> PathBuf {
        self.folder.join(Self::port(slot).to_string())
    }

    /// Starts the daemon of a slot.
    pub fn start(&mut self, slot: usize) -> Result<()> {
        let line = self
            .binaries
            .daemon
            .replace("{bin}", &self.binaries.folder.to_string_lossy())
            .replace("{conf}", &self.conf().to_string_lossy())
            .replace("{name}", &format!("d{slot}"));
        let mut words = line.split_whitespace();
        let program = words.next().context("the daemon's command is empty")?;
        let log = fs::File::create(self.folder.join(format!("d{slot}.log")))?;
        let child = self
            .network
            .command(slot, program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.running[slot] = Some(child);
        Ok(())
    }

    /// Starts the daemons of the slots and waits until they are one ring.
    pub fn start_all(&mut self, slots: core::ops::Range<usize>) -> Result<()> {
        for slot in slots.clone() {
            self.start(slot)?;
        }
        for slot in slots.clone() {
            self.wait_for_socket(slot)?;
        }
        self.wait_ring(slots)
    }

    /// Waits until all of the slots say that they are one ring, as the last thing.
    pub fn wait_ring(&self, slots: core::ops::Range<usize>) -> Result<()> {
        let formed = format!("in a ring of {}:", slots.len());
        let last = |slot| {
            let log = self.log(slot);
            log.lines().rfind(|line| line.contains("in a ring of")).map(str::to_owned)
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !slots.clone().all(|slot| last(slot).is_some_and(|line| line.contains(&formed))) {
            ensure!(Instant::now() < deadline, "no ring forms:\n{}", self.log(slots.start));
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Memberships that daemons installed after the first one with all of them.
    pub fn configurations(&self, slots: core::ops::Range<usize>) -> usize {
        let formed = format!("in a ring of {}:", slots.len());
        let later = |slot| {
            let log = self.log(slot);
            let lines = log.lines().filter(|line| line.contains("in a ring of"));
            lines.skip_while(|line| !line.contains(&formed)).skip(1).count()
        };
        slots.map(later).sum()
    }

    fn log(&self, slot: usize) -> String {
        fs::read_to_string(self.folder.join(format!("d{slot}.log"))).unwrap_or_default()
    }

    /// Waits until a daemon takes connections.
    pub fn wait_for_socket(&self, slot: usize) -> Result<()> {
        let socket = self.socket(slot);
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            ensure!(
                Instant::now() < deadline,
                "d{slot} does not listen on {}; its log: {}",
                socket.display(),
                self.log(slot)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Sends a signal (`TERM`, `KILL`) to a slot's daemon and reaps it.
    pub fn stop(&mut self, slot: usize, signal: &str) -> Result<()> {
        let mut child =
            self.running[slot].take().with_context(|| format!("d{slot} does not run"))?;
        check(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]))?;
        child.wait()?;
        Ok(())
    }

    /// CPU of all daemons so far, in nanoseconds.
    pub fn cpu_nanoseconds(&self) -> Result<u64> {
        self.running.iter().flatten().map(|child| cpu::nanoseconds(child.id())).sum()
    }

    /// Process ids of those that run.
    pub fn pids(&self) -> Vec<u32> {
        self.running.iter().flatten().map(Child::id).collect()
    }

    /// Memory of a slot's daemon, in MB.
    pub fn resident_megabytes(&self, slot: usize) -> Result<f64> {
        let child = self.running[slot].as_ref().with_context(|| format!("d{slot} does not run"))?;
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kilobytes.context("VmRSS is missing")? * 1024.0 / 1e6)
    }

    /// What a slot's daemon says of itself.
    pub fn status(&self, slot: usize) -> Result<serde_json::Value> {
        let myself = std::env::current_exe()?;
        let mut command = self.network.command(slot, &myself.to_string_lossy());
        let output = command.args(["bench", "fetch", ADMIN]).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A spread-flood command inside a slot's namespace.
    pub fn flood_inside(&self, slot: usize) -> Command {
        self.network.command(slot, &self.binaries.folder.join("spread-flood").to_string_lossy())
    }

    /// A spread-flood command; the caller adds what to send.
    pub fn flood(&self) -> Command {
        Command::new(self.binaries.folder.join("spread-flood"))
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Prints the status that a daemon's admin endpoint gives.
pub fn fetch(address: std::net::SocketAddr) -> Result<()> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream
        .write_all(b"GET /status?brief HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("the endpoint does not answer")?;
    println!("{body}");
    Ok(())
}
