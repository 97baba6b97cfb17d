//! Seeds: small inputs of every kind, so that a fuzzer need not find out how frames look.

use crate::steps::root;
use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;
use spread_wire::arena::Arena;
use spread_wire::ids::{
    BootId, Claim, ConfigurationId, DaemonId, EndpointIdentity, EndpointName, EndpointUid, Epoch,
    GroupId, GroupName, Position, PrivateName, RequestNumber, RingNumber, Seq, SessionId, Slot,
};
use spread_wire::link::{
    Attach, Cause, Delivered, LinkEvent, Multicast, RefusedAttach, Request, RequestBody, View,
};
use spread_wire::ordered::table::{Origin, Table, TableEndpoint, TableGroup, TableSession};
use spread_wire::ordered::{
    AttachEndpoint, Chunk, encode_attach, encode_chunk, encode_detach, encode_forget,
    encode_request, encode_void,
};
use spread_wire::packet::{Data, Join, OldRing, Packet, Plan, Propose, Proposed, State, Token};
use spread_wire::service::Service;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

/// Most bytes of a seed.
const SEED_BYTES: usize = 2000;

type Seeds = BTreeMap<String, Vec<u8>>;

/// Writes all seeds; what was there before goes.
pub fn write() -> Result<()> {
    let vectors = vectors()?;
    let all = [
        ("client_frames", client_frames(&vectors)),
        ("link_frames", link_frames()),
        ("ring_packets", ring_packets()),
        ("configuration", configuration(&vectors)?),
        ("engine", engine()),
    ];
    for (target, seeds) in all {
        let folder = root().join("daemon/fuzz/seeds").join(target);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for (name, bytes) in &seeds {
            let file = folder.join(name);
            fs::write(&file, bytes)
                .with_context(|| format!("{} can't be written", file.display()))?;
        }
        println!("{} seeds for {target}", seeds.len());
    }
    Ok(())
}

/// The recorded transcripts, by name.
fn vectors() -> Result<BTreeMap<String, Value>> {
    let mut vectors = BTreeMap::new();
    for entry in fs::read_dir(root().join("daemon/spreadd/tests/vectors"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let vector: Value = serde_json::from_slice(&fs::read(&path)?)
                .with_context(|| format!("{} can't be read", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            vectors.insert(name, vector);
        }
    }
    Ok(vectors)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter_map(|byte| char::from(byte).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What each client sent: a byte that says that the handshake is in it, then pieces with their length.
fn client_frames(vectors: &BTreeMap<String, Value>) -> Seeds {
    let mut seeds = Seeds::new();
    for (name, vector) in vectors {
        let steps = vector["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut sent: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for step in steps.iter().filter(|step| step["dir"] == "c2d") {
            let (Some(client), Some(text)) = (step["client"].as_u64(), step["bytes"].as_str())
            else {
                continue;
            };
            let seed = sent.entry(client).or_insert_with(|| vec![0]);
            // The front that is fuzzed is that of d0.
            let bytes = of_d0(hex(text));
            for piece in bytes.chunks(256) {
                if seed.len() + piece.len() < SEED_BYTES {
                    seed.push((piece.len() - 1) as u8);
                    seed.extend(piece);
                }
            }
        }
        // A few clients of each transcript say all that it says.
        for (client, seed) in sent.into_iter().take(4) {
            seeds.insert(format!("{name}_{client}"), seed);
        }
    }
    seeds
}

fn of_d0(mut bytes: Vec<u8>) -> Vec<u8> {
    let places: Vec<usize> = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, three)| three == b"#d1")
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at + 2] = b'0';
    }
    bytes
}

