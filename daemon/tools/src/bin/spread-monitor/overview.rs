//! Two rounds of answers to rows with rates and findings. Pure: what is shown is decided here.

use crate::status::{Change, Group, Session, Status};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;

/// Membership changes that are shown.
const CHANGES: usize = 12;

/// An endpoint's answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) address: String,
    pub(crate) at: Instant,
    /// `Err` says what to do next.
    pub(crate) status: Result<Status, String>,
}

/// The answers of all endpoints at about one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub(crate) answers: Vec<Answer>,
}

/// Everything that is shown.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Overview {
    /// Memberships that exist side by side; one where all is well.
    pub(crate) rings: Vec<Ring>,
    pub(crate) daemons: Vec<Daemon>,
    /// What a person should look at, with what to do.
    pub(crate) findings: Vec<String>,
    /// Membership changes, the newest first.
    pub(crate) changes: Vec<Change>,
}

/// Daemons with one membership.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) ring_number: u32,
    pub(crate) configuration: Option<String>,
    pub(crate) members: Vec<String>,
    pub(crate) slots: usize,
    pub(crate) groups: usize,
    /// The largest ones.
    pub(crate) largest_groups: Vec<Group>,
    pub(crate) sessions: usize,
}

/// A daemon's row.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Daemon {
    pub(crate) address: String,
    /// Empty where it does not answer.
    pub(crate) name: String,
    /// What to do where it does not answer.
    pub(crate) unreachable: Option<String>,
    pub(crate) version: String,
    pub(crate) phase: String,
    pub(crate) uptime_seconds: u64,
    pub(crate) retransmissions: u64,
    pub(crate) backlog_bytes: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    /// From the second round on, while it is the same process.
    pub(crate) rates: Option<Rates>,
    pub(crate) sessions: Vec<Session>,
}

/// Per second.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq)]
pub(crate) struct Rates {
    /// Messages that its clients sent.
    pub(crate) messages_in: f64,
    /// Messages delivered to its clients.
    pub(crate) messages_out: f64,
    pub(crate) packets_sent: f64,
    pub(crate) packets_received: f64,
    pub(crate) retransmissions: f64,
    pub(crate) token_visits: f64,
}

impl Overview {
    /// Nothing answers; why and what to do.
    pub(crate) fn nobody(why: &str) -> Self {
        Self { findings: vec![why.to_owned()], ..Self::default() }
    }

    /// From this round, with rates since the previous one.
    pub(crate) fn new(previous: Option<&Round>, round: &Round) -> Self {
        let mut daemons: Vec<Daemon> =
            round.answers.iter().map(|answer| daemon(previous, answer)).collect();
        // Those without an answer have no name and come last.
        daemons.sort_by(|a, b| {
            (a.name.is_empty(), natural(&a.name), &a.address).cmp(&(
                b.name.is_empty(),
                natural(&b.name),
                &b.address,
            ))
        });
        let answered: Vec<&Status> =
            round.answers.iter().filter_map(|answer| answer.status.as_ref().ok()).collect();
        let rings = rings(&answered);
        let findings = findings(&daemons, &rings, &answered);
        Self { rings, daemons, findings, changes: changes(&answered) }
    }

    /// How many daemons answered.
    pub(crate) fn answered(&self) -> usize {
        self.daemons.iter().filter(|daemon| daemon.unreachable.is_none()).count()
    }
}

/// Digits count as numbers, so that d10 stands behind d9.
fn natural(name: &str) -> (String, u64) {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters.to_owned(), name[letters.len()..].parse().unwrap_or(0))
}

fn daemon(previous: Option<&Round>, answer: &Answer) -> Daemon {
    let address = answer.address.clone();
    let status = match &answer.status {
        Ok(status) => status,
        Err(advice) => {
            return Daemon { address, unreachable: Some(advice.clone()), ..Daemon::default() };
        }
    };
    let before = previous
        .and_then(|round| round.answers.iter().find(|before| before.address == answer.address));
    let rates = before.and_then(|before| {
        let old = before.status.as_ref().ok()?;
        rates(old, status, answer.at.duration_since(before.at).as_secs_f64())
    });
    Daemon {
        address,
        name: status.name.clone(),
        unreachable: None,
        version: status.version.clone(),
        phase: status.phase.clone(),
        uptime_seconds: status.uptime_seconds,
        retransmissions: status.counter("retransmissions"),
        backlog_bytes: status.counter("backlog_bytes"),
        refused: status.refused.clone(),
        rates,
        sessions: status.sessions.clone(),
    }
}

