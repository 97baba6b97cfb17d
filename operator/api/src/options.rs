//! The spec's choices. A choice is an object with a `type`, so that it can grow members.

use crate::choice::choice;
use crate::rule::rule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where daemons run.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".nodeSelector",
            "self.type == 'PerNode' || !has(self.nodeSelector) || size(self.nodeSelector) == 0",
            "nodeSelector belongs to type PerNode: set that type, or use podTemplate.nodeSelector")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// Which one.
    pub r#type: PlacementType,
    /// PerNode: labels of the nodes that get a daemon.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
}

choice!(@kind
    /// Where daemons run.
    PlacementType {
        /// So many pods, wherever the scheduler puts them.
        Pods,
        /// One daemon on each eligible node.
        PerNode,
    }
);

choice!(@kind
    /// When an image is pulled.
    ImagePullPolicy {
        /// When it is not on the node.
        IfNotPresent,
        /// At each start.
        Always,
        /// Not at all.
        Never,
    }
);

/// A Secret of this namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

choice!(
    /// What happens when more daemons are wanted than the ring has slots.
    Growth, GrowthType {
        /// A new ring is made and clients move to it.
        NewRing,
        /// The ring's configuration is reloaded.
        Reload,
    }
);

/// Timers of the ring.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".type",
            "self.type == 'Custom' ? has(self.tokenTimeoutMilliseconds) && has(self.hurryTimeoutMilliseconds) && has(self.gatherTimeoutMilliseconds) && has(self.lookupTimeoutMilliseconds) : !has(self.tokenTimeoutMilliseconds) && !has(self.hurryTimeoutMilliseconds) && !has(self.gatherTimeoutMilliseconds) && !has(self.lookupTimeoutMilliseconds)",
            "type Custom needs all four timeouts, other types none: add the missing ones, or remove them"),
        rule(".hurryTimeoutMilliseconds",
            "!has(self.tokenTimeoutMilliseconds) || !has(self.hurryTimeoutMilliseconds) || self.hurryTimeoutMilliseconds < self.tokenTimeoutMilliseconds",
            "hurryTimeoutMilliseconds has to be below tokenTimeoutMilliseconds: a token is hurried before it counts as lost; lower it"),
        rule(".gatherTimeoutMilliseconds",
            "!has(self.gatherTimeoutMilliseconds) || !has(self.lookupTimeoutMilliseconds) || self.gatherTimeoutMilliseconds < self.lookupTimeoutMilliseconds",
            "gatherTimeoutMilliseconds has to be below lookupTimeoutMilliseconds: a membership change ends before the next search; lower it")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// Which one.
    pub r#type: ProfileType,
    /// Custom: no token for so long means it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 600_000))]
    pub token_timeout_milliseconds: Option<u32>,
    /// Custom: the token is sent again when it has not come round for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600_000))]
    pub hurry_timeout_milliseconds: Option<u32>,
    /// Custom: how long answers are collected in a membership change.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 600_000))]
    pub gather_timeout_milliseconds: Option<u32>,
    /// Custom: how often daemons outside the ring are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 600_000))]
    pub lookup_timeout_milliseconds: Option<u32>,
}

choice!(@kind
    /// Timers of the ring.
    ProfileType {
        /// One data centre.
        LAN,
        /// Several sites.
        WAN,
        /// As given.
        Custom,
    }
);

/// Bounds of sessions and messages.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Largest message.
    #[schemars(range(min = 1024, max = 134_217_728))]
    pub max_message_bytes: u32,
    /// Sessions of one daemon.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_sessions: u32,
    /// Bytes that may wait for one session.
    #[schemars(range(min = 65_536, max = 1_073_741_824))]
    pub session_queue_bytes: u32,
    /// Longest group name. Clients are built with theirs: 31 is what they have.
    #[schemars(range(min = 31, max = 255))]
    pub max_group_name_bytes: u32,
    /// What happens to a session that does not read.
    pub slow_reader: SlowReader,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 16_777_216,
            max_sessions: 10_000,
            session_queue_bytes: 4_194_304,
            max_group_name_bytes: 31,
            slow_reader: SlowReader::default(),
        }
    }
}

/// What happens to a session that does not read.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".type",
            "self.type == 'Block' ? !has(self.messages) : !has(self.timeoutSeconds)",
            "timeoutSeconds belongs to type Block and messages to type Disconnect: remove the other one")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowReader {
    /// Which one.
    pub r#type: SlowReaderType,
    /// Block: the session is ended after so long. Absent: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: Option<u32>,
    /// Disconnect: the session is ended when so many messages wait. Absent: 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 999_999))]
    pub messages: Option<u32>,
}

choice!(@kind
    /// What happens to a session that does not read.
    SlowReaderType {
        /// Senders are pushed back for a while.
        Block,
        /// It is ended, the original's way.
        Disconnect,
    }
);

choice!(@kind
    /// Address families, as for Services.
    IpFamilyPolicy {
        /// One.
        SingleStack,
        /// Two where the cluster has them.
        PreferDualStack,
        /// Two.
        RequireDualStack,
    }
);

choice!(@kind
    /// An address family.
    IpFamily {
        /// 32-bit addresses.
        IPv4,
        /// 128-bit addresses.
        IPv6,
    }
);

/// How clients move to a new ring.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Switchover {
    /// Whether it starts by itself.
    pub mode: SwitchoverMode,
    /// Longest time from Prepare to Commit; then it is aborted and tried again later.
    #[schemars(range(min = 1, max = 3600))]
    pub deadline_seconds: u32,
    /// What happens to an endpoint that is not ready.
    pub on_laggard: OnLaggard,
    /// How long the old ring serves sessions that have not moved.
    #[schemars(range(max = 86_400))]
    pub retain_old_ring_seconds: u32,
    /// Shortest time between two.
    #[schemars(range(max = 86_400))]
    pub min_interval_seconds: u32,
}

impl Default for Switchover {
    fn default() -> Self {
        Self {
            mode: SwitchoverMode::Automatic,
            deadline_seconds: 30,
            on_laggard: OnLaggard::Abort,
            retain_old_ring_seconds: 300,
            min_interval_seconds: 60,
        }
    }
}

choice!(@kind
    /// Whether a switch-over starts by itself.
    SwitchoverMode {
        /// It does.
        Automatic,
        /// It waits for the annotation.
        Manual,
    }
);

choice!(@kind
    /// What happens to an endpoint that is not ready.
    OnLaggard {
        /// All go back.
        Abort,
        /// It is left behind.
        Disconnect,
    }
);

choice!(
    /// Whether the operator makes a child object.
    Child, ChildType {
        /// It does.
        Managed,
        /// It does not.
        None,
    }
);
