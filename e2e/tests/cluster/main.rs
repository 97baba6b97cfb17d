//! Real pods on the cluster that `SPREAD_E2E_CLUSTER` names. `cargo e2e test` brings it up, runs these one after the
//! other and removes it.

#![allow(clippy::unwrap_used, reason = "helpers of a test fail it")]

mod bench;
mod certificates;
mod daemon_pods;
mod flood;
mod gaps;
mod namespaces;
mod operator_pods;
mod ring;
