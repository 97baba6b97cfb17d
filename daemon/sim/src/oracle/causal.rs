//! A message arrives after what its sender had seen when it sent it. What was ordered once more in another component
//! (see `agreed_order`) is another message there, which the sender had not seen.

use super::Judgement;
use crate::history::{History, MessageId, Request, Seen};
use spread_wire::ids::Position;
use std::collections::BTreeMap;

/// So many messages that the sender saw last are looked at; what came before those follows from their own causes.
const CAUSES: usize = 16;

/// A message at its place.
type Ordered = (MessageId, Option<Position>);

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let causes = causes(history);
    for (number, session) in history.sessions.iter().enumerate() {
        let arrivals: BTreeMap<Ordered, usize> =
            session.messages().map(|(index, id, message)| ((id, message.place), index)).collect();
        for ((id, _), index) in &arrivals {
            for cause in causes.get(id).into_iter().flatten() {
                if arrivals.get(cause).is_some_and(|other| other > index) {
                    let (before, cause) = (id, cause.0);
                    judgement.broken(session.events[*index].moment, || {
                        format!("s{number} gets {before} before {cause}, which its sender had seen")
                    });
                }
            }
        }
    }
}

fn causes(history: &History) -> BTreeMap<MessageId, Vec<Ordered>> {
    let mut causes = BTreeMap::new();
    for (number, session) in history.sessions.iter().enumerate() {
        for (index, asked) in session.asked.iter().enumerate() {
            if !matches!(asked.request, Request::Send { .. }) {
                continue;
            }
            let seen = session.events[..asked.seen].iter().rev();
            let ids = seen.filter_map(|event| match &event.seen {
                Seen::Message(message) => message.id.map(|id| (id, message.place)),
                _ => None,
            });
            let id = MessageId { session: number as u32, number: index as u32 };
            causes.insert(id, ids.take(CAUSES).collect());
        }
    }
    causes
}
