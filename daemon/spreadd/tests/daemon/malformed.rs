//! Clients that break the protocol end their own session and nothing else.

use super::ring::Ring;
use super::session::{AGREED, JOIN, Session, choice, frame, frame_of, open, receive};
use std::io::Write as _;

const LITTLE: u32 = 0x8000_0080;

/// Every kind of malformed message, for a session of this private name.
fn malformed(own: &str) -> Vec<(&'static str, Vec<u8>)> {
    let header = |word: u32, counts: (u32, u32, u32)| frame_of(word, own, counts, &["g"], b"");
    let agreed = AGREED | LITTLE;
    let many: Vec<&str> = vec!["g"; 101];
    vec![
        ("no service bit", frame(0, own, &["g"], b"x")),
        ("two service bits", frame(0x30, own, &["g"], b"x")),
        ("a service and JOIN", frame(AGREED | JOIN, own, &["g"], b"")),
        ("JOIN and LEAVE", frame(JOIN | 0x2_0000, own, &["g"], b"")),
        ("a private name that is none", frame(AGREED, "alice", &["g"], b"x")),
        ("a private name of another daemon", frame(AGREED, "#bad#elsewhere", &["g"], b"x")),
        ("another session's private name", frame(AGREED, "#witness#d0", &["g"], b"x")),
        ("fewer than no groups", header(agreed, (u32::MAX, LITTLE, 0))),
        ("101 groups", frame(AGREED, own, &many, b"")),
        ("a negative length", header(agreed, (1, LITTLE, u32::MAX))),
        ("a length beyond the limit", header(agreed, (1, LITTLE, 200_000_000))),
        ("foreign bits in the hint", header(agreed, (1, LITTLE | 1, 0))),
        ("one byte order bit", header(AGREED | 0x80, (1, LITTLE, 0))),
        ("the other byte order bit", header(AGREED | 0x8000_0000, (1, LITTLE, 0))),
        ("a big-endian message without a service", {
            let mut bytes = frame_of(0, own, (0, 0, 0), &[], b"");
            bytes[..4].copy_from_slice(&0_u32.to_be_bytes());
            bytes
        }),
        ("a forged view", frame(AGREED | 0x1100, own, &["g"], b"")),
        ("a forged transitional signal", frame(AGREED | 0x2000, own, &["g"], b"")),
        ("a forged reject", frame(AGREED | 0x40_0000, own, &["g"], b"")),
        ("the internal state exchange", frame(AGREED | 0x8_0000, own, &["g"], b"")),
    ]
}

#[test]
fn a_malformed_message_ends_its_own_session() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let mut witness = daemon.connect("witness");
    witness.join("g");
    witness.wait_view(&[]);
    let count = malformed("").len() as u64;
    for (index, (what, _)) in malformed("").into_iter().enumerate() {
        let mut bad = daemon.connect("bad");
        bad.join("g");
        witness.wait_view(&[&bad]);
        bad.wait_view(&[&witness]);
        let (_, bytes) = malformed(&bad.private).swap_remove(index);
        bad.raw(&bytes);
        assert_eq!(bad.next(), None, "{what}: the session ends without a word");
        // The name is free again once the witness has the view without it, and nothing came before.
        let left = witness.receive();
        assert!(left.is_view() && left.groups == [witness.private.clone()], "{what}: {left:?}");
        witness.assert_works();
    }
    daemon.wait("all are counted", |daemon| {
        daemon.status()["counters"]["sessions_malformed"] == count
    });
}

#[test]
fn a_message_cut_off_in_the_middle_is_a_disconnect() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let mut witness = daemon.connect("witness");
    witness.join("g");
    witness.wait_view(&[]);
    for cut in [1, 47, 48, 60, 85] {
        let mut bad = daemon.connect("bad");
        bad.join("g");
        witness.wait_view(&[&bad]);
        let bytes = frame(AGREED, &bad.private, &["g"], b"never whole");
        bad.raw(&bytes[..cut]);
        bad.close();
        let left = witness.receive();
        assert!(left.is_view() && left.groups == [witness.private.clone()], "{cut}: {left:?}");
    }
}

#[test]
fn handshakes_that_are_wrong_are_answered_and_closed() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let address = daemon.clients();
    // Says nothing for as long as it may: nobody else waits for it.
    let mut silent = open(&address).expect("a connection");
    let mut witness = daemon.connect("witness");

    let requests: [(&str, &[u8], u8); 6] = [
        ("a library before 3.1", b"\x03\x00\x00\x01\x01a", 0xf9),
        ("a negative version", b"\xff\x04\x00\x01\x01a", 0xf9),
        ("a name of 11 bytes", b"\x04\x04\x00\x01\x0baaaaaaaaaaa", 0xfb),
        ("a name with a blank", b"\x04\x04\x00\x01\x03a b", 0xfb),
        ("a name with #", b"\x04\x04\x00\x01\x03a#b", 0xfb),
        ("a name that is taken", b"\x04\x04\x00\x01\x07witness", 0xfa),
    ];
    for (what, request, code) in requests {
        let mut stream = open(&address).expect("a connection");
        stream.write_all(request).expect("the request goes out");
        assert_eq!(receive(&mut stream, 1), Some(vec![code]), "{what}");
        assert_eq!(receive(&mut stream, 1), None, "{what}: the stream ends");
    }
    for method in ["FOO", "", "IP", "null"] {
        let mut stream = open(&address).expect("a connection");
        stream.write_all(b"\x04\x04\x00\x01\x03bad").expect("the request goes out");
        assert_eq!(receive(&mut stream, 6), Some(b"\x05NULL ".to_vec()));
        stream.write_all(&choice(method)).expect("the choice goes out");
        assert_eq!(receive(&mut stream, 1), Some(vec![0xf7]), "method {method:?}");
        assert_eq!(receive(&mut stream, 1), None, "method {method:?}: the stream ends");
    }
    witness.assert_works();
    assert_eq!(receive(&mut silent, 1), None, "the silent connection is closed");
    witness.assert_works();
    // Byte by byte is slow, not wrong.
    let mut slow = open(&address).expect("a connection");
    for byte in b"\x04\x04\x00\x01\x04slow" {
        slow.write_all(&[*byte]).expect("a byte goes out");
    }
    assert_eq!(receive(&mut slow, 6), Some(b"\x05NULL ".to_vec()));
    assert!(Session::connect(&address, "bad").is_ok(), "no refused name stays taken");
}
