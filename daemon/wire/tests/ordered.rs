//! Ordered payloads: what is written is read again, small, and nothing from outside panics.

use bytes::Bytes;
use proptest::prelude::*;
use spread_wire::ids::{
    BootId, ConfigurationId, GroupId, GroupName, PrivateName, RequestNumber, RingNumber, SessionId,
    Slot,
};
use spread_wire::link::{Multicast, Request, RequestBody};
use spread_wire::ordered::table::{Origin, Table, TableGroup, TableSession};
use spread_wire::ordered::{Chunk, Ordered, decode, encode_chunk, encode_request, encode_void};
use spread_wire::service::Service;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn multicast() -> impl Strategy<Value = Multicast> {
    let services = prop::sample::select(vec![Service::Unreliable, Service::Fifo, Service::Safe]);
    let groups = prop::collection::vec(bytes(40).prop_map(GroupName), 0..=100);
    (services, any::<u32>(), any::<[u8; 4]>(), groups, bytes(2000)).prop_map(
        |(service, extra_bits, hint, groups, payload)| Multicast {
            service,
            extra_bits,
            hint,
            groups,
            payload,
        },
    )
}

fn body() -> impl Strategy<Value = RequestBody> {
    let session = || any::<u64>().prop_map(SessionId);
    let group = || bytes(255).prop_map(GroupName);
    prop_oneof![
        (session(), bytes(64).prop_map(PrivateName), any::<bool>()).prop_map(
            |(session, name, membership)| RequestBody::Open { session, name, membership }
        ),
        (session(), any::<bool>())
            .prop_map(|(session, broken)| RequestBody::Close { session, broken }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Join { session, group }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Leave { session, group }),
        (session(), multicast())
            .prop_map(|(session, message)| RequestBody::Multicast { session, message }),
    ]
}

fn configuration() -> impl Strategy<Value = ConfigurationId> {
    (any::<u32>(), any::<u64>(), any::<u16>(), any::<u128>()).prop_map(
        |(ring, epoch, representative, boot)| ConfigurationId {
            ring: RingNumber(ring),
            epoch,
            representative: Slot(representative),
            boot: BootId(boot),
        },
    )
}

fn table() -> impl Strategy<Value = Table> {
    let origin = (configuration(), configuration(), any::<u16>())
        .prop_map(|(settled, branch, first)| Origin { settled, branch, first: Slot(first) });
    let session = (any::<u64>(), bytes(64), any::<bool>()).prop_map(|(id, name, membership)| {
        TableSession { id: SessionId(id), name: PrivateName(name), membership }
    });
    let members = prop::collection::vec(any::<u64>().prop_map(SessionId), 0..5);
    let group = (bytes(40), any::<[u8; 12]>(), any::<bool>(), members).prop_map(
        |(name, id, marked, members)| TableGroup {
            name: GroupName(name),
            id: GroupId(id),
            marked,
            members,
        },
    );
    let sessions = prop::collection::vec(session, 0..5);
    let groups = prop::collection::vec(group, 0..5);
    (any::<u16>(), prop::option::of(origin), any::<u64>(), sessions, groups).prop_map(
        |(slot, origin, last, sessions, groups)| Table {
            slot: Slot(slot),
            origin,
            last: RequestNumber(last),
            sessions,
            groups,
        },
    )
}

proptest! {
    #[test]
    fn requests_come_back(number in any::<u64>(), body in body()) {
        let request = Request { number: RequestNumber(number), body };
        let read = decode(encode_request(&request)).unwrap();
        prop_assert_eq!(read, Ordered::Request(request));
    }

    #[test]
    fn tables_come_back(table in table()) {
        prop_assert_eq!(Table::decode(table.encode()).unwrap(), table);
    }

    #[test]
    fn garbage_is_refused_or_read(garbage in bytes(200), kind in 0..8_u8) {
        let led = [&[0x10 | kind][..], &garbage[..]].concat();
        let _ = decode(led.into());
        let _ = decode(garbage.clone());
        let _ = Table::decode(garbage);
    }

    #[test]
    fn a_request_cut_short_is_never_another(body in body(), cut in any::<prop::sample::Index>()) {
        let request = Request { number: RequestNumber(7), body };
        let whole = encode_request(&request);
        let part = whole.slice(..cut.index(whole.len()));
        prop_assert_ne!(decode(part).ok(), Some(Ordered::Request(request)));
    }
}

#[test]
fn parts_and_voids_come_back() {
    let chunk = Chunk { configuration: u64::MAX, last: true, bytes: Bytes::from_static(b"part") };
    assert_eq!(decode(encode_chunk(&chunk)).unwrap(), Ordered::Chunk(chunk));
    let number = RequestNumber(1 << 40);
    assert_eq!(decode(encode_void(number)).unwrap(), Ordered::Void(number));
}

#[test]
fn a_message_costs_few_bytes_and_its_payload_is_not_copied() {
    let message = Multicast {
        service: Service::Agreed,
        extra_bits: 0x40,
        hint: [0, 1, 2, 3],
        groups: vec![GroupName::from("orders")],
        payload: Bytes::from(vec![9; 1000]),
    };
    let session = SessionId(100_000);
    let body = RequestBody::Multicast { session, message };
    let payload = encode_request(&Request { number: RequestNumber(1 << 30), body });
    assert!(payload.len() <= 1000 + "orders".len() + 24);
    let Ok(Ordered::Request(Request { body: RequestBody::Multicast { message, .. }, .. })) =
        decode(payload.clone())
    else {
        panic!("a message");
    };
    assert_eq!(message.payload.as_ptr_range().end, payload.as_ptr_range().end);
}
