//! A SAFE message that is delivered before any transitional signal is at every member's daemon: those members get it,
//! unless they end.

use super::Judgement;
use crate::history::{
    Entry, History, Message, MessageId, ProcessIndex, Seen, SeenView, SessionHistory,
};
use crate::world::World;
use spread_engine::Daemon;
use spread_wire::link::Delivered;
use spread_wire::name::Name;
use spread_wire::service::Service;
use std::collections::{BTreeMap, BTreeSet};

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for process in &history.processes {
        for (moment, entry) in &process.entries {
            if let Entry::Message { delivered, lacking, .. } = entry
                && let Some(other) = lacking.first()
            {
                let slot = history.processes[*other].slot;
                judgement.broken(*moment, || {
                    format!(
                        "d{} delivers SAFE {:?}, which d{slot} has not",
                        process.slot, delivered.position
                    )
                });
            }
        }
    }
    if history.settled.is_some() {
        let got: Vec<BTreeSet<MessageId>> = history
            .sessions
            .iter()
            .map(|session| session.messages().map(|(_, id, _)| id).collect())
            .collect();
        for session in &history.sessions {
            members_get_it(history, session, &got, judgement);
        }
    }
}

fn members_get_it(
    history: &History,
    session: &SessionHistory,
    got: &[BTreeSet<MessageId>],
    judgement: &mut Judgement,
) {
    let mut views: BTreeMap<&Name, &SeenView> = BTreeMap::new();
    for event in &session.events {
        match &event.seen {
            Seen::View(view) => drop(views.insert(&view.group, view)),
            Seen::Transition { group, .. } | Seen::SelfLeave { group } => drop(views.remove(group)),
            Seen::Message(message) if message.service == Some(Service::Safe) => {
                for view in message.groups.iter().filter_map(|group| views.get(group)) {
                    if let Some(text) = missing(history, message, view, got) {
                        judgement.broken(event.moment, || text);
                    }
                }
            }
            _ => {}
        }
    }
}

fn missing(
    history: &History,
    message: &Message,
    view: &SeenView,
    got: &[BTreeSet<MessageId>],
) -> Option<String> {
    let id = message.id?;
    view.members.iter().find_map(|name| {
        let index = history.named(name)?;
        let member = &history.sessions[index];
        let excused = !history.lasts(member)
            || !history.processes[member.process].cuts.is_empty()
            || member.ever_leaves(&view.group)
            || index == id.session as usize;
        (!excused && !got[index].contains(&id)).then(|| {
            format!("{id} was delivered as SAFE, and member s{index} of its view never gets it")
        })
    })
}

/// Members of the configuration that have not received a SAFE message at the moment of its delivery. Looked at while the
/// run goes on, and only if the delivering daemon still is in the regular configuration of the message.
#[must_use]
pub fn lacking(world: &World, index: ProcessIndex, delivered: &Delivered) -> Vec<ProcessIndex> {
    let id = delivered.position.configuration;
    if delivered.message.service != Service::Safe || !world.in_regular(index, &id) {
        return Vec::new();
    }
    let lacks = |other: &ProcessIndex| {
        let node = &world.nodes[*other];
        let Some(status) = node.daemon.as_ref().map(Daemon::ring_status) else { return false };
        status.configuration == Some(id) && status.aru < delivered.position.seq.0
    };
    world.sites.values().copied().filter(lacks).collect()
}
