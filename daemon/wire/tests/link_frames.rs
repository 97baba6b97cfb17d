//! Frames of links: every value comes back, and no bytes do more than end the link.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use spread_wire::ids::{
    BootId, ConfigurationId, EndpointName, EndpointUid, Epoch, GroupId, GroupName, Position,
    PrivateName, RequestNumber, RingNumber, Seq, SessionId, Slot,
};
use spread_wire::link::frame::{Frame, HEADER_BYTES, LinkError, VERSION};
use spread_wire::link::{
    Attach, Cause, Delivered, LinkEvent, Multicast, RefusedAttach, Request, RequestBody, ToEngine,
    View,
};
use spread_wire::service::Service;
use std::collections::BTreeSet;
use std::sync::Arc;

const MOST: usize = 1 << 20;

fn bytes(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
}

fn session() -> impl Strategy<Value = SessionId> {
    number().prop_map(SessionId)
}

fn group() -> impl Strategy<Value = GroupName> {
    bytes(255).prop_map(|name| GroupName(name.into()))
}

fn private() -> impl Strategy<Value = PrivateName> {
    bytes(64).prop_map(|name| PrivateName(name.into()))
}

fn position() -> impl Strategy<Value = Position> {
    let id = (any::<u32>(), number(), any::<u16>(), any::<u128>());
    (id, number(), any::<u32>()).prop_map(|((ring, epoch, slot, boot), seq, index)| Position {
        configuration: ConfigurationId {
            ring: RingNumber(ring),
            epoch,
            representative: Slot(slot),
            boot: BootId(boot),
        },
        seq: Seq(seq),
        index,
    })
}

/// Each once, in rising order.
fn sessions() -> impl Strategy<Value = Arc<[SessionId]>> {
    prop::collection::btree_set(session(), 0..20).prop_map(|set| set.into_iter().collect())
}

