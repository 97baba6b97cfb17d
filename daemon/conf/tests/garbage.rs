//! Whatever a file has in it: findings with a place, never a panic.

use proptest::prelude::*;
use spread_conf::{Diagnostic, option_names, parse, parse_access_ip, parse_access_pword};

const VALID: &str = "RingKeyFile = k # x\nDebugFlags = { PRINT !EXIT }\nEventTimeStamp = '%a'\n\
    RouteMatrix { 0 1 1 0 }\nSpread_Segment 10.0.0.255:4803 { a 10.0.0.1 b [fd00::2]:4 { C D 1.2.3.4 } c }\n\
    Profile = custom TokenTimeout = 9 HurryTimeout = 8 AliveTimeout = 7 JoinTimeout = 3 RepTimeout = 1\n\
    SegTimeout = 2 GatherTimeout = 4 FormTimeout = 5 LookupTimeout=6 AccessRule = \"deny\" Window=300";

/// Words that mean something, and pieces that end words.
fn word() -> impl Strategy<Value = String> {
    let options: Vec<String> = option_names().map(str::to_owned).collect();
    let pieces = [
        "=",
        "{",
        "}",
        "#",
        "\n",
        "\"",
        "'",
        "C",
        "D",
        "M",
        "1",
        "999999",
        "on",
        "off",
        "auto",
        "Spread_Segment",
        "10.0.0.1",
        "10.0.0.1:4803",
        "[fd00::1]:1",
        "[",
        ":",
        "localhost",
        "x:1",
        "a",
        "b",
        "a.b",
        "LAN",
        "custom",
        "Block",
        "\u{e4}",
        "\u{1f980}",
        "\"\"",
        "NULL IP",
    ];
    prop_oneof![
        3 => prop::sample::select(pieces.map(str::to_owned).to_vec()),
        2 => prop::sample::select(options),
        1 => any::<String>(),
    ]
}

fn edited() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0..8_usize, word());
    prop::collection::vec(edit, 1..5).prop_map(|edits| {
        let mut text: Vec<char> = VALID.chars().collect();
        for (index, removed, added) in edits {
            let at = index.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, added.chars());
        }
        text.into_iter().collect()
    })
}

fn text() -> impl Strategy<Value = String> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        prop::collection::vec(word(), 0..40).prop_map(|words| words.join(" ")),
        prop::collection::vec(word(), 0..40).prop_map(|words| words.concat()),
        edited(),
    ]
}

fn check(text: &str, found: &[Diagnostic]) {
    for finding in found {
        let span = &finding.span;
        assert!(text.get(span.clone()).is_some(), "{finding:?} in {text:?}");
        let before = &text[..span.start];
        assert_eq!(finding.line, before.split('\n').count(), "{finding:?}");
        let line = before.rsplit('\n').next().unwrap_or_default();
        assert_eq!(finding.column, line.chars().count() + 1, "{finding:?}");
        assert!(!finding.message.is_empty() && !finding.help.is_empty());
    }
}

#[test]
fn the_file_that_is_edited_is_right() {
    let (conf, warnings) = parse(VALID).expect("right");
    assert!(warnings.is_empty(), "{warnings:?}");
    conf.render().expect("it can be written");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What can be read can be written again too.
    #[test]
    fn any_text_gives_findings_or_a_configuration(text in text()) {
        match parse(&text) {
            Ok((conf, warnings)) => {
                check(&text, &warnings);
                prop_assert!(conf.render().is_ok(), "{:?}", conf.render());
            }
            Err(found) => {
                prop_assert!(!found.is_empty());
                check(&text, &found);
            }
        }
    }

    #[test]
    fn any_text_is_an_access_file_or_an_error(text in text()) {
        for result in [parse_access_ip(&text).err(), parse_access_pword(&text).err()] {
            prop_assert!(result.is_none_or(|error| error.starts_with("line ")));
        }
    }
}
