//! The command line and what is said about a file that is wrong.

use super::ring::Ring;
use std::process::{Command, Output};

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("the program starts");
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    (output, String::from_utf8(said).expect("text"))
}

fn check(text: &str) -> (Output, String) {
    let ring = Ring::new(1);
    run(ring.command(0, text).arg("--check"))
}

#[test]
fn every_mistake_is_shown_with_place_and_help() {
    let text = "Windwo = 100\nMaxSessions = many\nSpread_Segment 127.0.0.1:4803 {\n  d0 127.0.0.1\n  d0 127.0.0.2\n}\n";
    let (output, said) = check(text);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("3 mistake(s)"), "{said}");
    for place in ["d0.conf:1:1", "d0.conf:2:15", "d0.conf:5:3"] {
        assert!(said.contains(place), "{place} is missing in\n{said}");
    }
    for help in ["did you mean `Window`?", "write a number from", "give each a name of its own"] {
        assert!(said.contains(&format!("help: {help}")), "{help} is missing in\n{said}");
    }
}

#[test]
fn a_right_file_is_said_to_be_right() {
    let ring = Ring::new(3);
    let (output, said) = run(ring.command(0, &ring.configuration(0)).arg("--check"));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("is right: 3 slots"), "{said}");
}

#[test]
fn a_missing_file_and_an_unknown_name_say_what_to_do() {
    let ring = Ring::new(2);
    std::fs::write(ring.path("d0.conf"), ring.configuration(0)).expect("the file");
    let file = ring.path("d0.conf");
    let mut command = Command::new(env!("CARGO_BIN_EXE_spreadd"));
    let (output, said) = run(command.arg("-c").arg(file).args(["-n", "d7"]));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no daemon is called d7") && said.contains("d0, d1"), "{said}");
    let (output, said) =
        run(Command::new(env!("CARGO_BIN_EXE_spreadd")).args(["-c", "not-there.conf"]));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("name the file with -c"), "{said}");
}

#[test]
fn a_missing_key_file_is_an_error_with_its_path() {
    let ring = Ring::new(1);
    let text = ring.configuration(0).replace("\"keys\"", "\"absent-keys\"");
    let (output, said) = run(&mut ring.command(0, &text));
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("absent-keys"), "{said}");
}

#[test]
fn help_has_examples() {
    let (output, said) = run(Command::new(env!("CARGO_BIN_EXE_spreadd")).arg("--help"));
    assert!(output.status.success());
    assert!(said.contains("Examples:") && said.contains("spreadd -c spread.conf -n d0"), "{said}");
    let (output, said) = run(Command::new(env!("CARGO_BIN_EXE_spreadd")).arg("--chekc"));
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--check"), "{said}");
}

#[test]
fn names_that_are_taken_are_refused() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let mut alice = daemon.connect("alice");
    let again = super::session::Session::connect(&daemon.clients(), "alice");
    assert_eq!(again.err(), Some(-6));
    alice.assert_works();
}
