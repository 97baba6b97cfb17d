//! After healing the last view that a member saw lists exactly the members there are.

use super::Judgement;
use crate::history::{History, Seen};
use spread_wire::name::Name;
use std::collections::{BTreeMap, BTreeSet};

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let Some(settled) = history.settled else { return };
    let mut members: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for session in history.sessions.iter().filter(|session| history.lasts(session)) {
        for group in joined(session) {
            members.entry(group).or_default().insert(session.name.0.clone());
        }
    }
    for (number, session) in history.sessions.iter().enumerate() {
        if !history.lasts(session) || !session.membership {
            continue;
        }
        for group in joined(session) {
            let last = session.events.iter().rev().find_map(|event| match &event.seen {
                Seen::View(view) if view.group == group => Some(&view.members),
                _ => None,
            });
            let shown: BTreeSet<Name> = last.into_iter().flatten().cloned().collect();
            if Some(&shown) != members.get(&group) {
                judgement.broken(settled, || {
                    format!(
                        "s{number}'s last view of {} is {shown:?} instead of {:?}",
                        group.escape_ascii(),
                        members.get(&group)
                    )
                });
            }
        }
    }
}

/// Groups in which the session is at the end.
fn joined(session: &crate::history::SessionHistory) -> Vec<Name> {
    let all: BTreeSet<&Name> = session
        .asked
        .iter()
        .filter_map(|asked| match &asked.request {
            crate::history::Request::Join(group) => Some(group),
            _ => None,
        })
        .collect();
    let end = session.asked.len();
    all.into_iter().filter(|group| session.in_group_at(group, end)).cloned().collect()
}
