//! A view's vs-sets tell the truth: mine holds me, everyone in it comes from the view that I come from, and everyone of
//! us is told the same set; sets do not overlap and say nothing of strangers.

use super::Judgement;
use crate::history::{History, Moment, Seen, SeenView, ViewName};
use spread_wire::name::Name;
use spread_wire::service::bits;
use std::collections::{BTreeMap, BTreeSet};

/// A session at a NETWORK view.
struct At<'a> {
    session: usize,
    moment: Moment,
    view: &'a SeenView,
    from: Option<ViewName>,
}

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut seen: BTreeMap<(&Name, ViewName), Vec<At<'_>>> = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        let mut last: BTreeMap<&Name, ViewName> = BTreeMap::new();
        for event in &session.events {
            match &event.seen {
                Seen::SelfLeave { group } => drop(last.remove(group)),
                Seen::View(view) => {
                    let from = last.insert(&view.group, view.name());
                    if !view.members.contains(&session.name.0) {
                        judgement.broken(event.moment, || {
                            format!("s{number} gets a view without itself")
                        });
                    }
                    if view.cause == bits::CAUSED_BY_NETWORK {
                        let at = At { session: number, moment: event.moment, view, from };
                        alone(history, &at, judgement);
                        seen.entry((&view.group, view.name())).or_default().push(at);
                    }
                }
                _ => {}
            }
        }
    }
    for receivers in seen.values() {
        for (index, at) in receivers.iter().enumerate() {
            for other in &receivers[..index] {
                compare(history, at, other, judgement);
            }
        }
    }
}

fn own(view: &SeenView) -> &[Name] {
    view.own.and_then(|own| view.vs_sets.get(own)).map_or(&[], Vec::as_slice)
}

fn alone(history: &History, at: &At<'_>, judgement: &mut Judgement) {
    let (name, view) = (&history.sessions[at.session].name.0, at.view);
    if !own(view).contains(name) {
        judgement.broken(at.moment, || format!("s{} is not in its own vs-set", at.session));
    }
    let mut all = BTreeSet::new();
    let overlap = view.vs_sets.iter().flatten().any(|member| !all.insert(member));
    if overlap || view.members.iter().any(|member| !all.contains(member)) {
        judgement.broken(at.moment, || {
            format!("s{}: vs-sets overlap or leave members out: {view:?}", at.session)
        });
    }
}

fn compare(history: &History, one: &At<'_>, other: &At<'_>, judgement: &mut Judgement) {
    let names = |at: &At<'_>| &history.sessions[at.session].name.0;
    let (mine, theirs) = (own(one.view), own(other.view));
    if !mine.contains(names(other)) && !theirs.contains(names(one)) {
        return;
    }
    if mine != theirs || one.from != other.from {
        judgement.broken(one.moment.max(other.moment), || {
            format!(
                "s{} (from {:?}) and s{} (from {:?}) are in one vs-set of {:?}",
                one.session, one.from, other.session, other.from, one.view.id
            )
        });
    }
}
