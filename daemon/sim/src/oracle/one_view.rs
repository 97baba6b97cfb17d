//! A view id of a group stands for one view: the same members and vs-sets wherever it is seen; and never for two in a row.

use super::Judgement;
use crate::history::{History, Seen, SeenView};
use bytes::Bytes;
use spread_wire::ids::GroupId;
use std::collections::BTreeMap;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut views: BTreeMap<(&Bytes, GroupId), &SeenView> = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        let mut last: BTreeMap<&Bytes, GroupId> = BTreeMap::new();
        for event in &session.events {
            let Seen::View(view) = &event.seen else { continue };
            let known = views.entry((&view.group, view.id)).or_insert(view);
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
            if last.insert(&view.group, view.id) == Some(view.id) {
                judgement
                    .broken(event.moment, || format!("s{number}: id {:?} twice in a row", view.id));
            }
        }
    }
}
