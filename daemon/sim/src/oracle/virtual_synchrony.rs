//! Members that pass from one view to the next together have seen the same messages of the group in between, but for those
//! that an endpoint had already seen in the component that it came from (see `agreed_order`).

use super::Judgement;
use crate::history::{History, MessageId, Moment, Request, Seen, SeenView, ViewName};
use spread_wire::name::Name;
use std::collections::{BTreeMap, BTreeSet};

/// A session's way from one view to the next.
struct Step<'a> {
    session: usize,
    since: Moment,
    moment: Moment,
    to: &'a SeenView,
    messages: BTreeSet<MessageId>,
}

type Steps<'a> = BTreeMap<(&'a Name, ViewName, ViewName), Vec<Step<'a>>>;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut steps: Steps<'_> = BTreeMap::new();
    for session in 0..history.sessions.len() {
        collect(history, session, &mut steps);
    }
    for (group, list) in &steps {
        for (index, step) in list.iter().enumerate() {
            // Each is compared with the first of its own vs-set.
            let first = list[..index].iter().find(|other| together(history, other, step));
            let Some(other) = first else { continue };
            let lacks = |step: &Step<'_>, id: &MessageId| {
                !step.messages.contains(id) && !came_before(history, step, *id)
            };
            let differ = step.messages.symmetric_difference(&other.messages);
            let differ: Vec<String> = differ
                .filter(|id| lacks(step, id) || lacks(other, id))
                .map(MessageId::to_string)
                .collect();
            if differ.is_empty() {
                continue;
            }
            judgement.broken(step.moment, || {
                format!(
                    "s{} and s{} go together from {:?} to {:?} of {} and differ in {}",
                    other.session,
                    step.session,
                    group.1.0,
                    group.2.0,
                    group.0.escape_ascii(),
                    differ.join(" ")
                )
            });
        }
    }
}

/// Whether the session's endpoint had seen this message, or a later one of its sender's endpoint, before the step began.
fn came_before(history: &History, step: &Step<'_>, id: MessageId) -> bool {
    let own = &history.sessions[step.session];
    let sender = |id: MessageId| history.sessions.get(id.session as usize).map(|s| s.process);
    let asked = |id: MessageId| history.sent(id).map(|asked| asked.moment);
    if history.processes[own.process].cuts.is_empty() {
        return false;
    }
    let mates = history.sessions.iter().filter(|mate| mate.process == own.process);
    mates
        .flat_map(|mate| mate.messages().map(|(index, id, _)| (mate.events[index].moment, id)))
        .filter(|(moment, _)| *moment < step.since)
        .any(|(_, seen)| sender(seen) == sender(id) && asked(seen) >= asked(id))
}

fn together(history: &History, one: &Step<'_>, other: &Step<'_>) -> bool {
    let Some(own) = one.to.own else { return true };
    if one.to.cause != spread_wire::service::bits::CAUSED_BY_NETWORK {
        return true;
    }
    let name = &history.sessions[other.session].name.0;
    one.to.vs_sets.get(own).is_some_and(|set| set.contains(name))
}

fn collect<'a>(history: &'a History, session: usize, steps: &mut Steps<'a>) {
    let mut groups: BTreeMap<&Name, (Moment, ViewName, BTreeSet<MessageId>)> = BTreeMap::new();
    for event in &history.sessions[session].events {
        match &event.seen {
            Seen::Message(message) => {
                let Some(id) = message.id.filter(|id| !discarded(history, *id)) else { continue };
                for group in &message.groups {
                    if let Some((_, _, messages)) = groups.get_mut(group) {
                        messages.insert(id);
                    }
                }
            }
            Seen::View(view) => {
                let before =
                    groups.insert(&view.group, (event.moment, view.name(), BTreeSet::new()));
                if let Some((since, from, messages)) = before {
                    let step = Step { session, since, moment: event.moment, to: view, messages };
                    steps.entry((&view.group, from, view.name())).or_default().push(step);
                }
            }
            Seen::SelfLeave { group } => drop(groups.remove(group)),
            _ => {}
        }
    }
}

/// Messages that their sender did not want back: it has not seen them, and is right.
fn discarded(history: &History, id: MessageId) -> bool {
    let asked = history.sent(id).map(|asked| &asked.request);
    matches!(asked, Some(Request::Send { discard: true, .. }))
}
