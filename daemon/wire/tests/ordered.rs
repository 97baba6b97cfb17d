//! Ordered payloads: what is written is read again, small, and nothing from outside panics.

use bytes::Bytes;
use proptest::prelude::*;
use spread_wire::arena::Arena;
use spread_wire::ids::{
    BootId, ConfigurationId, EndpointIdentity, EndpointName, EndpointUid, Epoch, GroupId,
    GroupName, PrivateName, RequestNumber, RingNumber, SessionId, Slot,
};
use spread_wire::link::{Multicast, Request, RequestBody};
use spread_wire::ordered::table::{Origin, Table, TableEndpoint, TableGroup, TableSession};
use spread_wire::ordered::{
    AttachEndpoint, Chunk, Ordered, decode, encode_attach, encode_chunk, encode_detach,
    encode_forget, encode_request, encode_void,
};
use spread_wire::service::Service;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn multicast() -> impl Strategy<Value = Multicast> {
    let services = prop::sample::select(vec![Service::Unreliable, Service::Fifo, Service::Safe]);
    let groups = prop::collection::vec(bytes(40).prop_map(|name| GroupName(name.into())), 0..=100);
    (services, any::<u32>(), any::<[u8; 4]>(), groups, bytes(2000)).prop_map(
        |(service, extra_bits, hint, groups, payload)| Multicast {
            service,
            extra_bits,
            hint,
            groups: groups.into(),
            payload,
        },
    )
}

