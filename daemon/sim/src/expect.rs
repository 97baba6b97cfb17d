//! What scenarios claim, judged at the moment they claim it.

use crate::client::Stage;
use crate::fault::Expectation;
use crate::history::{MessageId, Seen, SessionHistory};
use crate::world::World;

impl World {
    /// Judges a claim; what is not true becomes a violation.
    pub fn expect(&mut self, expectation: &Expectation) {
        if let Err(instead) = self.judge(expectation) {
            let moment = self.history.tick(self.now);
            let text = format!("expect {expectation}: {instead}");
            self.trace.line(moment, || text.clone());
            self.history.findings.push(crate::history::Violation {
                promise: "scenario",
                moment,
                text,
            });
        }
    }

    /// The client's latest session, or an empty one's events.
    fn latest(&self, client: usize) -> Option<&SessionHistory> {
        self.history.sessions.iter().rev().find(|session| session.client == client)
    }

    fn texts(&self, client: usize) -> Vec<String> {
        let text = |seen: &Seen| match seen {
            Seen::Message(message) => {
                let text = message.payload.get(MessageId::BYTES..)?;
                Some(String::from_utf8_lossy(text).into_owned())
            }
            _ => None,
        };
        let events = self.latest(client).map(|session| session.events.as_slice());
        events.unwrap_or_default().iter().filter_map(|event| text(&event.seen)).collect()
    }

    fn judge(&self, expectation: &Expectation) -> Result<(), String> {
        match expectation {
            Expectation::Ring(sites) if self.formed(sites) => Ok(()),
            Expectation::Ring(_) => Err(self.states()),
            Expectation::Members(client, group, members) => {
                let wanted: Vec<_> = members
                    .iter()
                    .map(|member| self.latest(*member).map(|session| session.name.0.clone()))
                    .collect();
                let events = self.latest(*client).map(|session| session.events.as_slice());
                let last =
                    events.unwrap_or_default().iter().rev().find_map(|event| match &event.seen {
                        Seen::View(view) if view.group == group.as_bytes() => Some(view),
                        _ => None,
                    });
                let Some(view) = last else { return Err("no view came".into()) };
                let equal = view.members.len() == wanted.len()
                    && wanted
                        .iter()
                        .all(|name| name.as_ref().is_some_and(|name| view.members.contains(name)));
                equal.then_some(()).ok_or_else(|| Seen::View(view.clone()).to_string())
            }
            Expectation::Received(client, text, count) => {
                let texts = self.texts(*client);
                let came = texts.iter().filter(|known| *known == text).count();
                (came == *count).then_some(()).ok_or_else(|| format!("it came {came} times"))
            }
            Expectation::Order(client, wanted) => {
                let texts = self.texts(*client);
                let came: Vec<&String> = texts.iter().filter(|t| wanted.contains(t)).collect();
                let equal = came.iter().copied().eq(wanted.iter());
                equal.then_some(()).ok_or_else(|| format!("came {came:?}"))
            }
            Expectation::Transitions(client, group, count) => {
                let events = self.latest(*client).map(|session| session.events.as_slice());
                let signal = |seen: &Seen| matches!(seen, Seen::Transition { group: of, .. } if *of == group.as_bytes());
                let came =
                    events.unwrap_or_default().iter().filter(|event| signal(&event.seen)).count();
                (came == *count).then_some(()).ok_or_else(|| format!("{came} came"))
            }
            Expectation::Connected(client, wanted) => {
                let connection = self.clients[*client].connection.as_ref();
                let open = connection.is_some_and(|connection| {
                    matches!(connection.stage, Stage::Open(_)) && !connection.closing
                });
                (open == *wanted).then_some(()).ok_or_else(|| format!("connected: {open}"))
            }
            Expectation::Running(site, wanted) => {
                let running = self.sites.contains_key(site);
                (running == *wanted).then_some(()).ok_or_else(|| format!("running: {running}"))
            }
        }
    }
}
