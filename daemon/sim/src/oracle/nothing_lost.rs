//! What a daemon accepted from a session is ordered while the daemon lives: members at the same daemon get it. Once the
//! cluster is healed and one ring, members everywhere do.

use super::Judgement;
use crate::history::{History, MessageId, Moment, Request, Seen, SessionHistory};
use std::collections::BTreeSet;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let Some(settled) = history.settled else { return };
    for (receiver, member) in history.sessions.iter().enumerate() {
        if !history.lasts(member) {
            continue;
        }
        let got: BTreeSet<MessageId> = member.messages().map(|(_, id, _)| id).collect();
        for (sender, session) in history.sessions.iter().enumerate() {
            if !history.lasts(session) || sender == receiver {
                continue;
            }
            for (index, asked) in session.asked.iter().enumerate() {
                let Request::Send { groups, .. } = &asked.request else { continue };
                let healed = history.healed.is_some_and(|healed| healed <= asked.moment);
                if session.process != member.process && !healed {
                    continue;
                }
                let id = MessageId { session: sender as u32, number: index as u32 };
                let due = groups.iter().any(|group| was_member(member, group, asked.moment));
                let lost = history.cut_since(member, asked.moment);
                if due && !lost && !got.contains(&id) {
                    judgement.broken(settled, || {
                        format!("s{receiver} never gets {id}, though both sessions and their daemon live")
                    });
                }
            }
        }
    }
}

/// Whether the session had seen its own join by then, and never asks to leave.
fn was_member(session: &SessionHistory, group: &[u8], by: Moment) -> bool {
    !session.ever_leaves(group)
        && session
            .events
            .iter()
            .take_while(|event| event.moment < by)
            .any(|event| matches!(&event.seen, Seen::View(view) if view.group == group))
}
