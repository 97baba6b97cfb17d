//! One engine and an endpoint in another process: what is told it, when, and what it may attach with.

use bytes::Bytes;
use spread_engine::{
    Bounds, Engine, EngineOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription,
};
use spread_ring::{Component, Configuration, ConfigurationKind, Delivery};
use spread_wire::ids::{
    BootId, Claim, ConfigurationId, DaemonId, EndpointName, EndpointUid, Epoch, Position,
    PrivateName, RequestNumber, RingNumber, Seq, SessionId, Slot,
};
use spread_wire::link::{Attach, LinkEvent, RefusedAttach, Request, RequestBody};
use spread_wire::service::Guarantee;

const LINK: LinkId = LinkId(7);

fn engine() -> Engine {
    let slot = |name| SlotDescription { name: EndpointName::from(name), vs_key: 1 };
    Engine::new(EngineSettings {
        me: Slot(0),
        slots: vec![slot("d0"), slot("d1")],
        bounds: Bounds::default(),
        lost_retention: LOST_RETENTION,
    })
}

fn id(epoch: u64) -> ConfigurationId {
    ConfigurationId { ring: RingNumber(1), epoch, representative: Slot(0), boot: BootId(1) }
}

fn install(engine: &mut Engine, kind: ConfigurationKind, epoch: u64, components: &[&[u16]]) {
    let member = |slot: &u16| DaemonId { slot: Slot(*slot), boot: BootId(1), claim: Claim(1) };
    let members = components.iter().flat_map(|part| part.iter()).map(member).collect();
    let component = |part: &&[u16]| Component {
        from: part.contains(&0).then(|| id(epoch - 1)),
        lost: Vec::new(),
        members: part.iter().copied().map(Slot).collect(),
    };
    let components = components.iter().map(component).collect();
    engine.installed(&Configuration { id: id(epoch), kind, members, components });
}

/// What the engine wants ordered next.
fn submission(engine: &mut Engine) -> Bytes {
    let (_, payload) = engine.peek_submission().expect("it has something to order");
    engine.submission_taken();
    payload
}

fn deliver(engine: &mut Engine, epoch: u64, seq: u64, payload: Bytes) {
    let position = Position { configuration: id(epoch), seq: Seq(seq), index: 0 };
    engine.delivered(Delivery { sender: Slot(0), guarantee: Guarantee::Agreed, position, payload });
}

fn told(engine: &mut Engine) -> Vec<LinkEvent> {
    let events = std::iter::from_fn(|| engine.poll_output());
    events.map(|EngineOutput::Link { event, .. }| event).collect()
}

fn attach(epoch: u64, applied: u64) -> Attach {
    let position = Position { configuration: id(1), seq: Seq(1), index: 0 };
    Attach {
        uid: EndpointUid(5),
        name: EndpointName::from("pod"),
        epoch: Epoch(epoch),
        position: (epoch > 1).then_some(position),
        applied: RequestNumber(applied),
        lowest_held: RequestNumber(1),
    }
}

/// An engine alone in its configuration that serves the endpoint.
fn attached() -> Engine {
    let mut engine = engine();
    install(&mut engine, ConfigurationKind::Regular, 1, &[&[0]]);
    engine.attach(LINK, attach(1, 0));
    let payload = submission(&mut engine);
    deliver(&mut engine, 1, 1, payload);
    engine.stable(id(1), Seq(1));
    assert!(matches!(told(&mut engine)[..], [LinkEvent::Attached { .. }]));
    engine
}

fn open(engine: &mut Engine) -> Bytes {
    let (session, name) = (SessionId(1), PrivateName::from("#a#pod"));
    let body = RequestBody::Open { session, name, membership: true };
    engine.request(LINK, &Request { number: RequestNumber(1), body });
    submission(engine)
}

/// Else the endpoint, which has seen it, would send it again where nobody has it.
#[test]
fn what_an_abandoned_exchange_held_is_acknowledged() {
    let mut engine = attached();
    let payload = open(&mut engine);
    install(&mut engine, ConfigurationKind::Transitional, 2, &[&[0]]);
    install(&mut engine, ConfigurationKind::Regular, 2, &[&[0], &[1]]);
    deliver(&mut engine, 2, 40, payload);
    assert_eq!(told(&mut engine), []);
    install(&mut engine, ConfigurationKind::Transitional, 3, &[&[0]]);
    install(&mut engine, ConfigurationKind::Regular, 3, &[&[0]]);
    let told = told(&mut engine);
    assert!(told.iter().any(|event| matches!(event, LinkEvent::SessionOpened { .. })), "{told:?}");
    let acknowledged = LinkEvent::Acknowledged { number: RequestNumber(1) };
    assert_eq!(told.last(), Some(&acknowledged), "{told:?}");
}

#[test]
fn who_saw_more_of_its_requests_ordered_than_are_known_here_is_refused() {
    for (applied, accepted) in [(1, true), (2, false)] {
        let mut engine = attached();
        let payload = open(&mut engine);
        deliver(&mut engine, 1, 2, payload);
        engine.detach(LINK);
        let payload = submission(&mut engine);
        deliver(&mut engine, 1, 3, payload);
        engine.attach(LinkId(8), attach(2, applied));
        let payload = submission(&mut engine);
        told(&mut engine);
        deliver(&mut engine, 1, 4, payload);
        engine.stable(id(1), Seq(4));
        let told = told(&mut engine);
        let refused = LinkEvent::AttachRefused { reason: RefusedAttach::Unknown };
        assert_eq!(!told.contains(&refused), accepted, "{told:?}");
        let served = told.iter().any(|event| matches!(event, LinkEvent::Attached { .. }));
        assert_eq!(served, accepted, "{told:?}");
    }
}
