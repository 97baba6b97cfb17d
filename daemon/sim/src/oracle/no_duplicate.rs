//! No application gets a message twice.

use super::Judgement;
use crate::history::History;
use std::collections::BTreeSet;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for (index, id, _) in session.messages() {
            if !seen.insert(id) {
                judgement
                    .broken(session.events[index].moment, || format!("s{number} gets {id} twice"));
            }
        }
    }
}
