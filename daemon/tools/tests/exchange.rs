//! `spread-exchange` against real daemons: it succeeds in one ring, and fails where there are two.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// The daemon's binary, next to this test's.
fn spreadd() -> PathBuf {
    let tool = Path::new(env!("CARGO_BIN_EXE_spread-exchange"));
    let daemon = tool.with_file_name("spreadd");
    assert!(daemon.exists(), "cargo build -p spreadd makes {}", daemon.display());
    daemon
}

/// Killed when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free for TCP and UDP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Two daemons that list each other; `rings` are the ring numbers they have.
fn start(folder: &TempDir, rings: [u32; 2]) -> ([Daemon; 2], [u16; 2]) {
    let ports = [free_port(), free_port()];
    let daemon = |index: usize| {
        let sockets = folder.path().join(index.to_string());
        std::fs::create_dir_all(&sockets).expect("a folder");
        let text = format!(
            "DaemonPorts = on\nRingEncryption = off\nRingNumber = {}\nUnixSocketDirectory = \"{}\"\n\
             Spread_Segment 127.0.0.1:4803 {{ d0 127.0.0.1:{} d1 127.0.0.1:{} }}\n",
            rings[index],
            sockets.display(),
            ports[0],
            ports[1],
        );
        let file = sockets.join("spread.conf");
        std::fs::write(&file, text).expect("the configuration");
        let mut command = Command::new(spreadd());
        command.arg("-c").arg(file).arg("-n").arg(format!("d{index}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Daemon(command.spawn().expect("the daemon starts"))
    };
    ([daemon(0), daemon(1)], ports)
}

/// Two clients at these ports, until both have ended.
fn exchange(ports: [u16; 2], timeout: &str) -> [(Output, String); 2] {
    let start = |index: usize| {
        Command::new(env!("CARGO_BIN_EXE_spread-exchange"))
            .arg(format!("--server={}@127.0.0.1", ports[index]))
            .arg(format!("--user=t{index}"))
            .args(["--different-daemons", "--messages=2000", "--timeout-seconds", timeout])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    };
    [start(0), start(1)].map(|child| {
        let output = child.wait_with_output().expect("it ends");
        let said = [output.stdout.clone(), output.stderr.clone()].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output, said)
    })
}

#[test]
fn two_daemons_of_one_ring_deliver_everything_in_one_order() {
    let folder = TempDir::new().expect("a folder");
    let (_daemons, ports) = start(&folder, [1, 1]);
    for (output, said) in exchange(ports, "60") {
        assert!(output.status.success(), "{said}");
        assert!(said.contains("4000 messages of 2 clients, all in one order"), "{said}");
    }
}

#[test]
fn daemons_that_form_no_ring_are_told_by_failure() {
    let folder = TempDir::new().expect("a folder");
    let (_daemons, ports) = start(&folder, [1, 2]);
    for (output, said) in exchange(ports, "5") {
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("1 of 2 clients came: are their daemons in one ring?"), "{said}");
    }
}

#[test]
fn two_clients_of_one_daemon_are_told_where_different_ones_are_wanted() {
    let folder = TempDir::new().expect("a folder");
    let (_daemons, ports) = start(&folder, [1, 1]);
    for (output, said) in exchange([ports[0], ports[0]], "30") {
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("two clients have the daemon d0"), "{said}");
    }
}

#[test]
fn an_address_where_nobody_answers_is_left_and_tried_again() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("its address").port();
    for (output, said) in exchange([port, port], "12") {
        assert_eq!(output.status.code(), Some(1), "{said}");
        let again = said.matches("not connected yet").count();
        assert!(again >= 2, "{again} times: {said}");
        assert!(said.contains("did not answer in time"), "{said}");
    }
}
