//! The daemon as the first process of a container: signals without a handler do not reach it there.

use super::ring::{Daemon, Ring};
use std::fs;
use std::process::Command;

/// Whether this machine can make process namespaces; says so where it can't.
fn namespaces() -> bool {
    let able = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "true"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !able {
        eprintln!("left out: the first process of a container (needs root and `unshare`)");
    }
    able
}

/// The daemon of d0 as process 1 of its namespace, and how it is known outside.
fn start(ring: &Ring, command: &Command) -> (Daemon, String) {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child", "--"]);
    unshare.arg(command.get_program()).args(command.get_args());
    let daemon = ring.spawn(0, "d0.log", unshare);
    let children = format!("/proc/{0}/task/{0}/children", daemon.process());
    daemon.wait("the first process", |_| {
        let children = fs::read_to_string(&children).unwrap_or_default();
        let name = fs::read_to_string(format!("/proc/{}/comm", children.trim()));
        name.is_ok_and(|name| name == "spreadd\n")
    });
    let process = fs::read_to_string(&children).expect("children").trim().to_owned();
    (daemon, process)
}

fn terminate(process: &str) {
    let status = Command::new("kill").args(["-TERM", process]).status();
    assert!(status.is_ok_and(|status| status.success()), "the signal was sent");
}

/// Whether the process handles SIGTERM.
fn handles_term(process: &str) -> bool {
    const TERM_BIT: u64 = 1 << 14;
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) & TERM_BIT != 0
}

#[test]
fn sigterm_is_an_orderly_leave_there_too() {
    if !namespaces() {
        return;
    }
    let ring = Ring::new(2);
    let second = ring.start(1);
    let (mut first, process) = start(&ring, &ring.command(0, &ring.configuration(0)));
    second.wait_members(2);
    terminate(&process);
    assert_eq!(first.ended().code(), Some(0), "{}", first.log());
    second.wait_members(1);
    let changes = second.status()["changes"].as_array().cloned().unwrap_or_default();
    assert_eq!(changes.last().expect("a change")["reason"], "Leaving");
}

#[test]
fn sigterm_is_not_lost_when_it_comes_before_the_configuration_was_read() {
    if !namespaces() {
        return;
    }
    let ring = Ring::new(1);
    let text = ring.configuration(0);
    let command = ring.command(0, &text);
    let file = ring.path("d0.conf");
    fs::remove_file(&file).expect("the file goes");
    let made = Command::new("mkfifo").arg(&file).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe in its place");

    let (mut first, process) = start(&ring, &command);
    first.wait("it handles the signal", |_| handles_term(&process));
    terminate(&process);
    fs::write(&file, text).expect("it reads the file");
    assert_eq!(first.ended().code(), Some(0), "{}", first.log());
}