/// The transcripts' configurations and the examples of the documentation.
fn configuration(vectors: &BTreeMap<String, Value>) -> Result<Seeds> {
    let mut texts: Vec<String> = Vec::new();
    for vector in vectors.values() {
        let lines = vector["config"].as_array().map(Vec::as_slice).unwrap_or_default();
        let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
        texts.push(lines.join("\n") + "\n");
    }
    let page = fs::read_to_string(root().join("docs/configuration.md"))?;
    texts.extend(
        page.split("```")
            .skip(1)
            .step_by(2)
            .map(|block| block.split_once('\n').map_or("", |(_, text)| text).to_owned()),
    );
    texts.sort();
    texts.dedup();
    let small = texts.into_iter().filter(|text| (1..SEED_BYTES).contains(&text.len()));
    Ok(small.enumerate().map(|(index, text)| (format!("{index:02}"), text.into_bytes())).collect())
}

fn boot() -> BootId {
    BootId(0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00)
}

fn id() -> ConfigurationId {
    ConfigurationId { ring: RingNumber(1), epoch: 9, representative: Slot(0), boot: boot() }
}

fn daemon(slot: u16) -> DaemonId {
    DaemonId { slot: Slot(slot), claim: Claim(1_700_000_000_000), boot: boot() }
}

fn position() -> Position {
    Position { configuration: id(), seq: Seq(300), index: 2 }
}

fn message() -> Multicast {
    Multicast {
        service: Service::Agreed,
        extra_bits: 0x40,
        hint: [0x80, 1, 0, 0x80],
        groups: vec![GroupName::from("orders"), GroupName::from("#bob#d1")].into(),
        payload: Bytes::from_static(b"payload"),
    }
}

fn requests() -> Vec<(&'static str, RequestBody)> {
    let session = SessionId(300);
    let group = GroupName::from("orders");
    vec![
        ("open", RequestBody::Open { session, name: PrivateName::from("#a#d0"), membership: true }),
        ("close", RequestBody::Close { session, broken: true }),
        ("join", RequestBody::Join { session, group: group.clone() }),
        ("leave", RequestBody::Leave { session, group }),
        ("multicast", RequestBody::Multicast { session, message: message() }),
        ("part", RequestBody::Part { session, index: 1, bytes: Bytes::from_static(b"part") }),
        ("rest", RequestBody::Rest { session, parts: 2, message: message() }),
    ]
}

fn link_frames() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |name: &str, bytes: Bytes| seeds.insert(name.to_owned(), bytes.to_vec());
    let attach = Attach {
        uid: EndpointUid(7),
        name: EndpointName::from("cart-7f9c"),
        epoch: Epoch(2),
        position: Some(position()),
        applied: RequestNumber(39),
        lowest_held: RequestNumber(40),
    };
    add("attach", attach.encode().concat());
    for (index, (name, body)) in requests().into_iter().enumerate() {
        let request = Request { number: RequestNumber(index as u64 + 1), body };
        add(name, request.encode().concat());
    }
    for (name, event) in events() {
        add(name, event.encode().concat());
    }
    let all: Vec<u8> = seeds.values().flatten().copied().collect();
    seeds.insert("all".to_owned(), all);
    seeds
}

fn events() -> Vec<(&'static str, LinkEvent)> {
    let (session, number) = (SessionId(300), RequestNumber(12));
    let receivers: Arc<[SessionId]> = [1, 2, 300].map(SessionId).into();
    let members = ["#a#d0", "#b#d0", "#c#d1"].map(PrivateName::from).to_vec();
    let delivered = Delivered {
        position: position(),
        sender: members[0].clone(),
        sender_session: (EndpointUid(7), session),
        number: Some(RequestNumber(3)),
        message: message(),
    };
    let view = |cause, vs_sets: Vec<Vec<PrivateName>>| {
        LinkEvent::View(Arc::new(View {
            position: position(),
            group: GroupName::from("orders"),
            id: GroupId([7; 12]),
            cause,
            members: members.clone(),
            receivers: vec![(session, vs_sets.len().saturating_sub(1) as u32)],
            vs_sets,
        }))
    };
    vec![
        (
            "attached",
            LinkEvent::Attached {
                epoch: Epoch(2),
                last: number,
                sessions: receivers.clone(),
                position: position(),
            },
        ),
        ("applied", LinkEvent::Applied { number, position: position() }),
        ("attach_refused", LinkEvent::AttachRefused { reason: RefusedAttach::Unknown }),
        ("detached", LinkEvent::Detached),
        ("parts_lost", LinkEvent::PartsLost { last: number }),
        ("acknowledged", LinkEvent::Acknowledged { number }),
        ("opened", LinkEvent::SessionOpened { session, position: position() }),
        ("refused", LinkEvent::SessionRefused { session }),
        ("closed", LinkEvent::SessionClosed { session }),
        ("message", LinkEvent::Message(delivered, receivers.clone())),
        ("view_join", view(Cause::Join(members[2].clone()), Vec::new())),
        ("view_network", view(Cause::Network, vec![members[..2].to_vec(), members[2..].to_vec()])),
        (
            "transition",
            LinkEvent::Transition {
                group: GroupName::from("orders"),
                receivers,
                id: GroupId([7; 12]),
                position: position(),
            },
        ),
        ("pause", LinkEvent::Pause(true)),
    ]
}

