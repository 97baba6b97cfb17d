//! Any text is a configuration that can be written again, or has findings inside it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = spread_conf::parse_access_ip(text);
    let _ = spread_conf::parse_access_pword(text);
    match spread_conf::parse(text) {
        Ok((conf, _)) => assert!(conf.render().is_ok(), "{:?}", conf.render()),
        Err(found) => {
            assert!(!found.is_empty());
            assert!(found.iter().all(|finding| text.get(finding.span.clone()).is_some()));
        }
    }
});
