//! Bytes of one client, in pieces: they end at most its own session.
//!
//! The first byte of a piece is its length. With an odd first byte the handshake is done already.

#![no_main]

use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use spread_front::{
    Authentication, ConnectionId, Front, FrontOutput, FrontSettings, Peer, SlowReader,
};
use spread_wire::frame::Layout;
use spread_wire::ids::{EndpointName, EndpointUid};
use spread_wire::time::Instant;

const GOOD: ConnectionId = ConnectionId(1);
const FUZZED: ConnectionId = ConnectionId(2);
const NOW: Instant = Instant(5);

fn settings() -> FrontSettings {
    FrontSettings {
        name: EndpointName::from("d0"),
        uid: EndpointUid(7),
        seed: 1,
        layout: Layout { message_bytes: 4096, ..Layout::default() },
        sessions: 10,
        session_queue_bytes: 1 << 20,
        request_bytes: 1 << 20,
        large_bytes: spread_front::LARGE_BYTES,
        part_bytes: spread_front::PART_BYTES,
        slow_reader: SlowReader::Block { timeout: Duration::from_secs(10) },
        handshake_timeout: Duration::from_secs(5),
        authentication: Authentication::default(),
        access: Vec::new(),
        await_open: false,
        reattaches: false,
    }
}

fn handshake(name: &str) -> Vec<u8> {
    let mut choice = b"NULL".to_vec();
    choice.resize(90, 0);
    [&[4, 4, 0, 1, name.len() as u8], name.as_bytes(), &choice].concat()
}

fuzz_target!(|input: &[u8]| {
    let Some((first, mut input)) = input.split_first() else { return };
    let mut front = Front::new(settings());
    front.connected(NOW, GOOD, Peer::Unix);
    front.received(NOW, GOOD, &handshake("good"));
    while front.poll_output().is_some() {}
    front.connected(NOW, FUZZED, Peer::Unix);
    if first & 1 == 1 {
        front.received(NOW, FUZZED, &handshake("a"));
    }
    while let Some((length, rest)) = input.split_first() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length) + 1));
        front.received(NOW, FUZZED, piece);
        input = rest;
    }
    while let Some(output) = front.poll_output() {
        if let FrontOutput::Close { connection, .. } = output {
            assert_eq!(connection, FUZZED);
        }
    }
    front.closed(NOW, FUZZED);
    assert_eq!(front.status().half_open, 0);
});
