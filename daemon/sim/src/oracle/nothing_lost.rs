//! What a daemon accepted from a session is ordered while the daemon lives: members at the same daemon get it. Once the
//! cluster is healed and one ring, members everywhere do. What an endpoint in a process of its own accepted is ordered
//! whatever happens to daemons: members everywhere get it, if the daemons that were alive never parted.

use super::Judgement;
use crate::history::{Entry, History, MessageId, Moment, Request, Seen, SessionHistory};
use std::collections::BTreeSet;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let Some(settled) = history.settled else { return };
    let whole = never_parted(history);
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
                let outlives = whole && history.processes[session.process].endpoint;
                // An endpoint elsewhere may just be without a daemon.
                let there = !history.processes[member.process].endpoint;
                let everywhere = there && (healed || outlives);
                if session.process != member.process && !everywhere {
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

/// Whether no configuration ever came out of two that had been apart.
fn never_parted(history: &History) -> bool {
    let merges = |entry: &Entry| match entry {
        Entry::Install(configuration) => {
            configuration.components.iter().filter(|part| part.from.is_some()).count() > 1
        }
        _ => false,
    };
    let mut entries = history.processes.iter().flat_map(|process| &process.entries);
    !entries.any(|(_, entry)| merges(entry))
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
