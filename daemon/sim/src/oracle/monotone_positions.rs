//! The positions of a daemon's deliveries rise.

use super::Judgement;
use crate::history::{Entry, History};

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for process in &history.processes {
        let (mut last_message, mut last) = (None, None);
        for (moment, entry) in &process.entries {
            let (position, message) = match entry {
                Entry::Message { delivered, .. } => (delivered.position, true),
                Entry::View(view) => (view.position, false),
                _ => continue,
            };
            if message && last_message >= Some(position) || last > Some(position) {
                judgement
                    .broken(*moment, || format!("d{}: {position:?} after {last:?}", process.slot));
            }
            last = last.max(Some(position));
            if message {
                last_message = Some(position);
            }
        }
    }
}
