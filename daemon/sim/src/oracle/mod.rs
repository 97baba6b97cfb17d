//! What the system promises, one file per promise. Each looks at the whole history of a run and at nothing else.

pub mod agreed_order;
pub mod bounded_queues;
pub mod causal;
pub mod converged;
pub mod fifo;
pub mod liveness;
pub mod member_order;
pub mod members_only;
pub mod monotone_positions;
pub mod name_freed_last;
pub mod no_duplicate;
pub mod no_invention;
pub mod nothing_lost;
pub mod one_configuration;
pub mod one_view;
pub mod safe;
pub mod self_delivery;
pub mod sessions_stay;
pub mod transitional;
pub mod virtual_synchrony;
pub mod vs_set_truth;

use crate::history::{History, Moment, Violation};

/// A promise's judge.
type Check = fn(&History, &mut Judgement);

/// Every promise that is judged over a finished history.
const CHECKS: &[(&str, Check)] = &[
    ("agreed_order", agreed_order::check),
    ("causal", causal::check),
    ("converged", converged::check),
    ("fifo", fifo::check),
    ("member_order", member_order::check),
    ("members_only", members_only::check),
    ("monotone_positions", monotone_positions::check),
    ("no_duplicate", no_duplicate::check),
    ("no_invention", no_invention::check),
    ("nothing_lost", nothing_lost::check),
    ("one_configuration", one_configuration::check),
    ("one_view", one_view::check),
    ("safe", safe::check),
    ("self_delivery", self_delivery::check),
    ("transitional", transitional::check),
    ("virtual_synchrony", virtual_synchrony::check),
    ("vs_set_truth", vs_set_truth::check),
];

/// Collects what one promise's judge finds; only the first matters.
#[derive(Debug)]
pub struct Judgement {
    promise: &'static str,
    first: Option<Violation>,
}

impl Judgement {
    /// The promise was broken at this moment.
    pub fn broken(&mut self, moment: Moment, text: impl FnOnce() -> String) {
        if self.first.as_ref().is_none_or(|first| moment < first.moment) {
            self.first = Some(Violation { promise: self.promise, moment, text: text() });
        }
    }
}

/// Judges a history: of each promise the first violation.
#[must_use]
pub fn judge(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (promise, check) in CHECKS {
        let mut judgement = Judgement { promise, first: None };
        check(history, &mut judgement);
        violations.extend(judgement.first);
    }
    violations
}

/// Names of all promises, those judged during the run included.
pub fn promises() -> impl Iterator<Item = &'static str> {
    let online = ["bounded_queues", "liveness", "name_freed_last", "sessions_stay"];
    CHECKS.iter().map(|(name, _)| *name).chain(online)
}
