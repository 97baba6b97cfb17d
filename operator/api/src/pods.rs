//! The bounded part of a pod that users may set.

use crate::rule::rule;
use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the daemons' pods have beyond what the operator writes: bounded, not a whole template.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[schemars(extend("x-kubernetes-validations" = [
        rule(".labels",
            "!has(self.labels) || self.labels.all(k, !k.startsWith('spread-operator.dev/'))",
            "labels below spread-operator.dev/ are the operator's: use a prefix of your own"),
        rule(".annotations",
            "!has(self.annotations) || self.annotations.all(k, !k.startsWith('spread-operator.dev/'))",
            "annotations below spread-operator.dev/ are the operator's: use a prefix of your own")
]))]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PodTemplate {
    /// Further labels.
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
    /// Further annotations.
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,
    /// Requests and limits. Default: a CPU request, a memory limit computed from the bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels that a node needs.
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are tolerated.
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Affinity rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How daemons spread. Default: over hosts and zones, where that is possible.
    #[schemars(length(max = 8))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class.
    #[schemars(length(max = 253))]
    pub priority_class_name: String,
    /// Seconds that a daemon has to leave in order.
    #[schemars(range(min = 1, max = 3600))]
    pub termination_grace_period_seconds: u32,
}

impl Default for PodTemplate {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            resources: None,
            node_selector: BTreeMap::new(),
            tolerations: Vec::new(),
            affinity: None,
            topology_spread_constraints: Vec::new(),
            priority_class_name: String::new(),
            termination_grace_period_seconds: 30,
        }
    }
}