fn ring_packets() -> Seeds {
    let mut seeds = Seeds::new();
    for (name, packet) in packets() {
        seeds.insert(name.to_owned(), packet.encode().to_vec());
    }
    let mut arena = Arena::new(0);
    for (name, body) in requests() {
        let request = Request { number: RequestNumber(5), body };
        seeds.insert(format!("ordered_{name}"), encode_request(0, &request, &mut arena).to_vec());
        seeds.insert(
            format!("ordered_attached_{name}"),
            encode_request(3, &request, &mut arena).to_vec(),
        );
    }
    seeds.insert("ordered_void".into(), encode_void(0, RequestNumber(6)).to_vec());
    let (uid, name, epoch) = (EndpointUid(7), EndpointName::from("cart-7f9c"), Epoch(2));
    let attach = AttachEndpoint {
        endpoint: 3,
        uid,
        name: name.clone(),
        epoch,
        new: false,
        applied: RequestNumber(39),
        lowest_held: RequestNumber(40),
    };
    seeds.insert("ordered_attach".into(), encode_attach(&attach).to_vec());
    seeds.insert("ordered_detach".into(), encode_detach(3).to_vec());
    seeds.insert("ordered_forget".into(), encode_forget(uid, epoch).to_vec());
    let endpoint = |index, identity| TableEndpoint {
        index,
        identity,
        last: RequestNumber(12),
        sessions: vec![TableSession {
            id: SessionId(1),
            name: PrivateName::from("#a#d1"),
            membership: true,
            groups: vec![(0, RequestNumber(2))],
        }],
    };
    let identity = || Some(EndpointIdentity { uid, name: name.clone(), epoch });
    let table = Table {
        slot: Slot(1),
        origin: Some(Origin { settled: id(), branch: id(), first: Slot(0) }),
        groups: vec![TableGroup {
            name: GroupName::from("orders"),
            id: Some(GroupId([7; 12])),
            marked: false,
        }],
        endpoints: vec![endpoint(0, None), endpoint(3, identity())],
        lost: vec![endpoint(0, identity())],
    };
    let chunk = Chunk { configuration: 7, last: true, bytes: table.encode() };
    seeds.insert("ordered_chunk".into(), encode_chunk(&chunk).to_vec());
    seeds.insert("table".into(), table.encode().to_vec());
    seeds
}

