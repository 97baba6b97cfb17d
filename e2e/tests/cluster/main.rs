//! Real pods on the cluster that `SPREAD_E2E_CLUSTER` names. `cargo e2e test` brings it up, runs these one after the
//! other and removes it.

#![allow(clippy::unwrap_used, reason = "helpers of a test fail it")]

mod bench;
mod daemon_pods;
mod flood;
mod operator_pods;
mod ring;
