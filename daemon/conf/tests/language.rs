//! The language of spread.conf: what is accepted, what is refused and how.

use spread_conf::{Difference, Profile, Severity, SlowReader, compare, parse};

const ORIGINAL: &str = r#"
# A file as the original ships it
DebugFlags = { PRINT EXIT !MEMORY }
EventTimeStamp
EventLogFile = testlog.out
Spread_Segment 10.0.0.255:4803 {
    machine1  10.0.0.1   # comment
    machine2  10.0.0.2:5555 { D 10.0.0.2 C 127.0.0.1 }
}
Spread_Segment 10.1.0.255 { machine3 10.1.0.3 }
Window = 160 # a trap of the original
PersonalWindow=20
SocketPortReuse = AUTO
AllowedAuthMethods = "NULL IP"
MaxSessionMessages = 5
"#;

#[test]
fn a_file_for_the_original_is_read_unchanged() {
    let (conf, _) = parse(ORIGINAL).expect("the file is right");
    assert_eq!(conf.slots.len(), 3);
    assert_eq!(conf.slots[1].port, 4803, "a port behind a daemon is ignored as in the original");
    assert_eq!(conf.slots[1].interfaces.len(), 2);
    assert!(conf.slots[1].interfaces[0].daemon && !conf.slots[1].interfaces[0].client);
    assert_eq!(
        conf.profile,
        Profile::Wan,
        "the upper halves of the segments' first addresses differ"
    );
    assert_eq!(conf.windows.window, Some(160));
    assert_eq!(conf.allowed_auth, ["NULL", "IP"]);
    assert_eq!(conf.slow_reader, SlowReader::Disconnect { messages: 5 });
}

#[test]
fn one_run_shows_every_error_with_line_column_and_help() {
    let text = "Widnow = 3\nSpread_Segment 1.2.3.255 {\n  d0 1.2.3.999\n  d0 1.2.3.4\n  waytoolongnameforadaemon 1.2.3.5\n}\nWindow = x\nTokenTimeout = 1\nRingEncryption = off\n";
    let found = parse(text).expect_err("nearly all of it is wrong");
    let places: Vec<(usize, usize)> =
        found.iter().map(|finding| (finding.line, finding.column)).collect();
    assert_eq!(places, [(1, 1), (3, 6), (4, 3), (5, 3), (7, 10), (8, 1)], "{found:#?}");
    assert!(found[0].help.contains("Window"));
    assert!(found.iter().all(|finding| !finding.help.is_empty()));
}

#[test]
fn daemons_of_one_host_have_ports_of_their_own() {
    let text = "DaemonPorts = on\nRingEncryption = off\nSpread_Segment 127.0.0.1:4803 { d0 127.0.0.1:4803 d1 [::1]:4813 d2 localhost:4823 }";
    let (conf, warnings) = parse(text).expect("right");
    assert!(warnings.is_empty(), "{warnings:?}");
    let ports: Vec<u16> = conf.slots.iter().map(|slot| slot.port).collect();
    assert_eq!(ports, [4803, 4813, 4823]);
    assert_eq!(conf.slots[1].host, "::1");
}

#[test]
fn an_unencrypted_ring_is_a_warning_and_a_missing_key_an_error() {
    let ring = "Spread_Segment 10.0.0.255 { a 10.0.0.1 b 10.0.0.2 }";
    let (_, warnings) = parse(ring).expect("right");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert!(parse(&format!("RingEncryption = on\n{ring}")).is_err());
    assert!(parse(&format!("RingKeyFile = k\n{ring}")).expect("right").1.is_empty());
}

#[test]
fn names_and_numbers_that_the_original_refuses_are_refused() {
    for wrong in [
        "Spread_Segment 10.0.0.255 { 10.0.0.1 }",
        "Spread_Segment 10.0.0.255 { 123 10.0.0.1 }",
        "Spread_Segment 10.0.0.255 { D 10.0.0.1 }",
        "Spread_Segment 10.0.0.255 { a 10.0.0.1 { } }",
        "Spread_Segment 10.0.0.256 { a 10.0.0.1 }",
        "Spread_Segment 10.0.0.255 { a 10.0.0.1",
        "EventLogFile = \"open",
        "PersonalWindow = 9\nWindow = 8\nSpread_Segment 10.0.0.255 { a 10.0.0.1 }",
        "RouteMatrix Spread_Segment 10.0.0.255 { a 10.0.0.1 }",
        "DebugFlags = { PRINT Spread_Segment 10.0.0.255 { a 10.0.0.1 }",
        "DebugFlags { PRINT } Spread_Segment 10.0.0.255 { a 10.0.0.1 }",
        "Spread_Segment 10.0.0.255 { a 10.0.0.1 Spread_Segment 10.0.1.255 { b 10.0.1.1 }",
        "AccessControlPolicy = FOO\nSpread_Segment 10.0.0.255 { a 10.0.0.1 }",
        "",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_hash_is_of_the_places_and_nothing_else() {
    let read = |text: &str| parse(text).expect("right").0;
    let one = read("Spread_Segment 10.0.0.255 { a 10.0.0.1 b 10.0.0.2 }");
    let same = read("Window = 99\nSpread_Segment 10.0.0.255 { a 10.0.0.1 b 10.0.0.2 } # x");
    let other = read("Spread_Segment 10.0.0.255 { b 10.0.0.2 a 10.0.0.1 }");
    assert_eq!(one.hash(), same.hash());
    assert_ne!(one.hash(), other.hash());
    assert_eq!(compare(&one, &same), [Difference::Live("options".into())]);
    let more = read("Spread_Segment 10.0.0.255 { a 10.0.0.1 b 10.0.0.2 c 10.0.0.3 }");
    assert_eq!(compare(&one, &more), [Difference::Membership("c".into())]);
    let moved = read("Spread_Segment 10.0.0.255 { a 10.0.0.1 b 10.0.0.9 }");
    assert_eq!(compare(&one, &moved), [Difference::NewRing("b".into())]);
}

const NINE: &str = "TokenTimeout = 1250 HurryTimeout = 500 AliveTimeout = 250\n JoinTimeout = 250 \
    RepTimeout = 625 SegTimeout = 500 GatherTimeout = 1250 FormTimeout = 1250 LookupTimeout = 30000";
const ONE: &str = "Spread_Segment 10.0.0.255 { a 10.0.0.1 }";

#[test]
fn timeouts_of_the_original_are_warned_about_once_and_change_nothing() {
    for profile in ["", "Profile = lan"] {
        let (conf, warnings) = parse(&format!("{ONE}\n{NINE}\n{profile}")).expect("right");
        assert_eq!(conf.profile, Profile::Lan);
        assert_eq!(conf.timeouts.map(|timeouts| timeouts.gather), Some(1250));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert_eq!((warnings[0].line, warnings[0].column), (2, 1));
        assert!(warnings[0].help.contains("Profile = custom"));
    }
}

#[test]
fn the_custom_profile_takes_nine_timeouts_that_fit_together() {
    let (conf, warnings) =
        parse(&format!("Profile = Custom\n{NINE}\n{ONE}")).expect("all nine are there");
    assert_eq!(conf.profile, Profile::Custom);
    assert!(warnings.is_empty(), "{warnings:?}");
    for (wrong, place) in [
        (format!("Profile = custom\n{ONE}"), (1, 1)),
        (format!("Profile = custom\n{NINE}\nHurryTimeout = 1250\n{ONE}"), (4, 1)),
        (format!("Profile = custom\n{NINE}\nJoinTimeout = 1250\n{ONE}"), (4, 1)),
    ] {
        let found = parse(&wrong).expect_err("the timeouts are missing or do not fit");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].column), place, "{found:?}");
    }
}

