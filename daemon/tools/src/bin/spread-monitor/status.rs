//! What `/status` of a daemon says, as far as it is shown here. What a daemon leaves out is empty.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A daemon's answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) ring_number: u32,
    pub(crate) phase: String,
    pub(crate) configuration: Option<String>,
    pub(crate) configuration_hash: String,
    pub(crate) key_id: u32,
    pub(crate) members: Vec<Member>,
    pub(crate) slots: usize,
    pub(crate) groups: usize,
    pub(crate) largest_groups: Vec<Group>,
    pub(crate) sessions_in_component: usize,
    pub(crate) counters: BTreeMap<String, u64>,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) changes: Vec<Change>,
    pub(crate) uptime_seconds: u64,
}

impl Status {
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn member_names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// Which process answers: counters of another one start anew.
    pub(crate) fn boot(&self) -> Option<&str> {
        let own = self.members.iter().find(|member| member.name == self.name);
        own.map(|member| member.boot.as_str())
    }
}

/// A daemon of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) boot: String,
}

/// A group.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) members: usize,
}

/// A session of the daemon.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) peer: String,
    pub(crate) queued_bytes: u64,
}

/// A membership change as one daemon saw it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Change {
    /// Milliseconds since 1970.
    pub(crate) at_milliseconds: u64,
    pub(crate) reason: String,
    pub(crate) took_microseconds: u64,
    pub(crate) members: Vec<String>,
}
