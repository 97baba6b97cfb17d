//! A message arrives after what its sender had seen when it sent it.

use super::Judgement;
use crate::history::{History, MessageId, Request, Seen};
use std::collections::BTreeMap;

/// So many messages that the sender saw last are looked at; what came before those follows from their own causes.
const CAUSES: usize = 16;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let causes = causes(history);
    for (number, session) in history.sessions.iter().enumerate() {
        let places: BTreeMap<MessageId, usize> =
            session.messages().map(|(index, id, _)| (id, index)).collect();
        for (id, index) in &places {
            for cause in causes.get(id).into_iter().flatten() {
                if places.get(cause).is_some_and(|place| place > index) {
                    judgement.broken(session.events[*index].moment, || {
                        format!("s{number} gets {id} before {cause}, which its sender had seen")
                    });
                }
            }
        }
    }
}

fn causes(history: &History) -> BTreeMap<MessageId, Vec<MessageId>> {
    let mut causes = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        for (index, asked) in session.asked.iter().enumerate() {
            if !matches!(asked.request, Request::Send { .. }) {
                continue;
            }
            let seen = session.events[..asked.seen].iter().rev();
            let ids = seen.filter_map(|event| match &event.seen {
                Seen::Message(message) => message.id,
                _ => None,
            });
            let id = MessageId { session: number as u32, number: index as u32 };
            causes.insert(id, ids.take(CAUSES).collect());
        }
    }
    causes
}
