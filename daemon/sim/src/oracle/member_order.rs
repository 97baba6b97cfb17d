//! Members are listed by daemon, in the order of the configuration, then by private name; each vs-set likewise.

use super::Judgement;
use crate::history::{History, Seen};
use bytes::Bytes;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        for event in &session.events {
            let Seen::View(view) = &event.seen else { continue };
            let mut lists = view.vs_sets.iter().chain([&view.members]);
            if let Some(list) = lists.find(|list| !list.is_sorted_by_key(place)) {
                judgement.broken(event.moment, || {
                    format!("s{number} gets members in the order {list:?}")
                });
            }
        }
    }
}

/// Slot, and private name.
fn place(name: &Bytes) -> (usize, &Bytes) {
    let endpoint = name.rsplit(|byte| *byte == b'#').next().unwrap_or_default();
    let number = endpoint.strip_prefix(b"d").and_then(|number| core::str::from_utf8(number).ok());
    (number.and_then(|number| number.parse().ok()).unwrap_or(usize::MAX), name)
}
