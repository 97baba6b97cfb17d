//! The object and its spec.

use crate::clients::*;
use crate::options::*;
use crate::pods::PodTemplate;
use crate::rule::{at_creation, rule};
use crate::security::*;
use crate::status::SpreadClusterStatus;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster of daemons that gives its clients ordered group communication.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "spread-operator.dev",
    version = "v1alpha1",
    kind = "SpreadCluster",
    plural = "spreadclusters",
    shortname = "sprc",
    category = "spread",
    namespaced,
    status = "SpreadClusterStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    validation = Rule::new("size(self.metadata.name) <= 40")
        .message("metadata.name is longer than 40 characters: names of children would not fit; choose a shorter one")
        .reason(Reason::FieldValueInvalid),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name becomes part of names of Services: begin with a letter, go on with lower-case letters, digits and dashes")
        .reason(Reason::FieldValueInvalid),
    printcolumn(
        name = "Ready", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(
        name = "Reason", type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason"
    ),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Free", type_ = "integer", json_path = ".status.slots.free"),
    printcolumn(name = "Ring", type_ = "integer", json_path = ".status.activeRing"),
    printcolumn(
        name = "Sessions", type_ = "integer",
        json_path = ".status.rings[?(@.state=='Active')].sessions"
    ),
    printcolumn(name = "Switchover", type_ = "string", json_path = ".status.switchover.step"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Image", type_ = "string", json_path = ".spec.image", priority = 1),
    printcolumn(
        name = "Generation", type_ = "integer",
        json_path = ".status.observedGeneration", priority = 1
    )
)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".replicas",
            "has(self.replicas) != (self.placement.type == 'PerNode')",
            "give either replicas or placement.type: PerNode: set replicas, or remove it when each node gets a daemon"),
        rule(".replicas",
            "!has(self.replicas) || self.replicas <= self.slots.max",
            "replicas is above slots.max: raise slots.max, or ask for fewer daemons"),
        rule(".slots.initial",
            "self.slots.initial <= self.slots.max",
            "slots.initial is above slots.max: lower slots.initial, or raise slots.max"),
        rule(".slots.minSpare",
            "self.slots.minSpare < self.slots.max",
            "slots.minSpare leaves no slot for a daemon: make it smaller than slots.max"),
        rule(".image",
            "!has(self.image) || !self.image.contains(' ')",
            "image has a blank: write REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST, or leave it out for the operator's default"),
        rule(".ipFamilies",
            "!has(self.ipFamilies) || size(self.ipFamilies) < 2 || self.ipFamilyPolicy != 'SingleStack'",
            "ipFamilies lists two families and ipFamilyPolicy is SingleStack: remove one, or set PreferDualStack"),
        at_creation(rule(".slots.initial",
            "oldSelf.hasValue() || !has(self.replicas) || self.slots.initial >= self.replicas",
            "slots.initial is below replicas: the first ring needs a slot for each daemon; raise slots.initial"))
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SpreadClusterSpec {
    /// Daemons wanted. Absent with placement PerNode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub replicas: Option<u32>,
    /// Where daemons run.
    pub placement: Placement,
    /// Image of the daemon. Empty: the operator's default, frozen per ring when the ring is made.
    #[schemars(length(max = 512))]
    pub image: String,
    /// When the image is pulled.
    pub image_pull_policy: ImagePullPolicy,
    /// Secrets of this namespace with which the image is pulled.
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Vec<SecretRef>,
    /// Daemon positions that the ring's configuration lists.
    pub slots: Slots,
    /// What happens when more daemons are wanted than the ring has slots. Not in force yet: all slots
    /// are filled, and a condition says what is missing.
    pub growth: Growth,
    /// Timers of the ring.
    pub profile: Profile,
    /// Bounds of sessions and messages.
    pub limits: Limits,
    /// Who may connect, and how.
    pub clients: Clients,
    /// Keys and certificates.
    pub security: Security,
    /// Address families, as for Services.
    pub ip_family_policy: IpFamilyPolicy,
    /// Address families in order of preference. Empty: the cluster's.
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub ip_families: Vec<IpFamily>,
    /// How clients move to a new ring. Not in force yet: no new ring is made.
    pub switchover: Switchover,
    /// What the daemons' pods have beyond what the operator writes.
    pub pod_template: PodTemplate,
    /// Whether the operator makes a PodDisruptionBudget.
    pub pod_disruption_budget: Child,
    /// Whether the operator makes a NetworkPolicy.
    pub network_policy: Child,
    /// Observe and report, but do not act.
    pub paused: bool,
}

/// Daemon positions. A slot that is listed and vacant is filled without anybody else's notice.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Slots {
    /// Slots of the first ring.
    #[schemars(range(min = 1, max = 1024))]
    pub initial: u32,
    /// Free slots below which SlotsAvailable is False.
    #[schemars(range(max = 1023))]
    pub min_spare: u32,
    /// Most slots that any ring of this cluster may have.
    #[schemars(range(min = 1, max = 1024))]
    pub max: u32,
}

impl Default for Slots {
    fn default() -> Self {
        Self { initial: 8, min_spare: 1, max: 64 }
    }
}
