//! A daemon that finds no peers: ring and engine together.

use core::time::Duration;
use spread_engine::{
    Bounds, Daemon, DaemonOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription,
};
use spread_ring::{Settings, Timers, Windows};
use spread_wire::ids::{
    BootId, EndpointName, EndpointUid, GroupName, PrivateName, RequestNumber, RingNumber,
    SessionId, Slot,
};
use spread_wire::link::{LinkEvent, Multicast, Request, RequestBody};
use spread_wire::service::Service;
use spread_wire::time::Instant;

const LINK: LinkId = LinkId(3);
const SESSION: SessionId = SessionId(9);

fn daemon(windows: Windows) -> Daemon {
    let ring = Settings {
        ring: RingNumber(1),
        me: Slot(0),
        boot: BootId(1),
        slots: 1,
        configuration_hash: 1,
        wall_clock_milliseconds: 1,
        seed: 1,
        packet_bytes: 1400,
        timers: Timers::lan(),
        windows,
    };
    let slots = vec![SlotDescription { name: EndpointName::from("d0"), vs_key: 0 }];
    let engine = EngineSettings {
        me: Slot(0),
        slots,
        bounds: Bounds::default(),
        lost_retention: LOST_RETENTION,
    };
    let mut daemon = Daemon::new(Instant(0), ring, engine);
    daemon.attach_builtin(Instant(0), LINK, EndpointUid(5));
    daemon
}

fn multicast(length: usize) -> RequestBody {
    let message = Multicast {
        service: Service::Safe,
        extra_bits: 0,
        hint: [1, 2, 3, 4],
        groups: [GroupName::from("g")].into(),
        payload: vec![7; length].into(),
    };
    RequestBody::Multicast { session: SESSION, message }
}

/// Lets ten virtual seconds pass and returns what the link was told.
fn run(daemon: &mut Daemon) -> Vec<LinkEvent> {
    let mut told = Vec::new();
    let mut now = Instant(0);
    let end = now + Duration::from_secs(10);
    loop {
        while let Some(output) = daemon.poll_output() {
            if let DaemonOutput::Link { link, event } = output {
                assert_eq!(link, LINK);
                told.push(event);
            }
        }
        match daemon.poll_timeout() {
            Some(next) if next < end => now = now.max(next),
            _ => return told,
        }
        daemon.handle_timeout(now);
    }
}

fn ask(daemon: &mut Daemon, bodies: Vec<RequestBody>) {
    for (index, body) in bodies.into_iter().enumerate() {
        let number = RequestNumber(index as u64 + 1);
        daemon.requests(Instant(0), LINK, [&Request { number, body }]);
    }
}

fn open() -> RequestBody {
    let name = PrivateName::from("#a#d0");
    RequestBody::Open { session: SESSION, name, membership: true }
}

fn join() -> RequestBody {
    RequestBody::Join { session: SESSION, group: GroupName::from("g") }
}

#[test]
fn requests_wait_for_the_first_configuration_and_come_in_order() {
    let mut daemon = daemon(Windows::default());
    ask(&mut daemon, vec![open(), join(), multicast(100_000)]);
    let events = run(&mut daemon);
    assert!(events.len() >= 4, "{events:?}");
    let all = LinkEvent::Acknowledged { number: RequestNumber(3) };
    assert_eq!(events.last(), Some(&all), "one word acknowledges what came together");
    let status = daemon.status();
    assert_eq!((status.sessions, status.groups, status.endpoints), (1, 1, 1));
}

#[test]
fn a_message_the_ring_can_not_carry_does_not_stop_those_behind_it() {
    let mut daemon = daemon(Windows { payload_bytes: 1000, ..Windows::default() });
    ask(&mut daemon, vec![open(), multicast(5000), join(), multicast(10)]);
    let told = run(&mut daemon);
    let messages: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Message(delivered, receivers) => {
                Some((delivered.message.payload.len(), receivers.to_vec()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(messages, [(10, vec![SESSION])]);
}

#[test]
fn a_link_is_paused_while_too_much_waits_and_goes_on() {
    let mut daemon = daemon(Windows::default());
    ask(&mut daemon, (0..12).map(|_| multicast(1 << 20)).collect());
    let pauses: Vec<_> = run(&mut daemon)
        .iter()
        .filter_map(|event| match event {
            LinkEvent::Pause(pause) => Some(*pause),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [true, false]);
}
