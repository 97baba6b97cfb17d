//! `spread-monitor` as a process: a daemon's answers from a small HTTP server, and from a real daemon.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn monitor(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_spread-monitor"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the monitor starts");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    (output, text)
}

/// Answers every request with a status whose counters rise; returns where.
fn stub(name: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let asked = AtomicU64::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, name, asked.fetch_add(1, Ordering::Relaxed));
        }
    });
    address
}

fn answer(mut stream: TcpStream, name: &str, round: u64) {
    let mut request = [0; 1024];
    let read = stream.read(&mut request).unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    assert!(request.starts_with("GET /status HTTP/1."), "{request}");
    let body = format!(
        r##"{{"name":"{name}","version":"0.1.0","ring_number":1,"phase":"Operational","configuration":"1.5.ab",
        "members":[{{"name":"a0","boot":"x","claim":1}},{{"name":"a1","boot":"y","claim":2}}],"slots":4,"groups":3,
        "sessions_in_component":7,"counters":{{"retransmissions":{},"client_messages_received":{}}},
        "refused":{{"WrongKey":9}},"sessions":[{{"name":"#alice#{name}","peer":"unix","queued_bytes":5000}}],
        "changes":[{{"at_milliseconds":3723004,"reason":"Joining","took_microseconds":1500,"members":["a0","a1"]}}],
        "uptime_seconds":75,"something_new":true}}"##,
        round * 4,
        round * 1_000_000
    );
    let _ = write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
}

#[test]
fn a_snapshot_shows_rows_rates_and_what_to_look_at() {
    let (first, second) = (stub("a0"), stub("a1"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let vacant = taken.local_addr().expect("its address").to_string();
    drop(taken);
    let (output, text) = monitor(&[
        "--once",
        "--interval",
        "0.05",
        "--admin",
        &vacant,
        "--admin",
        &second,
        "--admin",
        &first,
    ]);
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with("ring 1: 2 of 4 slots (a0 a1), 3 groups, 7 sessions\n"), "{text}");
    let row = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    assert!(row("a0").contains("1m15s") && row("a0").contains('M'), "rates of a0:\n{text}");
    assert!(text.find("\na0") < text.find("\na1") && row("-").contains("no answer"), "{text}");
    for part in [
        "#alice#a0 from unix, 4 KiB wait for it",
        "01:02:03.004  a0 a1 (Joining, 1.5 ms)",
        "a0 refused 9 packets: another daemon has another key; compare the RingKeyFile",
        "is the daemon running",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert_eq!(text.matches("Joining").count(), 1, "both tell one change:\n{text}");
}

#[test]
fn json_has_the_same() {
    let (output, text) = monitor(&["--json", "-i", "0.05", "--admin", &stub("a0")]);
    assert!(output.status.success(), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["daemons"][0]["name"], "a0");
    assert!(json["daemons"][0]["rates"]["messages_in"].as_f64() > Some(0.0), "{text}");
    assert_eq!(json["rings"][0]["members"], serde_json::json!(["a0", "a1"]));
}

#[test]
fn nobody_there_is_an_error_that_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let vacant = listener.local_addr().expect("its address").to_string();
    drop(listener);
    let (output, text) = monitor(&["--admin", &vacant]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("is the daemon running"), "{text}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no daemon answered"));
}

#[test]
fn help_has_examples() {
    let (output, text) = monitor(&["--help"]);
    assert!(output.status.success() && text.contains("Examples:"), "{text}");
    let (output, _) = monitor(&["--interval", "0"]);
    assert_eq!(output.status.code(), Some(2));
}

/// The daemon as it is now, beside the monitor, with the features that tests of the whole workspace have: after
/// `cargo test --workspace` nothing is built again.
fn spreadd() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_spread-monitor")).parent().expect("a folder");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--workspace", "--bin", "spreadd"])
        .args(["--test", "monitor", "--target-dir"])
        .arg(folder.parent().expect("the target folder"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "spreadd is built");
    folder.join("spreadd")
}

/// A daemon alone in its ring; killed when dropped.
struct Daemon {
    child: Child,
    folder: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn start(program: &Path, admin: &str, port: u16) -> Daemon {
    let folder = std::env::temp_dir().join(format!("spread-monitor-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("spread.conf");
    let text = format!(
        "DaemonPorts = on\nRingEncryption = off\nAdminEndpoint = \"{admin}\"\nUnixSocketDirectory = \"{}\"\n\
         Spread_Segment 127.0.0.1:{port} {{ d0 127.0.0.1:{port} }}\n",
        folder.display()
    );
    std::fs::write(&file, text).expect("the configuration");
    let child = Command::new(program)
        .arg("-c")
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon starts");
    Daemon { child, folder }
}

#[test]
fn a_real_daemon_is_understood() {
    let program = spreadd();
    let (port, admin) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let _daemon = start(&program, &admin, port);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (output, text) = monitor(&["--once", "-i", "0.05", "--admin", &admin]);
        if output.status.success() && text.contains("Operational") {
            assert!(
                text.starts_with("ring 1: 1 of 1 slots (d0), 0 groups, 0 sessions\n"),
                "{text}"
            );
            assert!(text.contains("MEMBERSHIP CHANGES") && !text.contains("LOOK AT"), "{text}");
            return;
        }
        assert!(Instant::now() < deadline, "{text}");
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
