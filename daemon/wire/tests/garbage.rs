//! Bytes from outside: read or refused, never a panic.

use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use proptest::prelude::*;
use spread_wire::arena::Arena;
use spread_wire::frame::{
    Connect, Header, Layout, NAME_BYTES_MOST, Refusal, Request, auth_methods, legal_name,
};
use spread_wire::ids::{
    BootId, Claim, ConfigurationId, DaemonId, GroupName, PrivateName, RequestNumber, RingNumber,
    SessionId, Slot,
};
use spread_wire::link::{Multicast, Request as Asked, RequestBody};
use spread_wire::ordered::table::Table;
use spread_wire::ordered::{decode, encode_request};
use spread_wire::packet::{
    Data, Join, OldRing, Packet, Plan, Propose, Proposed, State, TOKEN_REQUESTS, Token,
};
use spread_wire::service::Service;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

/// Valid bytes with some changed, removed or added.
fn mutated(valid: impl Strategy<Value = Bytes>) -> impl Strategy<Value = Bytes> {
    let edit = (any::<prop::sample::Index>(), 0..4_usize, bytes(4));
    (valid, prop::collection::vec(edit, 0..4)).prop_map(|(valid, edits)| {
        let mut bytes = valid.to_vec();
        for (index, removed, added) in edits {
            let at = index.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, added);
        }
        bytes.into()
    })
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
}

fn daemon() -> impl Strategy<Value = DaemonId> {
    (any::<u16>(), number(), any::<u128>()).prop_map(|(slot, claim, boot)| DaemonId {
        slot: Slot(slot),
        claim: Claim(claim),
        boot: BootId(boot),
    })
}

fn configuration() -> impl Strategy<Value = ConfigurationId> {
    (any::<u32>(), number(), any::<u16>(), any::<u128>()).prop_map(
        |(ring, epoch, representative, boot)| ConfigurationId {
            ring: RingNumber(ring),
            epoch,
            representative: Slot(representative),
            boot: BootId(boot),
        },
    )
}

prop_compose! {
    fn old_ring()(
        id in configuration(), (stable, aru) in (number(), number()), ahead in 0..=160_u64,
        bitmap in bytes(20), obligation in prop::collection::vec(any::<u16>().prop_map(Slot), 0..4),
    ) -> OldRing {
        // Reports that contradict themselves are refused.
        let (stable, aru) = (stable.min(aru), stable.max(aru));
        let high = aru.saturating_add(ahead.min(bitmap.len() as u64 * 8));
        OldRing { id, aru, high, stable, bitmap, obligation }
    }
}

prop_compose! {
    fn token()(
        (tag, to) in any::<(u64, u16)>(), (visit, seq, aru) in (number(), number(), number()),
        aru_owner in prop::option::of(any::<u16>().prop_map(Slot)),
        (sent, quiet, last_sender, wants_sign) in any::<(u32, u32, u16, bool)>(),
        requests in prop::collection::vec((any::<u16>(), number(), any::<u32>()), 0..TOKEN_REQUESTS),
    ) -> Packet {
        let requests = requests.into_iter().map(|(slot, at, count)| (Slot(slot), at, count)).collect();
        let last_sender = Slot(last_sender);
        Packet::Token(Token {
            tag, to: Slot(to), visit, seq, aru, aru_owner, sent, quiet, last_sender, wants_sign, requests,
        })
    }
}

prop_compose! {
    fn join()(
        (ring, hash) in any::<(u32, u64)>(), (attempt, epoch) in (number(), number()),
        me in daemon(), old in prop::option::of(configuration()),
        candidates in prop::collection::vec(daemon(), 0..4),
        failed in prop::collection::vec(any::<(u16, u128)>(), 0..4),
        claims in prop::collection::vec((any::<u16>().prop_map(Slot), number().prop_map(Claim)), 0..4),
        unreached in prop::collection::vec(any::<u16>().prop_map(Slot), 0..4),
        addresses in prop::collection::vec((any::<u16>().prop_map(Slot), address()), 0..4),
        answer in any::<bool>(),
    ) -> Packet {
        let failed = failed.into_iter().map(|(slot, boot)| (Slot(slot), BootId(boot))).collect();
        let join = Join {
            ring: RingNumber(ring), hash, attempt, epoch, me, old, candidates, failed, claims, unreached, addresses,
        };
        if answer { Packet::Answer(join) } else { Packet::Join(join) }
    }
}

