//! A view id of a group stands for one view: the same members, cause and vs-sets wherever it is seen; and within one stay of
//! a member in a group no id comes twice.
//!
//! As in the original the ids of a group start over when it was empty. So a view is named by its id and its place in the
//! order, which tells the lives of a group apart; and whoever stays in a group sees one life only.

use super::Judgement;
use crate::history::{History, Seen, SeenView};
use spread_wire::ids::GroupId;
use spread_wire::name::Name;
use std::collections::{BTreeMap, BTreeSet};

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut views: BTreeMap<_, &SeenView> = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        let mut stays: BTreeMap<&Name, BTreeSet<GroupId>> = BTreeMap::new();
        for event in &session.events {
            let view = match &event.seen {
                Seen::View(view) => view,
                Seen::SelfLeave { group } => {
                    stays.remove(group);
                    continue;
                }
                _ => continue,
            };
            let known = views.entry((&view.group, view.name())).or_insert(view);
            if (&known.members, &known.vs_sets, known.cause)
                != (&view.members, &view.vs_sets, view.cause)
            {
                judgement.broken(event.moment, || {
                    format!(
                        "s{number}: id {:?} with {:?}, elsewhere with {:?}",
                        view.id, view, known
                    )
                });
            }
            if !stays.entry(&view.group).or_default().insert(view.id) {
                judgement.broken(event.moment, || {
                    format!("s{number}: id {:?} twice in one stay", view.id)
                });
            }
        }
    }
}
