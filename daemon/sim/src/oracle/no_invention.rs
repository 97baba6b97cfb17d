//! No message from nowhere: what arrives was sent, by whom it says, before, and byte for byte so.

use super::Judgement;
use crate::history::{Event, History, Message, Request, Seen};

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        for event in &session.events {
            let wrong = match &event.seen {
                Seen::Message(message) => wrong(history, event, message),
                Seen::Unreadable(what) => Some(format!("a frame that can't be read: {what}")),
                _ => None,
            };
            if let Some(wrong) = wrong {
                judgement.broken(event.moment, || format!("s{number} gets {wrong}"));
            }
        }
    }
}

fn wrong(history: &History, event: &Event, message: &Message) -> Option<String> {
    let Some(id) = message.id else {
        return Some(format!("{} bytes that nobody sent", message.payload.len()));
    };
    let Some(asked) = history.sent(id) else { return Some(format!("{id}, which was never sent")) };
    let Request::Send { service, groups, payload, .. } = &asked.request else {
        return Some(format!("{id}, which is no message"));
    };
    let sender = &history.sessions[id.session as usize].name.0;
    if asked.moment > event.moment {
        return Some(format!("{id} before it was sent"));
    }
    if *payload != message.payload || *groups != message.groups {
        return Some(format!("{id} with another body or other groups"));
    }
    if Some(*service) != message.service || *sender != message.sender {
        return Some(format!("{id} with another service or sender"));
    }
    None
}
