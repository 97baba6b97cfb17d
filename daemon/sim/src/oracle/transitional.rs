//! The transitional signal comes where it belongs: with the id of the view that ends, before every view that has lost
//! members to the network, and never before a view of another cause.

use super::Judgement;
use crate::history::{History, Seen, SeenView};
use spread_wire::ids::GroupId;
use spread_wire::name::Name;
use spread_wire::service::bits;
use std::collections::BTreeMap;

/// Where a session stands in a group.
#[derive(Default)]
struct Standing<'a> {
    view: Option<&'a SeenView>,
    signalled: bool,
}

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        let mut groups: BTreeMap<&Name, Standing<'_>> = BTreeMap::new();
        for event in &session.events {
            let wrong = match &event.seen {
                Seen::Transition { group, id } => signal(groups.entry(group).or_default(), *id),
                Seen::View(view) => next_view(groups.entry(&view.group).or_default(), view),
                Seen::SelfLeave { group } => {
                    groups.remove(group);
                    None
                }
                _ => None,
            };
            if let Some(wrong) = wrong {
                judgement.broken(event.moment, || format!("s{number} gets {wrong}"));
            }
        }
    }
}

fn signal(standing: &mut Standing<'_>, id: GroupId) -> Option<String> {
    standing.signalled = true;
    match standing.view {
        None => Some(format!("a signal {id:?} without a view")),
        Some(view) if view.id != id => Some(format!("a signal {id:?} in view {:?}", view.id)),
        Some(_) => None,
    }
}

fn next_view<'a>(standing: &mut Standing<'a>, view: &'a SeenView) -> Option<String> {
    let signalled = core::mem::take(&mut standing.signalled);
    let before = standing.view.replace(view);
    let network = view.cause == bits::CAUSED_BY_NETWORK;
    if signalled && !network {
        return Some(format!("after the signal a view of cause {:#x}", view.cause));
    }
    let lost = before?.members.iter().find(|member| !view.members.contains(member))?;
    (network && !signalled)
        .then(|| format!("a view that lost {} without a signal", lost.escape_ascii()))
}