#[test]
fn one_mistake_is_one_finding() {
    for text in ["Unknown = { a b { c }", "Unknown { 1 2 }", "Unknown = 3", "Unknown"] {
        let found = parse(&format!("{text}\n{ONE}")).expect_err("no such option");
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
}

#[test]
fn multicast_needs_one_segment_with_a_multicast_address() {
    let off = "RingEncryption = off\nSpread_Segment 225.0.1.1:4803 { d0 10.0.0.1 d1 10.0.0.2 }";
    let on = format!("RingMulticast = on\n{off}");
    let group = |text: &str| parse(text).expect("right").0.multicast_group();
    assert_eq!(group(off), None, "a choice, not a consequence");
    assert_eq!(group(&on), Some("225.0.1.1:4803".parse().expect("an address")));
    assert_ne!(parse(off).expect("right").0.hash(), parse(&on).expect("right").0.hash());
    for wrong in [
        on.replace("225.0.1.1", "10.0.0.255"),
        on.replace("10.0.0.2", "[fd00::2]"),
        format!("{on}\nSpread_Segment 225.0.1.2:4803 {{ d2 10.0.1.1 }}"),
    ] {
        let found = parse(&wrong).expect_err("no common group");
        assert!(
            found.iter().any(|one| one.to_string().contains("RingMulticast = off")),
            "{found:?}"
        );
    }
}

#[test]
fn endpoints_are_addresses_with_ports() {
    let read = |text: &str| parse(&format!("{text}\n{ONE}"));
    let (conf, warnings) = read(
        "AdminEndpoint = [::]:4805\nAdminTlsDirectory = /etc/spread/tls\nHealthEndpoint = 0.0.0.0:4806",
    )
    .expect("right");
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(conf.admin_endpoint.as_deref(), Some("[::]:4805"));
    assert_eq!(conf.admin_tls_directory.as_deref(), Some("/etc/spread/tls"));
    assert_eq!(conf.health_endpoint.as_deref(), Some("0.0.0.0:4806"));
    let (conf, _) = read("AdminEndpoint = off HealthEndpoint = OFF").expect("right");
    assert_eq!((conf.admin_endpoint, conf.health_endpoint), (None, None));

    let tls = "AdminTlsDirectory = tls";
    for (wrong, place, help) in [
        ("AdminEndpoint = localhost:4805", (1, 17), "ADDRESS:PORT"),
        ("HealthEndpoint = 10.0.0.1", (1, 18), "ADDRESS:PORT"),
        ("HealthEndpoint = 10.0.0.1:0", (1, 18), "ADDRESS:PORT"),
        ("HealthEndpoint = 10.0.0.1:66000", (1, 18), "or off"),
        (&format!("{tls} AdminEndpoint = 4805"), (1, 41), "ADDRESS:PORT"),
        (tls, (1, 1), "write `AdminEndpoint = ADDRESS:PORT` too"),
        (&format!("AdminEndpoint = off\n{tls}"), (2, 1), "leave the directory out"),
        (
            "AdminEndpoint = 10.0.0.1:4805\nHealthEndpoint = 10.0.0.1:4805",
            (2, 1),
            "a port of its own",
        ),
        ("HealthEndpiont = off", (1, 1), "did you mean `HealthEndpoint`?"),
        ("AdminTlsDirectroy = tls", (1, 1), "did you mean `AdminTlsDirectory`?"),
    ] {
        let found = read(wrong).expect_err(wrong);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert_eq!((found[0].line, found[0].column), place, "{found:?}");
        assert!(found[0].help.contains(help), "{found:?}");
    }
}
