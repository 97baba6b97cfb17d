//! The admin endpoint and the log.

use super::http::{get, request};
use super::ring::Ring;
use std::collections::BTreeSet;

#[test]
fn it_answers_health_readiness_status_and_metrics() {
    let ring = Ring::new(2);
    let daemons = ring.start_all();
    let (daemon, admin) = (&daemons[0], daemons[0].admin());
    let mut alice = daemon.connect("alice");
    alice.join("g");
    alice.wait_view(&[]);

    for path in ["/healthz", "/readyz"] {
        let answer = get(&admin, path).expect("an answer");
        assert_eq!((answer.code, answer.body.as_str()), (200, "ok\n"), "{path}");
    }
    assert!(get(&admin, "/").expect("an answer").body.contains("/metrics"));
    assert_eq!(get(&admin, "/nothing").expect("an answer").code, 404);

    daemon.wait("the session is shown", |daemon| {
        let status = daemon.status();
        status["sessions"][0]["name"] == "#alice#d0" && status["groups"] == 1
    });
    let status = daemon.status();
    assert_eq!(status["name"], "d0");
    assert_eq!(status["slots"], 2);
    assert_eq!(status["key_id"], 1);
    assert_eq!(status["ring_number"], 1);
    // What an operator compares with what it wants.
    assert_eq!((&status["format"], &status["slot"]), (&1.into(), &0.into()));
    assert_eq!(status["boot"], status["members"][0]["boot"]);
    assert_eq!(status["key_ids"], serde_json::json!([1]));
    assert_eq!((&status["session_count"], &status["groups"]), (&1.into(), &1.into()));
    assert_eq!(status["configuration_generation"], 1);
    assert_eq!(status["configuration_hash"].as_str().map(str::len), Some(16));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let brief = get(&admin, "/status?brief").expect("an answer").body;
    let brief: serde_json::Value = serde_json::from_str(&brief).expect("JSON");
    assert_eq!((&brief["sessions"], &brief["session_count"]), (&serde_json::json!([]), &1.into()));
    assert_eq!(brief["changes"], serde_json::json!([]));
    let changes = status["changes"].as_array().expect("the history");
    assert_eq!(changes.last().expect("a change")["members"], serde_json::json!(["d0", "d1"]));
    assert!(status["counters"]["token_visits"].as_u64() > Some(0));

    let metrics = get(&admin, "/metrics").expect("an answer");
    assert!(metrics.head.contains("application/openmetrics-text; version=1.0.0"));
    assert!(metrics.body.ends_with("# EOF\n"), "{}", metrics.body);
    for line in [
        "# TYPE spread_token_visits counter",
        "# TYPE spread_backlog_bytes gauge",
        "spread_members 2",
        "spread_sessions 1",
        "spread_groups 1",
        "spread_slots 2",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}: {}", metrics.body);
    }
    assert_open_metrics(&metrics.body);
}

#[test]
fn a_daemon_that_stood_still_says_so() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let stalls = |name: &str| daemon.status()["counters"][name].as_u64().expect("a count");
    let before = stalls("stalled_milliseconds");
    // From inside it looks as if there were no processor for so long.
    daemon.signal("-STOP");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    daemon.signal("-CONT");
    daemon.wait("the stall is counted", |_| stalls("stalled_milliseconds") > before);
    assert!(stalls("stalls") > 0);
    assert!(daemon.log().contains("stood still for"), "{}", daemon.log());
}

/// The rules of the text format that a scraper trips over.
fn assert_open_metrics(text: &str) {
    let (mut typed, mut counters) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a kind");
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned()), "{name} is declared twice");
            if kind == "counter" {
                counters.insert(name.to_owned());
            }
        } else if !line.starts_with("# ") {
            let (name, value) = line.split_once(' ').expect("a name and a value");
            let family = name.split('{').next().unwrap_or(name);
            match family.strip_suffix("_total") {
                Some(counter) => assert!(counters.contains(counter), "{line} is no counter"),
                None => assert!(typed.contains(family), "{line} has no type"),
            }
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let ring = Ring::new(2);
    let first = ring.start(0);
    first.wait_members(1);
    assert!(!first.log().contains("DEBUG"), "{}", first.log());

    let wrong = request(&first.admin(), "PUT", "/log-level", "spreadd=loud").expect("an answer");
    assert_eq!(wrong.code, 400);
    assert!(wrong.body.contains("such as info or debug"), "{}", wrong.body);

    let answer = request(&first.admin(), "PUT", "/log-level", "debug\n").expect("an answer");
    assert_eq!((answer.code, answer.body.as_str()), (200, "debug\n"));
    let _second = ring.start(1);
    first.wait_members(2);
    first.wait("lines in detail", |daemon| daemon.log().contains("DEBUG"));
}

#[test]
fn logs_are_json_where_the_file_says_so() {
    let ring = Ring::new(1);
    let text = format!("LogFormat = json\n{}", ring.configuration(0));
    let mut daemon = ring.start_from(0, &text);
    daemon.wait_members(1);
    daemon.signal("-TERM");
    assert_eq!(daemon.ended().code(), Some(0));
    let log = daemon.log();
    assert!(!log.is_empty());
    let mut messages = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
        messages.push(line["fields"]["message"].as_str().unwrap_or_default().to_owned());
    }
    assert!(messages.iter().any(|message| message.contains("in a ring of 1")), "{messages:?}");
    assert!(messages.iter().any(|message| message.contains("leaving the ring")), "{messages:?}");
}

#[test]
fn a_taken_admin_address_is_named() {
    let ring = Ring::new(1);
    let listener = std::net::TcpListener::bind(format!("{}:8803", ring.address(0)));
    let mut daemon = ring.start(0);
    assert_eq!(daemon.ended().code(), Some(1));
    assert!(daemon.log().contains("set another AdminEndpoint"), "{}", daemon.log());
    drop(listener);
}