/// `None`: another process answers, or no time has passed.
fn rates(old: &Status, new: &Status, seconds: f64) -> Option<Rates> {
    let same = old.boot() == new.boot() && old.uptime_seconds <= new.uptime_seconds;
    if !same || seconds <= 0.0 {
        return None;
    }
    let rate = |name: &str| new.counter(name).saturating_sub(old.counter(name)) as f64 / seconds;
    Some(Rates {
        messages_in: rate("client_messages_received"),
        messages_out: rate("client_messages_delivered"),
        packets_sent: rate("packets_sent"),
        packets_received: rate("packets_received"),
        retransmissions: rate("retransmissions"),
        token_visits: rate("token_visits"),
    })
}

/// Distinct memberships, the largest first.
fn rings(answered: &[&Status]) -> Vec<Ring> {
    let mut rings: Vec<Ring> = Vec::new();
    for status in answered {
        let (members, configuration) = (status.member_names(), &status.configuration);
        let known = rings.iter_mut().find(|ring| {
            ring.ring_number == status.ring_number
                && ring.configuration == *configuration
                && ring.members == members
        });
        // Where daemons were asked at slightly different moments the largest number is the newest as a rule.
        match known {
            Some(ring) => {
                ring.groups = ring.groups.max(status.groups);
                ring.sessions = ring.sessions.max(status.sessions_in_component);
            }
            None => rings.push(Ring {
                ring_number: status.ring_number,
                configuration: configuration.clone(),
                members,
                slots: status.slots,
                groups: status.groups,
                largest_groups: status.largest_groups.clone(),
                sessions: status.sessions_in_component,
            }),
        }
    }
    rings.sort_by_key(|ring| core::cmp::Reverse(ring.members.len()));
    rings
}

/// Each change once, though all members tell it.
fn changes(answered: &[&Status]) -> Vec<Change> {
    // Daemons install a membership at slightly different times.
    const SAME_MILLISECONDS: u64 = 1000;
    let mut all: Vec<Change> =
        answered.iter().flat_map(|status| status.changes.iter().cloned()).collect();
    all.sort_by_key(|change| core::cmp::Reverse(change.at_milliseconds));
    let mut distinct: Vec<Change> = Vec::new();
    for change in all {
        let told = distinct.iter().any(|known| {
            known.members == change.members
                && known.at_milliseconds.abs_diff(change.at_milliseconds) < SAME_MILLISECONDS
        });
        if !told {
            distinct.push(change);
        }
    }
    distinct.truncate(CHANGES);
    distinct
}

fn findings(daemons: &[Daemon], rings: &[Ring], answered: &[&Status]) -> Vec<String> {
    let mut found = Vec::new();
    for daemon in daemons {
        if let Some(advice) = &daemon.unreachable {
            found.push(format!("{}: {advice}", daemon.address));
        }
    }
    for number in distinct(answered.iter().map(|status| status.ring_number)) {
        let of_number: Vec<&Ring> =
            rings.iter().filter(|ring| ring.ring_number == number).collect();
        if of_number.len() > 1 {
            let parts: Vec<String> = of_number.iter().map(|ring| ring.members.join(" ")).collect();
            found.push(format!(
                "ring {number} is in {} parts ({}): look at the network between them if it stays so",
                parts.len(),
                parts.join(" | ")
            ));
        }
    }
    if distinct(answered.iter().map(|status| status.configuration_hash.clone())).len() > 1 {
        found.push(
            "the daemons have read different configurations: compare their spread.conf".into(),
        );
    }
    if distinct(answered.iter().map(|status| status.key_id)).len() > 1 {
        found.push("the daemons seal with different keys: compare their RingKeyFile".into());
    }
    for daemon in daemons.iter().filter(|daemon| daemon.unreachable.is_none()) {
        if daemon.phase != "Operational" {
            found.push(format!(
                "{} is in phase {}: the membership is changing",
                daemon.name, daemon.phase
            ));
        }
        for (why, count) in &daemon.refused {
            if let Some(advice) = refusal(why) {
                found.push(format!("{} refused {count} packets: {advice}", daemon.name));
            }
        }
    }
    found
}

/// What to do about refused packets; `None` where they are nothing to worry about.
fn refusal(why: &str) -> Option<&'static str> {
    Some(match why {
        "WrongKey" | "UnknownKey" => "another daemon has another key; compare the RingKeyFile",
        "ConfigurationMismatch" => {
            "another daemon's spread.conf lists other daemons; compare the files"
        }
        "ForeignRing" => "a daemon of another RingNumber or ClusterUid sends here",
        "SlotClaimed" => "a second daemon wants a slot that is taken; stop one of them",
        "UnknownVersion" => "a daemon of another version sends here",
        "Malformed" => "something that is no daemon sends to the ring's port",
        _ => return None,
    })
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = values.collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
#[path = "overview_tests.rs"]
mod tests;
