//! What is reported back. Written by the operator only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is so.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct SpreadClusterStatus {
    /// Generation of the spec that this status is about.
    pub observed_generation: i64,
    /// Daemons that run.
    pub replicas: u32,
    /// Daemons that accept sessions.
    pub ready_replicas: u32,
    /// Label selector of the cluster's daemons, for the scale subresource.
    #[schemars(length(max = 512))]
    pub selector: String,
    /// Slots of the active ring.
    pub slots: SlotsStatus,
    /// Number of the ring that serves. 0: none yet.
    pub active_ring: u32,
    /// All rings that exist.
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["number"]))]
    pub rings: Vec<RingStatus>,
    /// What is to come.
    pub pending_change: PendingChange,
    /// The switch-over under way. Absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switchover: Option<SwitchoverStatus>,
    /// The last switch-overs, newest first.
    #[schemars(length(max = 5))]
    pub switchovers: Vec<SwitchoverRecord>,
    /// Where clients connect.
    pub client: ClientStatus,
    /// Values of the one-off requests that were acted on, by annotation.
    #[schemars(extend("maxProperties" = 8))]
    pub last_handled_requests: BTreeMap<String, String>,
    /// Version of the operator that wrote this.
    #[schemars(length(max = 64))]
    pub operator_version: String,
    /// Conditions.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Slots of a ring.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct SlotsStatus {
    /// Listed in the configuration.
    pub total: u32,
    /// With a daemon, or about to have one.
    pub used: u32,
    /// Vacant.
    pub free: u32,
}

/// One ring.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RingStatus {
    /// Which one, from 1.
    pub number: u32,
    /// What it does.
    pub state: RingState,
    /// Its StatefulSet, headless Service and ConfigMap.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub stateful_set: String,
    /// Image of its daemons.
    #[serde(default)]
    #[schemars(length(max = 512))]
    pub image: String,
    /// Version that its daemons report, the lowest where they differ.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub daemon_version: String,
    /// Its configuration, as its daemons report it.
    #[serde(default)]
    pub configuration: RingConfiguration,
    /// Key that seals the packets between its daemons, as they report it. 0: none, or they differ.
    #[serde(default)]
    pub key_id: u32,
    /// Slots that it has.
    pub slots: u32,
    /// Its daemons.
    #[serde(default)]
    pub members: RingMembers,
    /// Sessions of clients at its daemons.
    #[serde(default)]
    pub sessions: u32,
    /// Endpoints at its daemons: each holds sessions.
    #[serde(default)]
    pub endpoints: u32,
}

/// What is to come.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PendingChange {
    /// Nothing.
    #[default]
    #[serde(rename = "")]
    None,
    /// Daemons restart one after the other.
    Roll,
    /// The ring's configuration is reloaded.
    Reload,
    /// A new ring is made.
    NewRing,
}

/// A ring's configuration.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct RingConfiguration {
    /// How often it was changed while the ring ran.
    pub generation: u32,
    /// Hash of what all daemons have to agree on. Empty: unknown, or they differ.
    #[schemars(length(max = 64))]
    pub hash: String,
}

/// A switch-over under way.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SwitchoverStatus {
    /// Which one; no other has the same.
    #[schemars(length(max = 64))]
    pub operation: String,
    /// From which ring.
    pub from_ring: u32,
    /// To which ring.
    pub to_ring: u32,
    /// How far it is.
    pub step: SwitchoverStep,
    /// When the step began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_start_time: Option<Time>,
    /// The how manieth attempt, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
    /// The clients' side.
    #[serde(default)]
    pub endpoints: SwitchoverEndpoints,
    /// Who is waited for.
    #[serde(default)]
    #[schemars(length(max = 10))]
    pub laggards: Vec<Laggard>,
}

/// How far a switch-over is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchoverStep {
    /// The new ring's daemons start.
    Forming,
    /// Endpoints connect to the new ring as well.
    Preparing,
    /// The cut is ordered in the old ring.
    Committed,
    /// The new ring delivers.
    Opened,
    /// The old ring goes.
    Retiring,
    /// Everybody stays with the old ring.
    Aborting,
}

/// Endpoints in a switch-over.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct SwitchoverEndpoints {
    /// Of the old ring.
    pub known: u32,
    /// Connected to both.
    pub prepared: u32,
    /// Moved.
    pub opened: u32,
}

/// An endpoint that is waited for.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct Laggard {
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its pod.
    #[schemars(length(max = 253))]
    pub pod: String,
    /// What it has not done.
    #[schemars(length(max = 256))]
    pub missing: String,
}

/// A switch-over that ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SwitchoverRecord {
    /// From which ring.
    pub from_ring: u32,
    /// To which ring.
    pub to_ring: u32,
    /// How it ended.
    pub result: SwitchoverResult,
    /// Why it was aborted.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub abort_reason: String,
    /// How long clients waited: half of them at most so long.
    #[serde(default)]
    pub pause_p50_microseconds: u32,
    /// 99 of 100 at most so long.
    #[serde(default)]
    pub pause_p99_microseconds: u32,
    /// The longest.
    #[serde(default)]
    pub pause_max_microseconds: u32,
    /// Sessions that went on in the new ring.
    #[serde(default)]
    pub sessions_carried: u32,
    /// Sessions without an endpoint of their own, which ended.
    #[serde(default)]
    pub plain_sessions_ended: u32,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

/// How a switch-over ended.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchoverResult {
    /// The new ring serves.
    Completed,
    /// The old ring serves.
    Aborted,
}

/// What a ring does.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingState {
    /// Its daemons are starting.
    Forming,
    /// It serves.
    Active,
    /// A switch-over left it.
    Sealed,
    /// It is being taken down.
    Retiring,
}

/// Daemons of a ring.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct RingMembers {
    /// Asked for.
    pub wanted: u32,
    /// Accept sessions.
    pub ready: u32,
    /// In the ring's configuration, as the daemons report it.
    pub in_ring: u32,
}

/// Where clients connect.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientStatus {
    /// Host name or address.
    #[schemars(length(max = 253))]
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// ConfigMap with both.
    #[schemars(length(max = 253))]
    pub config_map: String,
}
