//! What is written reads back as what was meant.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use proptest::prelude::*;
use spread_conf::{
    Conf, Encryption, Interface, LogFormat, Profile, Segment, SlotConf, SlowReader, Statement,
    Timeouts, Windows, parse,
};

/// Any text that some kind of quotes fits around.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[^'\"]{0,20}", "[ -&(-~]{1,12}", "[ !#-~]{1,12}"]
}

fn some_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text())
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

fn endpoint() -> impl Strategy<Value = Option<String>> {
    let given = (address(), 1..=u16::MAX);
    prop::option::of(given.prop_map(|(address, port)| SocketAddr::new(address, port).to_string()))
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![address().prop_map(|address| address.to_string()), "[a-z]([a-z0-9-]{0,9}\\.?){1,3}"]
}

prop_compose! {
    fn timeouts()(nine in prop::array::uniform9(2..=999_998u32)) -> Timeouts {
        let [token, hurry, alive, join, rep, seg, gather, form, lookup] = nine;
        let (hurry, join) = (hurry.min(token - 1), join.min(gather - 1));
        Timeouts { token, hurry, alive, join, rep, seg, gather, form, lookup }
    }
}

fn profile() -> impl Strategy<Value = (Profile, Option<Timeouts>)> {
    prop_oneof![
        prop::option::of(timeouts()).prop_map(|timeouts| (Profile::Lan, timeouts)),
        prop::option::of(timeouts()).prop_map(|timeouts| (Profile::Wan, timeouts)),
        timeouts().prop_map(|timeouts| (Profile::Custom, Some(timeouts))),
    ]
}

prop_compose! {
    fn windows()(
        personal in prop::option::of(1..=160u32),
        window in prop::option::of(160..=999_999u32),
        accelerated in 0..=20u32,
        ring in any::<Option<bool>>(),
    ) -> Windows {
        let accelerated = Some(accelerated.min(personal.unwrap_or(20)));
        Windows { window, personal, accelerated, accelerated_ring: ring }
    }
}

fn encryption() -> impl Strategy<Value = (Encryption, Option<String>)> {
    prop_oneof![
        text().prop_map(|file| (Encryption::On, Some(file))),
        some_text().prop_map(|file| (Encryption::Off, file)),
        some_text().prop_map(|file| (Encryption::Auto, file)),
    ]
}

fn interface() -> impl Strategy<Value = Interface> {
    (any::<bool>(), any::<bool>(), address()).prop_map(|(client, daemon, address)| Interface {
        client,
        daemon,
        address,
    })
}

/// Slots by segment; the first segment has one at least.
fn places() -> impl Strategy<Value = (Vec<Segment>, Vec<SlotConf>)> {
    let slot = (host(), any::<u16>(), prop::collection::vec(interface(), 0..3));
    let segment = (host(), any::<u16>(), prop::collection::vec(slot, 0..4));
    (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(given, ports)| {
        let (mut segments, mut slots) = (Vec::new(), Vec::new());
        for (segment, (address, port, daemons)) in given.into_iter().enumerate() {
            for (host, own, interfaces) in daemons {
                let (name, port) = (format!("d{}", slots.len()), if ports { own } else { port });
                slots.push(SlotConf { name, host, port, segment, interfaces });
            }
            segments.push(Segment { address, port });
        }
        if slots.is_empty() {
            let port = segments[0].port;
            let name = "lone:1".to_owned();
            let host = name.clone();
            slots.push(SlotConf { name, host, port, segment: 0, interfaces: Vec::new() });
        }
        (segments, slots)
    })
}

fn methods() -> impl Strategy<Value = Vec<String>> {
    let names = ["NULL", "IP", "PWORD"].map(str::to_owned).to_vec();
    prop::sample::subsequence(names, 0..=3)
}

fn slow_reader() -> impl Strategy<Value = SlowReader> {
    prop_oneof![
        (1..=999_999u32)
            .prop_map(|timeout_milliseconds| SlowReader::Block { timeout_milliseconds }),
        (1..=100_000_000u32).prop_map(|messages| SlowReader::Disconnect { messages }),
    ]
}

