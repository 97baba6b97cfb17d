//! Messages of one sender arrive in the order in which it sent them.

use super::Judgement;
use crate::history::History;
use std::collections::BTreeMap;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for (index, id, _) in session.messages() {
            let before = last.insert(id.session, id.number);
            if before > Some(id.number) {
                judgement.broken(session.events[index].moment, || {
                    format!("s{number} gets {id} after number {before:?} of the same sender")
                });
            }
        }
    }
}
