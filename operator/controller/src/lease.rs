//! Leader election, the pure part: what to do with the Lease, given what was seen of it and when.
//!
//! Times are of the observer's own steady clock. A record's time stamps are never compared with it:
//! clocks of two machines differ. What counts is how long the record has not changed.

use std::time::Duration;

/// How long a leader leads without a renewal, as others see it.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops writing: before others may begin.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at the Lease.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// What was seen of the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who leads. Empty: nobody.
    pub holder: String,
    /// Changes with each write.
    pub resource_version: String,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the Lease.
    Create,
    /// Take it over.
    Take,
    /// Renew it.
    Renew,
    /// Somebody else leads.
    Wait,
}

/// The next step. `unchanged_for` is how long this record has been seen unchanged.
pub fn step(me: &str, seen: Option<&Record>, unchanged_for: Duration) -> Step {
    match seen {
        None => Step::Create,
        Some(record) if record.holder == me => Step::Renew,
        Some(record) if record.holder.is_empty() => Step::Take,
        Some(_) if unchanged_for >= LEASE_DURATION => Step::Take,
        Some(_) => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::{LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD, Record, Step, step};
    use std::time::Duration;

    fn held_by(holder: &str) -> Record {
        Record { holder: holder.to_owned(), resource_version: "1".to_owned() }
    }

    #[test]
    fn each_record_has_its_step() {
        let (fresh, old) = (Duration::ZERO, LEASE_DURATION);
        assert_eq!(step("a", None, fresh), Step::Create);
        assert_eq!(step("a", Some(&held_by("")), fresh), Step::Take);
        assert_eq!(step("a", Some(&held_by("a")), fresh), Step::Renew);
        assert_eq!(step("a", Some(&held_by("a")), old), Step::Renew);
        assert_eq!(step("a", Some(&held_by("b")), fresh), Step::Wait);
        assert_eq!(step("a", Some(&held_by("b")), old), Step::Take);
    }

    /// Whatever the order of their looks: one that could not renew has stopped before another begins.
    #[test]
    fn a_leader_stops_before_another_begins() {
        assert!(RENEW_DEADLINE + RETRY_PERIOD < LEASE_DURATION);
    }
}
