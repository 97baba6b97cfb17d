//! The supervision of real processes. The daemon is a script here: what is tested is who is started,
//! asked to leave and started again, and that nothing stays behind.

#![allow(clippy::unwrap_used, reason = "helpers of a test fail it")]

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const DAEMON: &str = "#!/bin/sh
# Called as: spreadd -c FILE -n NAME
trap 'exit 0' TERM
echo $$ >> \"$(dirname \"$2\")/../pids.$4\"
while :; do sleep 0.02; done
";

struct Run {
    folder: tempfile::TempDir,
    local: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Run {
    fn start(replicas: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = folder.path().join("spreadd");
        fs::write(&daemon, DAEMON).unwrap();
        fs::set_permissions(&daemon, fs::Permissions::from_mode(0o755)).unwrap();
        write_manifest(folder.path(), replicas);
        let mut local = Command::new(env!("CARGO_BIN_EXE_spread-local"))
            .arg("up")
            .arg(folder.path().join("orders.yaml"))
            .arg("--dir")
            .arg(folder.path().join("run"))
            .arg("--spreadd")
            .arg(daemon)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(local.stdout.take().unwrap()).lines();
        Self { folder, local, lines }
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    fn ask_for(&self, replicas: u32) {
        write_manifest(self.folder.path(), replicas);
    }

    /// Reads on until each of the events was said, in this order.
    fn wait_for(&mut self, events: &[&str]) {
        for event in events {
            loop {
                let line = self.lines.next().expect(event).unwrap();
                if line.trim_start().starts_with(event) {
                    break;
                }
            }
        }
    }

    fn pids(&self, slot: u32) -> Vec<Pid> {
        let text = fs::read_to_string(self.folder.path().join(format!("pids.d{slot}")));
        let parse = |line: &str| Pid::from_raw(line.parse().unwrap()).unwrap();
        text.unwrap_or_default().lines().map(parse).collect()
    }

    /// The newest process of a slot, once it has written itself down.
    fn pid(&self, slot: u32) -> Pid {
        loop {
            if let Some(pid) = self.pids(slot).last() {
                return *pid;
            }
            std::thread::yield_now();
        }
    }

    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.local.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.local.wait().unwrap().success());
        assert!(!self.run_dir().exists());
        for pid in (0..5).flat_map(|slot| self.pids(slot)) {
            assert!(test_kill_process(pid).is_err(), "{pid:?} is still there");
        }
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

#[test]
fn edits_fill_and_free_the_highest_slots_and_nothing_stays_behind() {
    let mut run = Run::start(3);
    run.wait_for(&["started d0", "started d1", "started d2", "next"]);
    let mode = fs::metadata(run.run_dir().join("ring.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    run.ask_for(5);
    run.wait_for(&["edited 5", "started d3", "started d4", "next"]);
    run.pid(4);
    run.ask_for(3);
    run.wait_for(&["edited 3", "leaving d4", "leaving d3", "left d3", "left d4"]);
    run.stop();
}

#[test]
fn what_dies_is_started_again() {
    let mut run = Run::start(2);
    run.wait_for(&["started d1"]);
    kill_process(run.pid(0), Signal::KILL).unwrap();
    run.wait_for(&["died d0", "started d0"]);
    run.stop();
}

#[test]
fn beyond_the_slots_a_new_ring_is_asked_for_and_bad_edits_change_nothing() {
    let mut run = Run::start(5);
    run.wait_for(&["started d4", "next"]);
    run.ask_for(7);
    run.wait_for(&["edited 7", "full 7 daemons are wanted and the ring has 5 slots"]);
    run.ask_for(0);
    run.wait_for(&["refused"]);
    run.stop();
}
