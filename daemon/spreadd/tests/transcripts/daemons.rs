//! Real daemons: one on loopback, or several in network namespaces whose bridges are the components.

use super::client::Client;
use super::vector::Vector;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Access rules that refuse what the recording's altered policy refused.
const REJECT_RULES: &str = "AccessRule = \"deny join group=deny*\"\nAccessRule = \"deny leave group=stay*\"\nAccessRule = \"deny send mess_type=666\"\n";

/// Address family of a daemon on loopback.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    /// IPv4, and packets for all by multicast.
    Multicast,
}

/// Whether this machine can make network namespaces; says so once where it can't.
pub(crate) fn namespaces() -> bool {
    static PROBE: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let name = format!("sprt{}", std::process::id());
        let able = run(&["netns", "add", &name]) && run(&["netns", "del", &name]);
        if !able {
            eprintln!(
                "left out: transcripts of several daemons (network namespaces need root and `ip`)"
            );
        }
        able
    });
    *PROBE
}

fn run(arguments: &[&str]) -> bool {
    Command::new("ip")
        .args(arguments)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("`ip` can be started");
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The daemons of a transcript; all gone when dropped.
pub(crate) struct Daemons {
    folder: TempDir,
    names: Vec<String>,
    running: Vec<Option<Child>>,
    port: u16,
    host: &'static str,
    /// Prefix of the namespaces, where there are any.
    network: Option<String>,
}

impl Daemons {
    pub(crate) fn start(vector: &Vector, family: Family) -> Self {
        let names = vector.daemons();
        let several = names.len() > 1;
        let folder = TempDir::new().expect("a folder for sockets");
        for (name, content) in vector.files() {
            fs::write(folder.path().join(name), content).expect("a file of the transcript");
        }
        let host = if family == Family::V6 { "[::1]" } else { "127.0.0.1" };
        let port = if several { 4803 } else { free_port(host) };
        let mut daemons = Self {
            folder,
            running: names.iter().map(|_| None).collect(),
            names,
            port,
            host,
            network: None,
        };
        if several {
            daemons.make_network();
        }
        let text = daemons.configuration(vector, family);
        for index in 0..daemons.names.len() {
            let sockets = daemons.sockets(index);
            fs::create_dir_all(&sockets).expect("a folder for the daemon's socket");
            let own = format!("{text}UnixSocketDirectory = \"{}\"\n", sockets.display());
            fs::write(daemons.file(index, "conf"), own).expect("the configuration");
            daemons.start_daemon(index);
        }
        let all = daemons.names.clone();
        daemons.wait_formed(&[all]);
        daemons
    }

    fn configuration(&self, vector: &Vector, family: Family) -> String {
        let mut text =
            vector.config().join("\n") + "\nRingEncryption = off\nMaxMessageBytes = 144000\n";
        if self.network.is_none() {
            text = text.replace(":4803 {", &format!(":{} {{", self.port));
        }
        if family == Family::V6 {
            text = text.replace("127.0.0.1", "[::1]");
        }
        if family == Family::Multicast {
            text = text.replace("10.77.255.255", "225.0.1.1") + "RingMulticast = on\n";
        }
        if vector.name.starts_with("26") {
            text += REJECT_RULES;
        }
        text
    }

    fn sockets(&self, index: usize) -> PathBuf {
        self.folder.path().join(&self.names[index])
    }

    fn file(&self, index: usize, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{}.{kind}", self.names[index]))
    }

    pub(crate) fn connect(&self, daemon: &str, unix: bool) -> Client {
        let index = self.index(daemon);
        let path = self.sockets(index).join(self.port.to_string());
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let client = if unix || self.network.is_some() {
                Client::unix(&path)
            } else {
                Client::tcp(&format!("{}:{}", self.host, self.port))
            };
            match client {
                Ok(client) => return client,
                Err(error) => {
                    assert!(Instant::now() < deadline, "{daemon}: {error}\n{}", self.log(index))
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Makes a daemon the last sender, where the idle token rests: a client of its own that writes to itself.
    pub(crate) fn drive(&self, daemon: &str) -> Result<Client, String> {
        let mut client = self.connect(daemon, true);
        client.send(b"\x04\x04\x00\x00\x03pin");
        client.receive(6)?;
        let mut method = b"NULL".to_vec();
        method.resize(90, 0);
        client.send(&method);
        let head = client.receive(5)?;
        let name = client.receive(usize::from(head[4]))?;
        let padded = |name: &[u8]| {
            let mut field = name.to_vec();
            field.resize(32, 0);
            field
        };
        let mut message = 0x8000_0090_u32.to_le_bytes().to_vec();
        message.extend(padded(&name));
        for word in [1_u32, 0x8000_0080, 0] {
            message.extend(word.to_le_bytes());
        }
        message.extend(padded(&name));
        client.send(&message);
        client.receive(message.len())?;
        Ok(client)
    }

    fn index(&self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).expect("a daemon of the transcript")
    }

    fn log(&self, index: usize) -> String {
        fs::read_to_string(self.file(index, "log")).unwrap_or_default()
    }

    fn start_daemon(&mut self, index: usize) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.file(index, "log"))
            .expect("a log file");
        let daemon = env!("CARGO_BIN_EXE_spreadd");
        let mut command = match &self.network {
            Some(prefix) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", &format!("{prefix}n{index}"), daemon]);
                command
            }
            None => Command::new(daemon),
        };
        command.arg("-c").arg(self.file(index, "conf")).args(["-n", &self.names[index]]);
        let errors = log.try_clone().expect("a second handle");
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("the daemon starts");
        self.running[index] = Some(child);
    }

    pub(crate) fn start_named(&mut self, name: &str) {
        self.start_daemon(self.index(name));
    }

    pub(crate) fn kill(&mut self, name: &str, signal: &str) {
        let index = self.index(name);
        let mut child = self.running[index].take().expect("the daemon runs");
        let signal = format!("-{}", signal.trim_start_matches("SIG"));
        let status = Command::new("kill").args([&signal, &child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal was sent");
        child.wait().expect("the daemon ends");
    }

    /// Waits until the daemons of each component say that they are one ring.
    pub(crate) fn wait_formed(&self, components: &[Vec<String>]) {
        let deadline = Instant::now() + Duration::from_secs(30);
        for component in components {
            for name in component {
                let index = self.index(name);
                loop {
                    let log = self.log(index);
                    let last = log
                        .lines()
                        .rev()
                        .find(|line| line.contains("in a ring of"))
                        .unwrap_or_default();
                    let members = last
                        .split_once(": ")
                        .and_then(|(_, rest)| rest.split_once(" ("))
                        .map(|(list, _)| list);
                    let members: Vec<&str> = members.unwrap_or_default().split(' ').collect();
                    let mut expected: Vec<&str> = component.iter().map(String::as_str).collect();
                    expected.sort_by_key(|name| self.index(name));
                    if members == expected {
                        break;
                    }
                    assert!(
                        Instant::now() < deadline,
                        "{name} is not in a ring of {component:?}:\n{log}"
                    );
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    fn make_network(&mut self) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("s{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let hub = format!("{prefix}h");
        self.network = Some(prefix.clone());
        ip(&["netns", "add", &hub]);
        for bridge in 0..self.names.len() {
            let bridge = format!("br{bridge}");
            ip(&["-n", &hub, "link", "add", &bridge, "type", "bridge"]);
            ip(&["-n", &hub, "link", "set", &bridge, "up"]);
        }
        for (index, address) in addresses(&self.names).into_iter().enumerate() {
            let (name, port) = (format!("{prefix}n{index}"), format!("p{index}"));
            ip(&["netns", "add", &name]);
            ip(&[
                "link", "add", &port, "netns", &hub, "type", "veth", "peer", "name", "eth0",
                "netns", &name,
            ]);
            ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"]);
            ip(&["-n", &name, "addr", "add", &format!("{address}/16"), "dev", "eth0"]);
            ip(&["-n", &name, "link", "set", "lo", "up"]);
            ip(&["-n", &name, "link", "set", "eth0", "up"]);
        }
    }

    /// Gives each component a bridge of its own; one component heals.
    pub(crate) fn partition(&self, components: &[Vec<String>]) {
        let hub = format!("{}h", self.network.as_ref().expect("several daemons"));
        for (bridge, component) in components.iter().enumerate() {
            for name in component {
                let port = format!("p{}", self.index(name));
                ip(&["-n", &hub, "link", "set", &port, "master", &format!("br{bridge}")]);
            }
        }
    }

    pub(crate) fn heal(&self) {
        self.partition(core::slice::from_ref(&self.names));
    }
}

/// Addresses as the transcripts' configurations have them: by the digit in the name, or by their order there.
fn addresses(names: &[String]) -> Vec<String> {
    let digit = |name: &str| match name {
        "zeta" => 2,
        "alpha" => 1,
        _ => name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0),
    };
    names.iter().map(|name| format!("10.77.0.{}", digit(name))).collect()
}

fn free_port(host: &str) -> u16 {
    let listener = TcpListener::bind(format!("{host}:0")).expect("a free port");
    listener.local_addr().expect("its address").port()
}

impl Drop for Daemons {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(prefix) = &self.network {
            for index in 0..self.names.len() {
                run(&["netns", "del", &format!("{prefix}n{index}")]);
            }
            run(&["netns", "del", &format!("{prefix}h")]);
        }
    }
}
