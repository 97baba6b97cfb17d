//! One daemon at a time: a drain waits, and never for ever.

use super::meta::{meta, select};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::names::Names;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(super) fn budget(facts: &Facts<'_>, decision: &Decision) -> PodDisruptionBudget {
    let names = Names::of(facts.cluster);
    let ring = decision.ring.number;
    PodDisruptionBudget {
        metadata: meta(facts, names.ring(ring)),
        spec: Some(PodDisruptionBudgetSpec {
            // Never minAvailable: with one replica it would block a drain for ever.
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(select(names.selector(ring))),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}