fn propose() -> impl Strategy<Value = Packet> {
    let member = (daemon(), prop::option::of(configuration()), any::<u64>())
        .prop_map(|(daemon, old, attempt)| Proposed { daemon, old, attempt });
    let members = prop::collection::vec(member, 0..4);
    (configuration(), members).prop_map(|(id, mut members)| {
        members.sort_by_key(|member| member.daemon.slot);
        members.dedup_by_key(|member| member.daemon.slot);
        Packet::Propose(Propose { id, members })
    })
}

fn tagged() -> impl Strategy<Value = Packet> {
    (any::<u64>(), 0..9_u8, any::<u32>()).prop_map(|(tag, kind, ring)| match kind {
        0 => Packet::Ping { tag },
        1 => Packet::Hurry { tag },
        2 => Packet::Complete { tag },
        3 => Packet::Install { tag },
        4 => Packet::Leave { tag },
        5 => Packet::Challenge { nonce: tag },
        6 => Packet::Echo { nonce: tag },
        7 => Packet::Sign { tag, visit: tag },
        _ => Packet::Probe { tag, hash: tag, ring, claim: Claim(tag) },
    })
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn packet() -> impl Strategy<Value = Packet> {
    let data = (any::<u64>(), any::<u16>(), number(), number(), number(), bytes(50)).prop_map(
        |(tag, originator, seq, visit, stable, body)| {
            let (originator, stable) = (Slot(originator), stable.min(seq));
            Packet::Data(Data { tag, originator, seq, visit, stable, body })
        },
    );
    let state = (any::<u64>(), prop::option::of(old_ring()))
        .prop_map(|(tag, old)| Packet::State(State { tag, old }));
    let reports = prop::collection::vec((any::<u16>().prop_map(Slot), old_ring()), 0..4);
    let plan =
        (any::<u64>(), reports).prop_map(|(tag, reports)| Packet::Plan(Plan { tag, reports }));
    let ranges = prop::collection::vec((number(), any::<u32>()), 0..TOKEN_REQUESTS);
    let request = (any::<u64>(), ranges).prop_map(|(tag, ranges)| Packet::Request { tag, ranges });
    let part =
        (any::<(u32, u16, u16)>(), bytes(50)).prop_map(|((message, index, count), bytes)| {
            let claim = Claim(u64::from(message));
            Packet::Part { message, index, count, claim, bytes }
        });
    let claims = prop_oneof![
        (daemon(), prop::option::of(address())).prop_map(|(by, at)| Packet::SlotClaimed { by, at }),
        daemon().prop_map(|by| Packet::Superseded { by }),
    ];
    prop_oneof![data, token(), join(), propose(), state, plan, request, part, claims, tagged()]
}

fn request() -> impl Strategy<Value = Asked> {
    let group = || bytes(32).prop_map(|name| GroupName(name.into()));
    let multicast = (any::<(u32, [u8; 4])>(), prop::collection::vec(group(), 0..4), bytes(60))
        .prop_map(|((extra_bits, hint), groups, payload)| RequestBody::Multicast {
            session: SessionId(1),
            message: Multicast {
                service: Service::Fifo,
                extra_bits,
                hint,
                groups: groups.into(),
                payload,
            },
        });
    let join = group().prop_map(|group| RequestBody::Join { session: SessionId(7), group });
    let open = bytes(20).prop_map(|name| RequestBody::Open {
        session: SessionId(u64::MAX),
        name: PrivateName(name.into()),
        membership: true,
    });
    (number(), prop_oneof![multicast, join, open])
        .prop_map(|(number, body)| Asked { number: RequestNumber(number), body })
}

/// A frame as a client of either byte order writes it.
fn frame(layout: Layout) -> impl Strategy<Value = Bytes> {
    let words =
        prop::sample::select(vec![0x1_u32, 0x2, 0x10, 0x20, 0x0001_0000, 0x0002_0000, 0x0004_0000]);
    let hint = prop_oneof![Just(0_u32), any::<u16>().prop_map(|hint| u32::from(hint) << 8)];
    let groups = prop::collection::vec(bytes(31), 0..4);
    (any::<bool>(), words, hint, groups, bytes(80)).prop_map(
        move |(little, word, hint, groups, body)| {
            // Writers of the other order set neither bit.
            let mark = if little { 0x8000_0080 } else { 0 };
            let put = |number: u32| {
                if little { number.to_le_bytes() } else { number.to_be_bytes() }
            };
            let field = |name: &[u8]| {
                let mut field = name.to_vec();
                field.resize(layout.name_bytes, 0);
                field
            };
            let mut frame = put(word | mark).to_vec();
            frame.extend(field(b"#a#d0"));
            frame.extend(put(groups.len() as u32));
            frame.extend(put(hint | mark));
            frame.extend(put(body.len() as u32));
            groups.iter().for_each(|group| frame.extend(field(group)));
            frame.extend(&body);
            frame.into()
        },
    )
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![
        Layout::default(),
        Layout { name_bytes: 256, message_bytes: 1024 },
        Layout { name_bytes: 32, message_bytes: 100 },
    ])
}