fn packets() -> Vec<(&'static str, Packet)> {
    let tag = 0x0102_0304_0506_0708;
    let old = OldRing {
        id: id(),
        aru: 20,
        high: 30,
        stable: 10,
        bitmap: Bytes::from_static(&[0b1010_0101, 3]),
        obligation: vec![Slot(1)],
    };
    let join = Join {
        ring: RingNumber(1),
        hash: tag,
        attempt: 3,
        epoch: 9,
        me: daemon(0),
        old: Some(id()),
        candidates: vec![daemon(0), daemon(1)],
        failed: vec![(Slot(2), boot())],
        claims: vec![(Slot(1), Claim(5))],
        unreached: vec![Slot(1)],
        addresses: vec![(Slot(0), SocketAddr::from(([10, 0, 0, 1], 4803)))],
    };
    let token = Token {
        tag,
        to: Slot(1),
        visit: 70,
        seq: 30,
        aru: 20,
        aru_owner: Some(Slot(1)),
        sent: 4,
        quiet: 0,
        last_sender: Slot(1),
        wants_sign: true,
        requests: vec![(Slot(1), 21, 2)],
    };
    let data = Data {
        tag,
        originator: Slot(1),
        seq: 30,
        visit: 69,
        stable: 20,
        body: Bytes::from_static(b"\x01\x03abc"),
    };
    let at = "10.0.0.7:4803".parse().ok();
    vec![
        ("data", Packet::Data(data)),
        ("token", Packet::Token(token)),
        ("sign", Packet::Sign { tag, visit: 70 }),
        ("ping", Packet::Ping { tag }),
        ("hurry", Packet::Hurry { tag }),
        ("join", Packet::Join(join.clone())),
        ("answer", Packet::Answer(join)),
        (
            "propose",
            Packet::Propose(Propose {
                id: id(),
                members: vec![
                    Proposed { daemon: daemon(0), old: Some(id()), attempt: 3 },
                    Proposed { daemon: daemon(1), old: None, attempt: 1 },
                ],
            }),
        ),
        ("state", Packet::State(State { tag, old: Some(old.clone()) })),
        ("plan", Packet::Plan(Plan { tag, reports: vec![(Slot(0), old)] })),
        ("request", Packet::Request { tag, ranges: vec![(21, 2), (25, 1)] }),
        ("complete", Packet::Complete { tag }),
        ("install", Packet::Install { tag }),
        ("probe", Packet::Probe { tag, hash: tag, ring: 1, claim: Claim(5) }),
        ("challenge", Packet::Challenge { nonce: tag }),
        ("echo", Packet::Echo { nonce: tag }),
        ("leave", Packet::Leave { tag }),
        ("slot_claimed", Packet::SlotClaimed { by: daemon(1), at }),
        ("superseded", Packet::Superseded { by: daemon(1) }),
        (
            "part",
            Packet::Part {
                message: 1,
                index: 0,
                count: 2,
                claim: Claim(5),
                bytes: Bytes::from_static(b"half"),
            },
        ),
    ]
}

/// Operations of the target `engine`: a byte that says which and at whom, and an argument.
fn engine() -> Seeds {
    const CARRY: [u8; 2] = [2, 0];
    const PASS: [u8; 2] = [0, 20];
    let request = |daemon: u8, kind: u8, which: u8| [daemon << 7 | kind << 3 | 6, which];
    let (open, join, leave, send, close) = (0, 2, 3, 5, 1);
    let (part, rest) = (4, 6);
    let seed = |operations: &[[u8; 2]]| operations.concat();
    let traffic = [
        request(0, open, 1),
        request(1, open, 1),
        CARRY,
        request(0, join, 1),
        request(1, join, 1),
        CARRY,
        PASS,
        CARRY,
        request(0, send, 0x21),
        CARRY,
        request(1, leave, 1),
        request(0, close, 1),
        CARRY,
        PASS,
    ];
    let large = [
        request(0, open, 1),
        request(0, join, 1),
        CARRY,
        request(0, part, 0x01),
        request(0, rest, 0x11),
        CARRY,
        PASS,
    ];
    let lost = [request(0, open, 1), [3, 0], [1, 60], [1, 60], CARRY, CARRY, CARRY, PASS, CARRY];
    let damaged = [request(0, open, 1), [4, 1], CARRY, [0x54, 20], CARRY, PASS, CARRY];
    let mut strange = seed(&[CARRY]);
    for (_, packet) in packets() {
        let bytes = packet.encode();
        strange.extend([5, bytes.len() as u8]);
        strange.extend(&bytes[..usize::from(bytes.len() as u8)]);
    }
    Seeds::from([
        ("traffic".to_owned(), seed(&traffic)),
        ("large".to_owned(), seed(&large)),
        ("lost".to_owned(), seed(&lost)),
        ("damaged".to_owned(), seed(&damaged)),
        ("strange".to_owned(), strange),
    ])
}
