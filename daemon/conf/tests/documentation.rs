//! docs/configuration.md names what the parser knows, and its examples are right.

use spread_conf::{option_names, parse};

const DOCUMENT: &str = include_str!("../../../docs/configuration.md");

/// Blocks of code of the document.
fn blocks() -> impl Iterator<Item = &'static str> {
    DOCUMENT.split("```").skip(1).step_by(2)
}

#[test]
fn every_option_is_described_in_a_table() {
    let described = |option: &str| {
        let name = format!("`{option}`");
        DOCUMENT.lines().any(|line| {
            line.strip_prefix("| ")
                .is_some_and(|row| row.split(" | ").next().is_some_and(|cell| cell.contains(&name)))
        })
    };
    let missing: Vec<&str> = option_names().filter(|option| !described(option)).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not describe {missing:?}");
}

#[test]
fn the_examples_are_read_without_a_finding() {
    let examples: Vec<&str> = blocks()
        .filter(|block| block.contains("RingKeyFile = ") || block.contains("DaemonPorts = "))
        .collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let (conf, warnings) = parse(example).expect(example);
        assert_eq!(conf.slots.len(), 3);
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn the_mistakes_shown_are_what_the_parser_says() {
    let text = "RingEncryption = off\nWidnow = 200\nSpread_Segment 10.0.0.255:4803 {\n    \
        d0  10.0.0.1\n    d1  10.0.0.999\n}\nTokenTimeout = 1250\n";
    let shown = blocks().find(|block| block.contains("--check")).expect("mistakes are shown");
    let found = parse(text).expect_err("it has mistakes");
    assert_eq!(found.len(), 3);
    for finding in found {
        let place = format!("spread.conf:{}:{}", finding.line, finding.column);
        for part in [&finding.message, &finding.help, &place] {
            assert!(shown.contains(part), "{part} is not shown in docs/configuration.md");
        }
    }
}