fn without_effect() -> impl Strategy<Value = Vec<Statement>> {
    let statements = [
        ("DebugFlags", "DebugFlags = { PRINT !MEMORY # x\n EXIT }"),
        ("DebugInitialSequence", "DebugInitialSequence"),
        ("EventTimeStamp", "EventTimeStamp"),
        ("EventTimeStamp", "EventTimeStamp = \"%a\""),
        ("RouteMatrix", "RouteMatrix { 0 1\n 1 0 }"),
        ("DaemonUser", "DaemonUser=spread"),
    ]
    .map(|(name, text)| Statement { name: name.to_owned(), text: text.to_owned() });
    prop::sample::subsequence(statements.to_vec(), 0..=6)
}

prop_compose! {
    fn sessions()(
        allowed_auth in methods(),
        required_auth in methods(),
        (access_ip_file, access_pword_file) in (some_text(), some_text()),
        access_rules in prop::collection::vec(text(), 0..3),
        max_message_bytes in 1024..=1u32 << 27,
        max_sessions in 1..=1_000_000u32,
        session_queue_bytes in 4096..=1u32 << 30,
        max_group_name_bytes in 1..=255u32,
        slow_reader in slow_reader(),
    ) -> Conf {
        Conf {
            allowed_auth, required_auth, access_ip_file, access_pword_file, access_rules,
            max_message_bytes, max_sessions, session_queue_bytes, max_group_name_bytes, slow_reader,
            ..Conf::default()
        }
    }
}

prop_compose! {
    fn conf()(
        sessions in sessions(),
        (segments, slots) in places(),
        windows in windows(),
        (profile, timeouts) in profile(),
        (encryption, ring_key_file) in encryption(),
        (ring_number, cluster_uid) in (1..=999_999u32, text()),
        (admin_endpoint, health_endpoint, tls) in (endpoint(), endpoint(), some_text()),
        (unix_socket_directory, event_log_file) in (text(), some_text()),
        packet_bytes in prop::option::of(576..=65_000u32),
        (json, without_effect) in (any::<bool>(), without_effect()),
        event_priority in prop::sample::select(vec!["pDEBUG", "INFO", "FATAL"]),
    ) -> Conf {
        let admin_tls_directory = tls.filter(|_| admin_endpoint.is_some());
        let health_endpoint = health_endpoint.filter(|one| Some(one) != admin_endpoint.as_ref());
        Conf {
            segments, slots, windows, profile, timeouts, encryption, ring_key_file, ring_number,
            cluster_uid, admin_endpoint, admin_tls_directory, health_endpoint, unix_socket_directory, event_log_file, packet_bytes,
            log_format: if json { LogFormat::Json } else { LogFormat::Text },
            without_effect, event_priority: event_priority.to_owned(),
            ..sessions
        }
    }
}

proptest! {
    #[test]
    fn every_configuration_reads_back(conf in conf()) {
        let text = conf.render().expect("it can be written");
        let (read, _) = parse(&text).expect("it can be read");
        prop_assert_eq!(read, conf);
    }
}

#[test]
fn a_file_of_the_original_is_written_with_the_options_that_have_no_effect() {
    let text = "RouteMatrix { 0 }\nDaemonUser = nobody # x\nWindow = 99\nSpread_Segment 10.0.0.255 { a 10.0.0.1 }";
    let conf = parse(text).expect("right").0;
    let written = conf.render().expect("it can be written");
    assert!(written.contains("RouteMatrix { 0 }\nDaemonUser = nobody\n"), "{written}");
}

#[test]
fn what_no_file_can_say_is_an_error() {
    let conf = parse("Spread_Segment 10.0.0.255 { a 10.0.0.1 }").expect("right").0;
    for (wrong, told) in [
        (Conf { cluster_uid: "both ' and \"".into(), ..conf.clone() }, "quotes"),
        (Conf { max_sessions: 0, ..conf.clone() }, "MaxSessions"),
        (Conf { slots: Vec::new(), ..conf.clone() }, "daemon"),
        (Conf { allowed_auth: vec!["OTHER".into()], ..conf.clone() }, "OTHER"),
    ] {
        let error = wrong.render().expect_err("it can't be written").to_string();
        assert!(error.contains(told), "{error}");
    }
}
