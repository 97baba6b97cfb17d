//! A view id of a group stands for one view: the same members and vs-sets wherever it is seen; and never for two in a row.
//!
//! As in the original the ids of a group start over when it was empty, so only views for changes of daemons are compared:
//! their ids begin with each configuration.

use super::Judgement;
use crate::history::{History, Seen, SeenView};
use bytes::Bytes;
use spread_wire::ids::GroupId;
use std::collections::BTreeMap;

/// Cause of views for changes of daemons.
const NETWORK: u32 = 0x800;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut views: BTreeMap<(&Bytes, GroupId), &SeenView> = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        let mut last: BTreeMap<&Bytes, GroupId> = BTreeMap::new();
        for event in &session.events {
            let Seen::View(view) = &event.seen else { continue };
            if view.cause != NETWORK {
                last.remove(&view.group);
                continue;
            }
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