fn multicast() -> impl Strategy<Value = Multicast> {
    let services = prop::sample::select(vec![
        Service::Unreliable,
        Service::Reliable,
        Service::Fifo,
        Service::Causal,
        Service::Agreed,
        Service::Safe,
    ]);
    let groups = prop::collection::vec(group(), 0..=100);
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

fn attach() -> impl Strategy<Value = Attach> {
    let name = prop::collection::vec(any::<u8>(), 1..=19);
    (any::<u128>(), name, number(), prop::option::of(position()), number(), number()).prop_map(
        |(uid, name, epoch, position, applied, lowest)| Attach {
            uid: EndpointUid(uid),
            name: EndpointName(name.into()),
            epoch: Epoch(epoch),
            position,
            applied: RequestNumber(applied),
            lowest_held: RequestNumber(lowest),
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        (session(), private(), any::<bool>()).prop_map(|(session, name, membership)| {
            RequestBody::Open { session, name, membership }
        }),
        (session(), any::<bool>())
            .prop_map(|(session, broken)| RequestBody::Close { session, broken }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Join { session, group }),
        (session(), group()).prop_map(|(session, group)| RequestBody::Leave { session, group }),
        (session(), multicast())
            .prop_map(|(session, message)| RequestBody::Multicast { session, message }),
        (session(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..200)).prop_map(
            |(session, index, bytes)| RequestBody::Part { session, index, bytes: bytes.into() }
        ),
        (session(), any::<u32>(), multicast())
            .prop_map(|(session, parts, message)| RequestBody::Rest { session, parts, message }),
    ];
    (number(), body).prop_map(|(number, body)| Request { number: RequestNumber(number), body })
}

fn to_engine() -> impl Strategy<Value = ToEngine> {
    prop_oneof![attach().prop_map(ToEngine::Attach), request().prop_map(ToEngine::Request)]
}

fn delivered() -> impl Strategy<Value = LinkEvent> {
    let sender = (private(), any::<u128>(), session());
    (position(), sender, multicast(), sessions()).prop_map(
        |(position, (sender, uid, session), message, receivers)| {
            let sender_session = (EndpointUid(uid), session);
            let number = (uid % 2 == 0).then_some(RequestNumber(uid as u64 % 1000 + 1));
            let delivered = Delivered { position, sender, sender_session, number, message };
            LinkEvent::Message(delivered, receivers)
        },
    )
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        private().prop_map(Cause::Join),
        private().prop_map(Cause::Leave),
        private().prop_map(Cause::Disconnect),
        Just(Cause::Network),
    ]
}

prop_compose! {
    fn view()(
        position in position(), group in group(), id in any::<[u8; 12]>(), cause in cause(),
        members in prop::collection::btree_set(private(), 1..12),
        ends in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        receivers in prop::collection::vec((session(), any::<prop::sample::Index>()), 0..6),
    ) -> LinkEvent {
        let members: Vec<PrivateName> = members.into_iter().collect();
        // Sets share out the members; one of them may be of names that are gone.
        let ends: BTreeSet<usize> = ends.iter().map(|end| end.index(members.len())).collect();
        let mut rest = &members[..];
        let mut vs_sets = Vec::new();
        for end in ends.iter().rev() {
            let (head, tail) = rest.split_at(*end);
            vs_sets.push(tail.to_vec());
            rest = head;
        }
        let sets = vs_sets.len().max(1);
        let receivers =
            receivers.into_iter().map(|(session, set)| (session, set.index(sets) as u32)).collect();
        let id = GroupId(id);
        LinkEvent::View(Arc::new(View { position, group, id, cause, members, vs_sets, receivers }))
    }
}

fn event() -> impl Strategy<Value = LinkEvent> {
    let refused = prop::sample::select(vec![
        RefusedAttach::Superseded,
        RefusedAttach::Unknown,
        RefusedAttach::NotReady,
        RefusedAttach::Name,
    ]);
    prop_oneof![
        (number(), number(), sessions(), position()).prop_map(
            |(epoch, last, sessions, position)| LinkEvent::Attached {
                epoch: Epoch(epoch),
                last: RequestNumber(last),
                sessions,
                position,
            }
        ),
        (number(), position()).prop_map(|(number, position)| LinkEvent::Applied {
            number: RequestNumber(number),
            position
        }),
        refused.prop_map(|reason| LinkEvent::AttachRefused { reason }),
        Just(LinkEvent::Detached),
        number().prop_map(|last| LinkEvent::PartsLost { last: RequestNumber(last) }),
        number().prop_map(|number| LinkEvent::Acknowledged { number: RequestNumber(number) }),
        (session(), position())
            .prop_map(|(session, position)| LinkEvent::SessionOpened { session, position }),
        session().prop_map(|session| LinkEvent::SessionRefused { session }),
        session().prop_map(|session| LinkEvent::SessionClosed { session }),
        delivered(),
        view(),
        (group(), sessions(), any::<[u8; 12]>(), position()).prop_map(
            |(group, receivers, id, position)| LinkEvent::Transition {
                group,
                receivers,
                id: GroupId(id),
                position,
            }
        ),
        any::<bool>().prop_map(LinkEvent::Pause),
    ]
}

/// The one frame that these bytes are.
fn frame(bytes: &[u8]) -> Frame {
    let mut input = BytesMut::from(bytes);
    let frame = Frame::take(&mut input, MOST).expect("it is right").expect("it is whole");
    assert!(input.is_empty(), "nothing is left");
    frame
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

/// Reads everything as each side would; what is read means the same when it is written again.
fn read_all(bytes: &[u8]) {
    let mut input = BytesMut::from(bytes);
    while let Ok(Some(frame)) = Frame::take(&mut input, MOST) {
        if let Ok(read) = ToEngine::decode(frame.clone()) {
            assert_eq!(ToEngine::decode(self::frame(&read.encode().concat())), Ok(read));
        }
        if let Ok(read) = LinkEvent::decode(frame) {
            assert_eq!(LinkEvent::decode(self::frame(&read.encode().concat())), Ok(read));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_an_endpoint_says_comes_back(said in to_engine()) {
        let frame = frame(&said.encode().concat());
        prop_assert!(LinkEvent::decode(frame.clone()).is_err(), "an engine says other things");
        prop_assert_eq!(ToEngine::decode(frame), Ok(said));
    }

    #[test]
    fn what_an_engine_says_comes_back(said in event()) {
        let frame = frame(&said.encode().concat());
        prop_assert!(ToEngine::decode(frame.clone()).is_err(), "an endpoint says other things");
        prop_assert_eq!(LinkEvent::decode(frame), Ok(said));
    }

    #[test]
    fn frames_come_whole_however_they_are_cut(
        said in prop::collection::vec(event(), 1..5), cut in 1..200_usize,
    ) {
        let all: Vec<u8> = said.iter().flat_map(|said| said.encode().concat().to_vec()).collect();
        let (mut input, mut read) = (BytesMut::new(), Vec::new());
        for piece in all.chunks(cut) {
            input.extend_from_slice(piece);
            while let Some(frame) = Frame::take(&mut input, MOST).expect("all are right") {
                read.push(LinkEvent::decode(frame).expect("all are right"));
            }
        }
        prop_assert_eq!(read, said);
    }

    #[test]
    fn a_frame_cut_short_is_never_read(said in event(), cut in any::<prop::sample::Index>()) {
        let whole = said.encode().concat();
        let mut input = BytesMut::from(&whole[..cut.index(whole.len())]);
        prop_assert_eq!(Frame::take(&mut input, MOST), Ok(None));
    }

    #[test]
    fn mutated_frames_are_read_or_refused(
        bytes in prop_oneof![
            mutated(to_engine().prop_map(|said| said.encode().concat())),
            mutated(event().prop_map(|said| said.encode().concat())),
        ],
    ) {
        read_all(&bytes);
    }

    #[test]
    fn any_body_of_any_kind_is_read_or_refused(kind in any::<u8>(), body in bytes(300)) {
        let length = (body.len() as u32).to_le_bytes();
        read_all(&[&[VERSION, kind], &length[..], &body[..]].concat());
        read_all(&body);
    }
}

#[test]
fn another_version_is_refused_by_name_before_anything_else_is_believed() {
    for version in [0, VERSION + 1, 255] {
        let mut input = BytesMut::from(&[version][..]);
        let refused = Frame::take(&mut input, MOST).expect_err("it is another version");
        assert_eq!(refused, LinkError::UnknownVersion(version));
        assert!(refused.to_string().contains(&format!("version {version}")), "{refused}");
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_it_is_read() {
    let mut input = BytesMut::from(&[VERSION, 71, 1, 0, 16, 0][..]);
    let refused = Frame::take(&mut input, MOST).expect_err("it is too long");
    assert_eq!(refused, LinkError::TooLong { bytes: MOST + 1, most: MOST });
    let mut input = BytesMut::from(&[VERSION, 71, 255, 255, 255, 255][..]);
    assert!(matches!(Frame::take(&mut input, MOST), Err(LinkError::TooLong { .. })));
}

#[test]
fn kinds_kept_free_are_refused_by_number() {
    for kind in [0, 3, 16, 17, 63, 80, 81, 82, 255] {
        let frame = Frame { kind, body: Bytes::new() };
        assert_eq!(ToEngine::decode(frame.clone()), Err(LinkError::UnknownKind(kind)));
        assert_eq!(LinkEvent::decode(frame), Err(LinkError::UnknownKind(kind)));
    }
}

#[test]
fn a_message_is_read_without_copying_its_payload_and_written_beside_its_head() {
    let message = Multicast {
        service: Service::Agreed,
        extra_bits: 0,
        hint: [0; 4],
        groups: [GroupName::from("orders")].into(),
        payload: Bytes::from(vec![7; 5000]),
    };
    let body = RequestBody::Multicast { session: SessionId(9), message };
    let encoded = Request { number: RequestNumber(1), body }.encode();
    assert_eq!(encoded.payload.len(), 5000);
    assert!(encoded.head.len() <= HEADER_BYTES + 24 + "orders".len(), "{}", encoded.head.len());
    assert_eq!(encoded.len(), encoded.head.len() + 5000);
    let frame = frame(&encoded.concat());
    let end = frame.body.as_ptr_range().end;
    let Ok(ToEngine::Request(Request { body: RequestBody::Multicast { message, .. }, .. })) =
        ToEngine::decode(frame)
    else {
        panic!("a message");
    };
    assert_eq!(message.payload.as_ptr_range().end, end);
}

/// One byte for a name that is written already: what a short frame becomes is bounded by its members.
#[test]
fn sets_that_name_more_than_the_members_are_refused() {
    let position = Position {
        configuration: ConfigurationId {
            ring: RingNumber(1),
            epoch: 1,
            representative: Slot(0),
            boot: BootId(1),
        },
        seq: Seq(1),
        index: 0,
    };
    let member = PrivateName::from("#a#d0");
    let view = View {
        position,
        group: GroupName::from("g"),
        id: GroupId([0; 12]),
        cause: Cause::Network,
        members: vec![member.clone()],
        vs_sets: vec![vec![member.clone(), member]],
        receivers: Vec::new(),
    };
    let frame = frame(&LinkEvent::View(Arc::new(view)).encode().concat());
    assert!(matches!(LinkEvent::decode(frame), Err(LinkError::Unreadable { .. })));
}