/// As a front reads it: nothing before the header is there, nothing more than it says.
fn read_frame(input: &Bytes, layout: &Layout) -> Option<Request> {
    if input.len() < layout.header_bytes() {
        return None;
    }
    let header = Header::read(input, layout).ok()?;
    let total = header.total(layout);
    assert!(total <= layout.message_bytes, "{header:?}");
    let frame = input.get(..total).map(Bytes::copy_from_slice)?;
    let _ = Request::read(&header, &frame, &PrivateName::from("#b#d0"), layout);
    Request::read(&header, &frame, &PrivateName(header.name.clone()), layout).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_packet_reads_back(packet in packet()) {
        prop_assert_eq!(Packet::decode(packet.encode()), Ok(packet));
    }

    /// What is read from odd bytes means the same when it is written again.
    #[test]
    fn a_mutated_packet_is_read_or_refused(
        bytes in prop_oneof![mutated(packet().prop_map(|packet| packet.encode())), bytes(200)],
    ) {
        if let Ok(packet) = Packet::decode(bytes) {
            prop_assert_eq!(Packet::decode(packet.encode()), Ok(packet));
        }
    }

    #[test]
    fn any_body_of_any_kind_is_read_or_refused(kind in 0..24_u8, body in bytes(200)) {
        let bytes = [&[1, kind], &body[..]].concat();
        let _ = Packet::decode(bytes.into());
    }

    #[test]
    fn a_mutated_ordered_payload_is_read_or_refused(
        bytes in prop_oneof![mutated(request().prop_map(|asked| encode_request(7, &asked, &mut Arena::new(0)))), bytes(200)],
    ) {
        let _ = Table::decode(bytes.clone());
        let _ = decode(bytes);
    }

    #[test]
    fn a_frame_of_either_byte_order_is_read(bytes in frame(Layout::default())) {
        let layout = Layout::default();
        let header = Header::read(&bytes, &layout).expect("it is a frame");
        prop_assert_eq!(header.total(&layout), bytes.len());
        prop_assert_eq!(&header.name[..], b"#a#d0");
    }

    #[test]
    fn a_mutated_frame_is_read_or_refused(
        (layout, bytes) in layouts().prop_flat_map(|layout| {
            (Just(layout), prop_oneof![mutated(frame(layout)), bytes(400)])
        }),
    ) {
        let _ = read_frame(&bytes, &layout);
    }

    #[test]
    fn a_connect_request_is_read_refused_or_waits_for_more(
        version in prop_oneof![Just([4, 4, 0]), Just([3, 14, 1]), any::<[u8; 3]>()],
        rest in bytes(40),
    ) {
        let input = [&version[..], &rest[..]].concat();
        match Connect::read(&input) {
            Ok(Some((connect, taken))) => {
                prop_assert!(taken <= input.len() && connect.name.len() <= NAME_BYTES_MOST);
                prop_assert!(connect.name.is_empty() || legal_name(&connect.name));
                // The same request a byte shorter was not whole.
                prop_assert_eq!(Connect::read(&input[..taken - 1]), Ok(None));
            }
            Ok(None) => prop_assert!(input.len() < 5 + NAME_BYTES_MOST),
            Err(refusal) => {
                prop_assert!(matches!(refusal, Refusal::Version | Refusal::IllegalName));
            }
        }
        prop_assert!(auth_methods(&rest).len() <= 3);
    }
}
