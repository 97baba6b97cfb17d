//! Arbitrary bytes in arbitrary pieces end at most the session that sent them.

use bytes::Bytes;
use core::time::Duration;
use proptest::prelude::*;
use spread_front::{
    Authentication, ConnectionId, Front, FrontOutput, FrontSettings, Peer, SlowReader,
};
use spread_wire::frame::Layout;
use spread_wire::ids::{EndpointName, EndpointUid};
use spread_wire::link::RequestBody;
use spread_wire::time::Instant;

const GOOD: ConnectionId = ConnectionId(1);
const BAD: ConnectionId = ConnectionId(2);
const NOW: Instant = Instant(5);

fn front() -> Front {
    let mut front = Front::new(FrontSettings {
        name: EndpointName::from("d0"),
        uid: EndpointUid(7),
        seed: 1,
        layout: Layout { message_bytes: 2000, ..Layout::default() },
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
    });
    front.connected(NOW, GOOD, Peer::Unix);
    front.received(NOW, GOOD, &handshake("good"));
    front.connected(NOW, BAD, Peer::Unix);
    outputs(&mut front);
    front
}

fn outputs(front: &mut Front) -> Vec<FrontOutput> {
    core::iter::from_fn(|| front.poll_output()).collect()
}

fn handshake(name: &str) -> Vec<u8> {
    let mut choice = b"NULL".to_vec();
    choice.resize(90, 0);
    [&[4, 4, 0, 1, name.len() as u8], name.as_bytes(), &choice].concat()
}

fn frame(little: bool, word: u32, name: &str, groups: u32, body: &[u8]) -> Vec<u8> {
    let mark = if little { 0x8000_0080 } else { 0 };
    let put = |number: u32| if little { number.to_le_bytes() } else { number.to_be_bytes() };
    let mut bytes = put(word | mark).to_vec();
    bytes.extend(name.as_bytes());
    bytes.resize(36, 0);
    bytes.extend(put(groups));
    bytes.extend(put(mark));
    bytes.extend(put(body.len() as u32));
    for group in 0..groups {
        bytes.extend(format!("{group:0<31}\0").as_bytes());
    }
    bytes.extend(body);
    bytes
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

/// Frames that are right, of a session that may do anything.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let words = vec![0x2_u32, 0x10, 0x20, 0x50, 0x0001_0000, 0x0002_0000, 0x0004_0000];
    let one = (any::<bool>(), prop::sample::select(words), 0..3_u32, bytes(50))
        .prop_map(|(little, word, groups, body)| frame(little, word, "#bad#d0", groups, &body));
    prop::collection::vec(one, 0..6).prop_map(|frames| frames.concat())
}

fn mutated(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), 0..4_usize, bytes(4));
    (valid, prop::collection::vec(edit, 0..4)).prop_map(|(mut bytes, edits)| {
        for (index, removed, added) in edits {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, added);
        }
        bytes
    })
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let session = frames().prop_map(|frames| [handshake("bad"), frames].concat());
    prop_oneof![1 => bytes(300), 4 => mutated(session)]
}

/// Cuts the input at these places.
fn pieces(input: &[u8], mut cuts: Vec<usize>) -> Vec<&[u8]> {
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|ends| &input[ends[0]..ends[1]]).collect()
}

fn feed(front: &mut Front, pieces: &[&[u8]]) -> Vec<FrontOutput> {
    for piece in pieces {
        front.received(NOW, BAD, piece);
    }
    outputs(front)
}

/// All that was written in a row, and the rest as it is.
fn summary(outputs: &[FrontOutput]) -> (Vec<u8>, Vec<String>) {
    let (mut written, mut rest) = (Vec::new(), Vec::new());
    for output in outputs {
        match output {
            FrontOutput::Write { chunk, .. } => written.extend_from_slice(chunk),
            other => rest.push(format!("{other:?}")),
        }
    }
    (written, rest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn bytes_end_at_most_their_own_session(
        input in input(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let cuts = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        let mut front = front();
        let pieces = pieces(&input, cuts);
        let told = feed(&mut front, &pieces);
        let others = |output: &FrontOutput| match output {
            FrontOutput::Write { connection, .. }
            | FrontOutput::Close { connection, .. } => *connection != BAD,
            FrontOutput::Request(_) => false,
        };
        prop_assert!(!told.iter().any(others), "{:?}", told);

        // However it is cut, it means the same.
        let whole = feed(&mut self::front(), &[&input]);
        prop_assert_eq!(summary(&told), summary(&whole));

        // The other session goes on.
        front.received(NOW, GOOD, &frame(true, 0x10, "#good#d0", 1, b"still here"));
        let sent = outputs(&mut front).into_iter().any(|output| match output {
            FrontOutput::Request(request) => match request.body {
                RequestBody::Multicast { message, .. } => {
                    message.payload == Bytes::from_static(b"still here")
                }
                _ => false,
            },
            _ => false,
        });
        prop_assert!(sent);
        front.closed(NOW, BAD);
        front.handle_timeout(NOW + Duration::from_secs(100));
        prop_assert!(front.status().half_open == 0);
    }
}
