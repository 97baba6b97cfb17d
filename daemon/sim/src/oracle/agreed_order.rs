//! There is one order: a position holds one message at every daemon, and no two applications see two messages in
//! opposite orders, not even by a detour over third ones.

use super::Judgement;
use crate::history::{Entry, History, MessageId};
use bytes::Bytes;
use spread_wire::ids::Position;
use std::collections::BTreeMap;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    one_message_per_position(history, judgement);
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

/// All applications' sequences together have to fit one total order.
fn no_cycle(history: &History, judgement: &mut Judgement) {
    let mut after: BTreeMap<MessageId, Vec<MessageId>> = BTreeMap::new();
    let mut before: BTreeMap<MessageId, usize> = BTreeMap::new();
    for session in &history.sessions {
        let ids: Vec<MessageId> = session.messages().map(|(_, id, _)| id).collect();
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
    let mut ready: Vec<MessageId> =
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
            .filter(|(_, id, _)| before.contains_key(id))
            .map(|(index, id, _)| (session.events[index].moment, id))
    });
    if let Some((moment, id)) = first.min() {
        judgement.broken(moment, || {
            let some: Vec<String> = before.keys().take(6).map(MessageId::to_string).collect();
            format!("{id} is part of a circle in the order: {}", some.join(" "))
        });
    }
}
