//! Round after round: asks every known admin endpoint and remembers the round before.

use crate::endpoint;
use crate::follow::neighbours;
use crate::overview::{Answer, Overview, Round};
use std::collections::BTreeSet;
use std::time::Instant;

/// Where `cargo up` has its daemons' admin endpoints: every tenth port from here on.
const LOCAL_FIRST: u16 = 4805;
const LOCAL_STEP: u16 = 10;
const LOCAL_COUNT: u16 = 16;

/// The endpoints and the last round.
pub(crate) struct Watch {
    /// Asked for by the user: shown whether they answer or not.
    named: Vec<String>,
    /// Asked on a guess, or because a member has to be there.
    guessed: BTreeSet<String>,
    /// Guesses that have answered once.
    seen: BTreeSet<String>,
    previous: Option<Round>,
}

impl Watch {
    pub(crate) fn new(named: &[String]) -> Self {
        let mut unique = Vec::new();
        for address in named {
            if !unique.contains(address) {
                unique.push(address.clone());
            }
        }
        let guessed = if unique.is_empty() { local() } else { BTreeSet::new() };
        Self { named: unique, guessed, seen: BTreeSet::new(), previous: None }
    }

    /// Asks everybody at the same time.
    pub(crate) async fn round(&mut self) -> Overview {
        let addresses: Vec<String> = self.named.iter().chain(&self.guessed).cloned().collect();
        let questions: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                tokio::spawn(async move {
                    let status = endpoint::status(&address).await;
                    Answer { address, at: Instant::now(), status }
                })
            })
            .collect();
        let mut answers = Vec::new();
        for question in questions {
            if let Ok(answer) = question.await {
                answers.push(answer);
            }
        }
        for answer in &answers {
            if let Ok(status) = &answer.status {
                self.seen.insert(answer.address.clone());
                let others = neighbours(&answer.address, status).into_iter();
                self.guessed.extend(others.filter(|address| !self.named.contains(address)));
            }
        }
        answers.retain(|answer| answer.status.is_ok() || self.is_missed(&answer.address));
        let round = Round { answers };
        let overview = if round.answers.is_empty() {
            Overview::nobody(&format!(
                "no daemon answers at 127.0.0.1:{LOCAL_FIRST} and so on: start some with `cargo up`, or name admin endpoints with --admin HOST:PORT"
            ))
        } else {
            Overview::new(self.previous.as_ref(), &round)
        };
        self.previous = Some(round);
        overview
    }

    /// Whether it is worth a line that there is no answer.
    fn is_missed(&self, address: &str) -> bool {
        // A local daemon that has left is no fault, a member's endpoint is.
        let is_local = self.named.is_empty() && local().contains(address);
        self.named.iter().any(|named| named == address)
            || (self.seen.contains(address) && !is_local)
    }
}

fn local() -> BTreeSet<String> {
    (0..LOCAL_COUNT)
        .map(|index| format!("127.0.0.1:{}", LOCAL_FIRST + LOCAL_STEP * index))
        .collect()
}
