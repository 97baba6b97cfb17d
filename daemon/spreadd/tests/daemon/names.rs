//! Names of slots that are remembered as absent keep nobody out of the ring.
//!
//! Each test runs once more inside a network namespace that has a name server of its own.

use super::http::request;
use super::name_server::NameServer;
use super::ring::{Daemon, Ring};
use super::session::AGREED;
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const INSIDE: &str = "SPREADD_TEST_INSIDE_NAMESPACE";
/// As a pod's: names are tried with each domain first.
const RESOLV_CONF: &str = "search ring.svc.cluster.test svc.cluster.test cluster.test\n\
    nameserver 127.0.0.1\noptions ndots:5\n";

fn ip(arguments: &[&str]) -> bool {
    let mut command = Command::new("ip");
    command.args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// A namespace with files in `/etc` of its own; removed when dropped.
struct Namespace {
    name: String,
    files: PathBuf,
}

impl Namespace {
    /// `None`: this machine can't make one.
    fn new(test: &str) -> Option<Self> {
        let name = format!("kube-{}-{}", std::process::id(), test.len());
        let files = PathBuf::from("/etc/netns").join(&name);
        fs::create_dir_all(&files).ok()?;
        let namespace = Self { name, files };
        fs::write(namespace.files.join("resolv.conf"), RESOLV_CONF).ok()?;
        fs::write(namespace.files.join("nsswitch.conf"), "hosts: files dns\n").ok()?;
        let made = ip(&["netns", "add", &namespace.name])
            && ip(&["-n", &namespace.name, "link", "set", "lo", "up"]);
        made.then_some(namespace)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.name]);
        let _ = fs::remove_dir_all(&self.files);
        // Only if nobody else has something there.
        let _ = fs::remove_dir("/etc/netns");
    }
}

/// Runs this test's body in a namespace: the test binary is started again there for this test alone.
fn inside(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(namespace) = Namespace::new(test) else {
        eprintln!("left out: {test} (network namespaces need root and `ip`)");
        return;
    };
    let binary = std::env::current_exe().expect("this binary");
    let path = format!("daemon::names::{test}");
    let output = Command::new("ip")
        .args(["netns", "exec", &namespace.name])
        .arg(binary)
        .args(["--exact", &path, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("`ip` can be started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Not the port by which rings of tests reserve their networks: a name means all addresses.
fn port(slot: usize) -> u16 {
    [5803, 5813, 5823][slot]
}

fn host(slot: usize) -> String {
    format!("d{slot}.ring.test")
}

/// A daemon of a ring whose slots have names, as pods do.
fn start(ring: &Ring, slots: usize, index: usize) -> Daemon {
    let own = ring.configuration(index);
    let options: String =
        own.lines().filter(|line| !line.starts_with("Spread_")).collect::<Vec<_>>().join("\n");
    let slot =
        |slot| format!("Spread_Segment {0}:{1} {{ d{slot} {0}:{1} }}\n", host(slot), port(slot));
    let segments: String = (0..slots).map(slot).collect();
    ring.start_from(index, &format!("{options}\n{segments}"))
}

fn wait_denied(server: &NameServer, daemon: &Daemon, slot: usize, times: usize) {
    daemon.wait("the name was denied", |_| server.denied(&host(slot)) >= times);
}

#[test]
fn a_spare_slot_whose_name_is_remembered_as_absent_fills_all_the_same() {
    inside("a_spare_slot_whose_name_is_remembered_as_absent_fills_all_the_same", || {
        let server = NameServer::start();
        server.publish(&host(0), Ipv4Addr::LOCALHOST);
        let ring = Ring::new(3);
        let first = start(&ring, 3, 0);
        first.wait_members(1);
        wait_denied(&server, &first, 1, 1);

        // The newcomer's name is published, and the cache goes on denying it.
        server.publish(&host(1), Ipv4Addr::LOCALHOST);
        let second = start(&ring, 3, 1);
        first.wait_members(2);
        second.wait_members(2);
        assert_eq!(server.found(&host(1)), 0, "its name helped nobody");
        assert!(server.found(&host(0)) > 0, "it found the first by its name");
        let (mut a, mut b) = (client(port(0), "a"), client(port(1), "b"));
        b.join("g");
        b.wait_view(&[]);
        a.send(AGREED, "g", b"through the ring");
        assert_eq!(b.receive().text(), "through the ring");

        // A name that failed is asked for again and again.
        let before = server.denied(&host(2));
        wait_denied(&server, &first, 2, before + 3);
    });
}

fn client(port: u16, user: &str) -> super::session::Session {
    super::session::Session::connect(&format!("127.0.0.1:{port}"), user).expect("a session")
}

/// As when all pods of a ring start before any of their names is published.
fn two_that_know_no_name(server: &NameServer, ring: &Ring) -> [Daemon; 2] {
    let daemons = [start(ring, 2, 0), start(ring, 2, 1)];
    for (index, daemon) in daemons.iter().enumerate() {
        daemon.wait_members(1);
        wait_denied(server, daemon, 1 - index, 1);
        server.publish(&host(index), Ipv4Addr::LOCALHOST);
    }
    daemons
}

#[test]
fn daemons_that_started_before_their_names_find_each_other_by_addresses_that_are_named() {
    inside(
        "daemons_that_started_before_their_names_find_each_other_by_addresses_that_are_named",
        || {
            let server = NameServer::start();
            let ring = Ring::new(2);
            let daemons = two_that_know_no_name(&server, &ring);
            let body = r#"{"d1": ["127.0.0.1"]}"#;
            let answer =
                request(&daemons[0].admin(), "PUT", "/addresses", body).expect("an answer");
            assert_eq!((answer.code, answer.body.as_str()), (200, "ok\n"));
            daemons.iter().for_each(|daemon| daemon.wait_members(2));
            assert_eq!(server.found(&host(0)) + server.found(&host(1)), 0, "no name helped");

            let answer = request(&daemons[0].admin(), "PUT", "/addresses", r#"{"d9": []}"#);
            let answer = answer.expect("an answer");
            assert_eq!(answer.code, 400);
            assert!(answer.body.contains("the ring has d0 to d1"), "{}", answer.body);
        },
    );
}

#[test]
fn a_name_that_did_not_resolve_at_first_is_found_later() {
    inside("a_name_that_did_not_resolve_at_first_is_found_later", || {
        let server = NameServer::start();
        let ring = Ring::new(2);
        let daemons = two_that_know_no_name(&server, &ring);
        server.forget_absence();
        daemons.iter().for_each(|daemon| daemon.wait_members(2));
    });
}
