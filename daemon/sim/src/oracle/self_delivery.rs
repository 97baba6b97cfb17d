//! A member that lives gets its own messages, unless its endpoint lost its daemon while they were under way.

use super::Judgement;
use crate::history::{History, MessageId, Request};
use std::collections::BTreeSet;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let Some(settled) = history.settled else { return };
    for (number, session) in history.sessions.iter().enumerate() {
        if !history.lasts(session) {
            continue;
        }
        let got: BTreeSet<MessageId> = session.messages().map(|(_, id, _)| id).collect();
        for (index, asked) in session.asked.iter().enumerate() {
            let Request::Send { groups, discard: false, .. } = &asked.request else { continue };
            let id = MessageId { session: number as u32, number: index as u32 };
            let member = groups.iter().any(|group| session.in_group_at(group, index));
            let lost = history.cut_since(session, asked.moment);
            if member && !lost && !got.contains(&id) {
                judgement.broken(settled.max(asked.moment), || {
                    format!("s{number} never gets its own {id}")
                });
            }
        }
    }
}
