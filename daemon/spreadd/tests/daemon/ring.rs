//! A ring's configuration on loopback addresses of its own, and the daemons that run in it.

use super::http;
use super::session::Session;
use serde_json::Value;
use std::fs;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "11";

/// Slots d0, d1, … with a key; every daemon reads a file of its own.
pub(crate) struct Ring {
    folder: TempDir,
    /// `127.x.y`, and the socket that keeps other rings of this machine away from it.
    network: String,
    _reserved: UdpSocket,
    slots: usize,
}

impl Ring {
    pub(crate) fn new(slots: usize) -> Self {
        let folder = TempDir::new().expect("a folder");
        let networks =
            (64..128).flat_map(|second| (1..250).map(move |third| format!("127.{second}.{third}")));
        let (network, reserved) = networks
            .filter_map(|network| {
                let socket = UdpSocket::bind(format!("{network}.254:4803")).ok()?;
                Some((network, socket))
            })
            .next()
            .expect("a free loopback network");
        let ring = Self { folder, network, _reserved: reserved, slots };
        ring.write_key("keys", KEY);
        ring
    }

    pub(crate) fn write_key(&self, file: &str, digits: &str) {
        let text = format!("1 {}\n", digits.repeat(32));
        fs::write(self.path(file), text).expect("a key file");
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn address(&self, index: usize) -> String {
        format!("{}.{}", self.network, index + 1)
    }

    /// The file of one daemon.
    pub(crate) fn configuration(&self, index: usize) -> String {
        let sockets = self.path(&format!("sockets{index}"));
        fs::create_dir_all(&sockets).expect("a folder for the socket");
        let mut text = format!(
            "DaemonPorts = on\nRingEncryption = on\nRingKeyFile = \"keys\"\nAdminEndpoint = \"{}:8803\"\nUnixSocketDirectory = \"{}\"\n",
            self.address(index),
            sockets.display()
        );
        for slot in 0..self.slots {
            let address = self.address(slot);
            text += &format!("Spread_Segment {address}:4803 {{ d{slot} {address}:4803 }}\n");
        }
        text
    }

    /// A command that runs the daemon of a slot with this text as its file.
    pub(crate) fn command(&self, index: usize, text: &str) -> Command {
        let file = self.path(&format!("d{index}.conf"));
        fs::write(&file, text).expect("the configuration");
        let mut command = Command::new(program());
        command.arg("-c").arg(file).arg("-n").arg(format!("d{index}"));
        command
    }

    pub(crate) fn start(&self, index: usize) -> Daemon {
        self.start_from(index, &self.configuration(index))
    }

    pub(crate) fn start_from(&self, index: usize, text: &str) -> Daemon {
        let command = self.command(index, text);
        self.spawn(index, &format!("d{index}.log"), command)
    }

    pub(crate) fn spawn(&self, index: usize, log: &str, mut command: Command) -> Daemon {
        let log = self.path(log);
        let file = fs::File::options().create(true).append(true).open(&log).expect("a log file");
        let errors = file.try_clone().expect("a second handle");
        let child = command
            .env_remove("SPREADD_LOG")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .expect("the daemon starts");
        Daemon { child, log, address: self.address(index) }
    }

    /// All slots, once they are one ring.
    pub(crate) fn start_all(&self) -> Vec<Daemon> {
        let daemons: Vec<Daemon> = (0..self.slots).map(|index| self.start(index)).collect();
        daemons.iter().for_each(|daemon| daemon.wait_members(self.slots));
        daemons
    }
}

/// The daemon under test: another build of it, such as the static one of an image, where `SPREADD_UNDER_TEST` names one.
fn program() -> PathBuf {
    std::env::var_os("SPREADD_UNDER_TEST")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_spreadd")), PathBuf::from)
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
    pub(crate) address: String,
}

impl Daemon {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn admin(&self) -> String {
        format!("{}:8803", self.address)
    }

    pub(crate) fn clients(&self) -> String {
        format!("{}:4803", self.address)
    }

    /// The daemon's address as the original writes it.
    pub(crate) fn spread_name(&self) -> String {
        let clients = self.clients();
        let (host, port) = clients.rsplit_once(':').expect("host and port");
        format!("{port}@{host}")
    }

    pub(crate) fn status(&self) -> Value {
        http::get(&self.admin(), "/status")
            .and_then(|answer| serde_json::from_str(&answer.body).ok())
            .unwrap_or(Value::Null)
    }

    pub(crate) fn members(&self) -> Vec<String> {
        let status = self.status();
        let members = status["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|one| one["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until something holds of the daemon.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let (status, log) = (self.status(), self.log());
            assert!(Instant::now() < deadline, "never: {what}\n{status:#}\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn wait_members(&self, count: usize) {
        self.wait(&format!("a ring of {count}"), |daemon| daemon.members().len() == count);
    }

    pub(crate) fn connect(&self, user: &str) -> Session {
        Session::connect(&self.clients(), user)
            .unwrap_or_else(|code| panic!("{user} is refused with {code}"))
    }

    /// Number of the process that was started.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal was sent");
    }

    /// How the process ends by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be watched") {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
