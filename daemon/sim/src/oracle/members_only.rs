//! A session gets messages of groups in which it is, never its own that it did not want back, membership messages only
//! if it asked for them, and exactly one confirmation of each leave.

use super::Judgement;
use crate::history::{Event, History, Message, Request, Seen, SessionHistory};
use spread_wire::name::Name;
use std::collections::BTreeMap;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        // How many leaves of each group were confirmed.
        let mut left: BTreeMap<&Name, usize> = BTreeMap::new();
        for event in &session.events {
            if let Some(wrong) = wrong(history, number, event, &left) {
                judgement.broken(event.moment, || format!("s{number} gets {wrong}"));
            }
            if let Seen::SelfLeave { group } = &event.seen {
                *left.entry(group).or_default() += 1;
            }
        }
        if history.settled.is_some() && history.lasts(session) && session.membership {
            confirmations(number, session, judgement);
        }
    }
}

fn wrong(
    history: &History,
    number: usize,
    event: &Event,
    left: &BTreeMap<&Name, usize>,
) -> Option<String> {
    let session = &history.sessions[number];
    match &event.seen {
        Seen::Message(message) => unwanted(history, number, message).or_else(|| {
            let member = |group: &Name| {
                let confirmed = left.get(group).copied().unwrap_or(0);
                *group == session.name.0 || joined_after(session, group, confirmed, event)
            };
            let text = || "a message to groups in which it is not".to_owned();
            (!message.groups.iter().any(member)).then(text)
        }),
        Seen::View(_) | Seen::Transition { .. } | Seen::SelfLeave { .. } if !session.membership => {
            Some("membership messages though it asked for none".into())
        }
        _ => None,
    }
}

fn unwanted(history: &History, number: usize, message: &Message) -> Option<String> {
    let id = message.id.filter(|id| id.session as usize == number)?;
    let discards = matches!(history.sent(id)?.request, Request::Send { discard: true, .. });
    discards.then(|| format!("its own {id}, which it did not want"))
}

/// Whether the session asked to join behind the last of its leaves that was confirmed, and before the event.
fn joined_after(session: &SessionHistory, group: &Name, confirmed: usize, event: &Event) -> bool {
    let (mut leaves, mut member, mut behind) = (0, false, false);
    for asked in session.asked.iter().take_while(|asked| asked.moment < event.moment) {
        match &asked.request {
            Request::Join(joined) if joined == group => {
                member = true;
                behind |= leaves >= confirmed;
            }
            Request::Leave(left) if left == group && member => {
                member = false;
                leaves += 1;
                if leaves == confirmed {
                    behind = false;
                }
            }
            _ => {}
        }
    }
    behind
}

fn confirmations(number: usize, session: &SessionHistory, judgement: &mut Judgement) {
    let mut due: BTreeMap<&Name, i64> = BTreeMap::new();
    let mut last = session.accepted;
    for (index, asked) in session.asked.iter().enumerate() {
        if let Request::Leave(group) = &asked.request
            && session.in_group_at(group, index)
        {
            *due.entry(group).or_default() += 1;
            last = last.max(asked.moment);
        }
    }
    for event in &session.events {
        if let Seen::SelfLeave { group } = &event.seen {
            *due.entry(group).or_default() -= 1;
            last = last.max(event.moment);
        }
    }
    if let Some((group, count)) = due.iter().find(|(_, count)| **count != 0) {
        judgement.broken(last, || {
            format!("s{number}: {count} leaves of {} were not confirmed", group.escape_ascii())
        });
    }
}
