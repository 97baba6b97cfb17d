//! There is one order: a position holds one message at every daemon, and no two applications see two messages in
//! opposite orders, not even by a detour over third ones.
//!
//! A message has one place in it. One exception is left, since two components that can't talk can't know of each other: an
//! endpoint that lost its daemon and attaches in another component sends again what it has not heard of, and the component
//! that it left may have ordered that too. Then the message is ordered twice, once in each component, as two messages of
//! extended virtual synchrony are: each place is part of the one order, no daemon delivers both.

use super::Judgement;
use crate::history::{Entry, History, MessageId, Moment, ProcessIndex};
use bytes::Bytes;
use spread_wire::ids::Position;
use std::collections::{BTreeMap, BTreeSet};

/// A message at one of its places.
type Ordered = (MessageId, Option<Position>);

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    one_message_per_position(history, judgement);
    one_place_per_message(history, judgement);
    no_cycle(history, judgement);
}

fn one_message_per_position(history: &History, judgement: &mut Judgement) {
    let mut places: BTreeMap<Position, Bytes> = BTreeMap::new();
    for process in &history.processes {
        for (moment, entry) in &process.entries {
            let Entry::Message { delivered, .. } = entry else { continue };
            let payload = &delivered.message.payload;
            let known = places.entry(delivered.position).or_insert_with(|| payload.clone());
            if known != payload {
                judgement.broken(*moment, || {
                    format!("d{}: another message at {:?}", process.slot, delivered.position)
                });
            }
        }
    }
}

/// A second place is in another configuration, unknown to every daemon that has the first, and its sender's endpoint lost its
/// daemon after it was asked for it.
fn one_place_per_message(history: &History, judgement: &mut Judgement) {
    for (id, places) in places(history) {
        let Some((first, seen)) = places.first_key_value() else { continue };
        for (place, deliveries) in places.iter().skip(1) {
            let moment = deliveries.iter().map(|(moment, _)| *moment).min().unwrap_or_default();
            if !may_be_sent_again(history, id, moment) {
                judgement
                    .broken(moment, || format!("{id} is ordered twice, and was asked for once"));
            }
            if place.configuration == first.configuration {
                judgement.broken(moment, || format!("{id} is ordered twice in one configuration"));
            }
            let daemons: BTreeSet<ProcessIndex> = seen.iter().map(|(_, daemon)| *daemon).collect();
            for (moment, daemon) in deliveries.iter().filter(|(_, d)| daemons.contains(d)) {
                let slot = history.processes[*daemon].slot;
                judgement.broken(*moment, || format!("d{slot} delivers {id} at two places"));
            }
        }
    }
}

/// Where each message was ordered, and who delivered it there and when.
type Places = BTreeMap<Position, Vec<(Moment, ProcessIndex)>>;

fn places(history: &History) -> BTreeMap<MessageId, Places> {
    let mut all: BTreeMap<MessageId, Places> = BTreeMap::new();
    for (daemon, process) in history.processes.iter().enumerate() {
        for (moment, entry) in &process.entries {
            let Entry::Message { delivered, .. } = entry else { continue };
            let Some(id) = MessageId::read(&delivered.message.payload) else { continue };
            let places = all.entry(id).or_default();
            places.entry(delivered.position).or_default().push((*moment, daemon));
        }
    }
    all.retain(|_, places| places.len() > 1);
    all
}

fn may_be_sent_again(history: &History, id: MessageId, by: Moment) -> bool {
    let (Some(session), Some(asked)) =
        (history.sessions.get(id.session as usize), history.sent(id))
    else {
        return false;
    };
    let mut cuts = history.processes[session.process].cuts.iter();
    cuts.any(|cut| *cut >= asked.moment && *cut <= by)
}

/// All applications' sequences together have to fit one total order.
fn no_cycle(history: &History, judgement: &mut Judgement) {
    let mut after: BTreeMap<Ordered, Vec<Ordered>> = BTreeMap::new();
    let mut before: BTreeMap<Ordered, usize> = BTreeMap::new();
    for session in &history.sessions {
        let ids: Vec<Ordered> = session.messages().map(|(_, id, m)| (id, m.place)).collect();
        for id in &ids {
            before.entry(*id).or_default();
        }
        for pair in ids.windows(2) {
            let next = after.entry(pair[0]).or_default();
            if pair[0] != pair[1] && !next.contains(&pair[1]) {
                next.push(pair[1]);
                *before.entry(pair[1]).or_default() += 1;
            }
        }
    }
    let mut ready: Vec<Ordered> =
        before.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id).collect();
    while let Some(id) = ready.pop() {
        before.remove(&id);
        for next in after.get(&id).into_iter().flatten() {
            if let Some(count) = before.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.push(*next);
                }
            }
        }
    }
    if before.is_empty() {
        return;
    }
    let first = history.sessions.iter().flat_map(|session| {
        session
            .messages()
            .filter(|(_, id, message)| before.contains_key(&(*id, message.place)))
            .map(|(index, id, _)| (session.events[index].moment, id))
    });
    if let Some((moment, id)) = first.min() {
        judgement.broken(moment, || {
            let some: Vec<String> = before.keys().take(6).map(|(id, _)| id.to_string()).collect();
            format!("{id} is part of a circle in the order: {}", some.join(" "))
        });
    }
}
