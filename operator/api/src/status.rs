//! What is reported back. Written by the operator only.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
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
    /// Label selector of all daemons, for the scale subresource.
    #[schemars(length(max = 512))]
    pub selector: String,
    /// Slots of the active ring.
    pub slots: SlotsStatus,
    /// Number of the ring that serves. 0: none yet.
    pub active_ring: u32,
    /// All rings that exist.
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["number"]))]
    pub rings: Vec<RingStatus>,
    /// What is to come: "", Roll, Reload or NewRing.
    #[schemars(length(max = 16))]
    pub pending_change: String,
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
    /// Slots that it has.
    pub slots: u32,
    /// Its daemons.
    #[serde(default)]
    pub members: RingMembers,
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