fn body() -> impl Strategy<Value = RequestBody> {
    let session = || any::<u64>().prop_map(SessionId);
    let group = || bytes(255).prop_map(|name| GroupName(name.into()));
    prop_oneof![
        (session(), bytes(64).prop_map(|name| PrivateName(name.into())), any::<bool>()).prop_map(
            |(session, name, membership)| RequestBody::Open { session, name, membership }
        ),
        (session(), any::<bool>())
            .prop_map(|(session, broken)| RequestBody::Close { session, broken }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Join { session, group }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Leave { session, group }),
        (session(), multicast())
            .prop_map(|(session, message)| RequestBody::Multicast { session, message }),
        (session(), any::<u32>(), bytes(200))
            .prop_map(|(session, index, bytes)| RequestBody::Part { session, index, bytes }),
        (session(), any::<u32>(), multicast())
            .prop_map(|(session, parts, message)| RequestBody::Rest { session, parts, message }),
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
    let group = (bytes(40), prop::option::of(any::<[u8; 12]>()), any::<bool>()).prop_map(
        |(name, id, marked)| TableGroup {
            name: GroupName(name.into()),
            id: id.map(GroupId),
            marked,
        },
    );
    let groups = prop::collection::vec(group, 3..6);
    let endpoints = || prop::collection::vec(endpoint(), 0..4);
    (any::<u16>(), prop::option::of(origin), groups, endpoints(), endpoints()).prop_map(
        |(slot, origin, groups, endpoints, lost)| Table {
            slot: Slot(slot),
            origin,
            groups,
            endpoints,
            lost,
        },
    )
}

/// An endpoint whose sessions are in the first three groups of a table at most.
fn endpoint() -> impl Strategy<Value = TableEndpoint> {
    let number = || any::<u64>().prop_map(RequestNumber);
    let groups = prop::collection::vec((0..3_u32, number()), 0..4);
    let session = (any::<u64>(), bytes(64), any::<bool>(), groups).prop_map(
        |(id, name, membership, groups)| TableSession {
            id: SessionId(id),
            name: PrivateName(name.into()),
            membership,
            groups,
        },
    );
    let identity =
        (any::<u128>(), bytes(19), any::<u64>()).prop_map(|(uid, name, epoch)| EndpointIdentity {
            uid: EndpointUid(uid),
            name: EndpointName(name.into()),
            epoch: Epoch(epoch),
        });
    let sessions = prop::collection::vec(session, 0..5);
    (any::<u32>(), prop::option::of(identity), number(), sessions).prop_map(
        |(index, identity, last, sessions)| TableEndpoint { index, identity, last, sessions },
    )
}

fn attach() -> impl Strategy<Value = AttachEndpoint> {
    let ids = (any::<u32>(), any::<u128>(), bytes(19), any::<u64>());
    (ids, any::<bool>(), any::<u64>(), any::<u64>()).prop_map(
        |((endpoint, uid, name, epoch), new, applied, lowest)| AttachEndpoint {
            endpoint,
            uid: EndpointUid(uid),
            name: EndpointName(name.into()),
            epoch: Epoch(epoch),
            new,
            applied: RequestNumber(applied),
            lowest_held: RequestNumber(lowest),
        },
    )
}

proptest! {
    #[test]
    fn requests_come_back(number in any::<u64>(), endpoint in any::<u32>(), body in body()) {
        let request = Request { number: RequestNumber(number), body };
        // Neighbours in shared memory, or in memory of their own where they are large.
        let mut arena = Arena::new(1 << 15);
        let all = [0, 1, 2].map(|more| encode_request(endpoint ^ more, &request, &mut arena));
        for (more, payload) in (0..).zip(all) {
            let wanted = Ordered::Request { endpoint: endpoint ^ more, request: request.clone() };
            prop_assert_eq!(decode(payload), Ok(wanted));
        }
    }

    #[test]
    fn attaches_and_their_ends_come_back(attach in attach(), epoch in any::<u64>()) {
        let (uid, epoch, endpoint) = (attach.uid, Epoch(epoch), attach.endpoint);
        prop_assert_eq!(decode(encode_attach(&attach)).unwrap(), Ordered::Attach(attach));
        prop_assert_eq!(decode(encode_detach(endpoint)).unwrap(), Ordered::Detach { endpoint });
        prop_assert_eq!(decode(encode_forget(uid, epoch)).unwrap(), Ordered::Forget { uid, epoch });
    }

    #[test]
    fn tables_come_back(table in table()) {
        prop_assert_eq!(Table::decode(table.encode()).unwrap(), table);
    }

    #[test]
    fn garbage_is_refused_or_read(garbage in bytes(200), kind in 0..16_u8) {
        let led = [&[0x10 | kind][..], &garbage[..]].concat();
        let _ = decode(led.into());
        let _ = decode(garbage.clone());
        let _ = Table::decode(garbage);
    }

    #[test]
    fn a_request_cut_short_is_never_another(body in body(), cut in any::<prop::sample::Index>()) {
        let request = Request { number: RequestNumber(7), body };
        let whole = encode_request(0, &request, &mut Arena::new(0));
        let part = whole.slice(..cut.index(whole.len()));
        prop_assert_ne!(decode(part).ok(), Some(Ordered::Request { endpoint: 0, request }));
    }
}

#[test]
fn parts_and_voids_come_back() {
    let chunk = Chunk { configuration: u64::MAX, last: true, bytes: Bytes::from_static(b"part") };
    assert_eq!(decode(encode_chunk(&chunk)).unwrap(), Ordered::Chunk(chunk));
    let number = RequestNumber(1 << 40);
    for endpoint in [0, 9] {
        let void = Ordered::Void { endpoint, number };
        assert_eq!(decode(encode_void(endpoint, number)).unwrap(), void);
    }
}

#[test]
fn a_message_costs_few_bytes_and_its_payload_is_not_copied() {
    let message = Multicast {
        service: Service::Agreed,
        extra_bits: 0x40,
        hint: [0, 1, 2, 3],
        groups: [GroupName::from("orders")].into(),
        payload: Bytes::from(vec![9; 1000]),
    };
    let session = SessionId(100_000);
    let body = RequestBody::Multicast { session, message };
    let payload =
        encode_request(0, &Request { number: RequestNumber(1 << 30), body }, &mut Arena::new(0));
    assert!(payload.len() <= 1000 + "orders".len() + 24);
    let Ok(Ordered::Request { request, .. }) = decode(payload.clone()) else {
        panic!("a request");
    };
    let RequestBody::Multicast { message, .. } = request.body else {
        panic!("a message");
    };
    assert_eq!(message.payload.as_ptr_range().end, payload.as_ptr_range().end);
}
