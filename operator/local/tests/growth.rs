//! A cluster grows and shrinks under five clients that each send ten thousand messages: all get the same file.

#![allow(clippy::unwrap_used, reason = "a test's own steps fail it")]

use spread_client::{Connector, Event, Sender, Service, View};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use tokio::sync::watch;

const CLIENTS: usize = 5;
const MESSAGES: usize = 10_000;
/// Sent before the first edit, and between it and the second; the rest follows the second.
const FIRST: usize = 3_000;
const SECOND: usize = 6_000;

/// Builds the daemon beside the program under test, with the features that tests of the whole workspace have: after
/// `cargo test --workspace` nothing is built again.
fn spreadd() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_spread-local")).parent().unwrap().to_owned();
    let target = folder.parent().unwrap();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--workspace", "--bin", "spreadd"])
        .args(["--test", "growth", "--target-dir"])
        .arg(target)
        .status()
        .unwrap();
    assert!(status.success(), "spreadd is built");
    folder.join("spreadd")
}

/// A port whose slots' ports are free: five slots, ten apart, with the admin endpoints two above.
fn base_port() -> u16 {
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    (20_000..30_000)
        .step_by(60)
        .map(|port| port + (std::process::id() % 1000) as u16 * 10)
        .find(|base| (0..5).all(|slot| free(base + slot * 10) && free(base + slot * 10 + 2)))
        .unwrap()
}

struct Local {
    folder: tempfile::TempDir,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
}

impl Local {
    fn up(spreadd: &Path, base_port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_manifest(folder.path(), 3);
        let mut process = Command::new(env!("CARGO_BIN_EXE_spread-local"))
            .arg("up")
            .arg(folder.path().join("orders.yaml"))
            .arg("--spreadd")
            .arg(spreadd)
            .args(["--base-port", &base_port.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { folder, process, lines, said: String::new() }
    }

    /// Reads on until each of these was said, in any order.
    fn wait_for(&mut self, mut events: Vec<&str>) {
        while !events.is_empty() {
            let Some(Ok(line)) = self.lines.next() else {
                panic!("{events:?} did not come:\n{}", self.said)
            };
            events.retain(|event| !line.trim_start().starts_with(event));
            self.said += &line;
            self.said.push('\n');
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let _ = self.process.wait();
    }
}

/// Replaced in one step, as editors do.
fn write_manifest(folder: &Path, replicas: u32) {
    let text = format!(
        "apiVersion: spread-operator.dev/v1alpha1\nkind: SpreadCluster\nmetadata: {{name: orders}}\nspec: {{replicas: {replicas}, slots: {{initial: 5}}}}\n"
    );
    fs::write(folder.join("new.yaml"), text).unwrap();
    fs::rename(folder.join("new.yaml"), folder.join("orders.yaml")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_clients_see_one_order_while_the_ring_grows_and_shrinks() {
    let base = base_port();
    let mut local = Local::up(&spreadd(), base);
    local.wait_for(vec!["joined d0", "joined d1", "joined d2"]);
    let (allow, allowed) = watch::channel(FIRST);
    let received = Arc::new(watch::channel(0_usize).0);
    let mut running = Vec::new();
    for client in 0..CLIENTS {
        let address = format!("{}@127.0.0.1", base + 10 * (client % 3) as u16);
        let file = local.folder.path().join(format!("{client}.received"));
        running.push(tokio::spawn(talk(client, address, file, allowed.clone(), received.clone())));
    }
    let mut progress = received.subscribe();
    progress.wait_for(|count| *count >= CLIENTS * FIRST / 2).await.unwrap();
    write_manifest(local.folder.path(), 5);
    local = tokio::task::spawn_blocking(move || {
        local.wait_for(vec!["edited 5", "joined d3", "joined d4"]);
        local
    })
    .await
    .unwrap();
    allow.send_replace(SECOND);
    progress.wait_for(|count| *count >= CLIENTS * (FIRST + SECOND) / 2).await.unwrap();
    write_manifest(local.folder.path(), 3);
    local = tokio::task::spawn_blocking(move || {
        local.wait_for(vec!["edited 3", "left d3", "left d4"]);
        local
    })
    .await
    .unwrap();
    allow.send_replace(MESSAGES);
    for client in running {
        let views = client.await.unwrap();
        assert!(views.is_empty(), "no member was on a daemon that changed: {views:?}");
    }
    let file = |client: usize| fs::read(local.folder.path().join(format!("{client}.received")));
    let first = file(0).unwrap();
    let lines = first.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(lines, CLIENTS * MESSAGES);
    for client in 1..CLIENTS {
        assert!(file(client).unwrap() == first, "files 0 and {client} differ");
    }
}

/// Sends numbered messages as far as allowed and writes down what comes, until everything from all clients is there.
/// Returns the views that came after the one with all clients.
async fn talk(
    client: usize,
    address: String,
    file: PathBuf,
    allowed: watch::Receiver<usize>,
    received: Arc<watch::Sender<usize>>,
) -> Vec<View> {
    let connector = Connector::new(format!("c{client}"));
    let (sender, mut receiver) = connector.connect(&address).await.unwrap();
    sender.join("orders").await.unwrap();
    let mut file = std::io::BufWriter::new(fs::File::create(file).unwrap());
    let (mut all, mut count, mut next) = (false, 0, [0; CLIENTS]);
    let (mut sending, mut views) = (None, Vec::new());
    while count < CLIENTS * MESSAGES {
        match receiver.next().await.unwrap().unwrap() {
            Event::View(view) if view.members.len() == CLIENTS && !all => {
                all = true;
                sending = Some(tokio::spawn(send(client, sender.clone(), allowed.clone())));
            }
            Event::View(view) if all => views.push(view),
            Event::Message(message) => {
                let text = std::str::from_utf8(&message.payload).unwrap();
                let (from, number) = text.split_once(' ').unwrap();
                let from: usize = from.parse().unwrap();
                assert_eq!(number.parse::<usize>().unwrap(), next[from], "from client {from}");
                next[from] += 1;
                count += 1;
                writeln!(file, "{text}").unwrap();
                if client == 0 {
                    received.send_replace(count);
                }
            }
            _ => {}
        }
    }
    sending.unwrap().await.unwrap();
    file.flush().unwrap();
    views
}

async fn send(client: usize, sender: Sender, mut allowed: watch::Receiver<usize>) {
    for number in 0..MESSAGES {
        allowed.wait_for(|allowed| number < *allowed).await.unwrap();
        let text = format!("{client} {number}");
        sender.multicast(Service::Agreed, &["orders"], 0, text).await.unwrap();
        if number % 50 == 49 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}
