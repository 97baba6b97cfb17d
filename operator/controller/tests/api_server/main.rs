//! The operator against a real API server with Kubernetes' own controllers. No node runs pods: where a
//! test needs daemons, it plays the kubelet and serves their admin endpoints.
//!
//! They need the Kubernetes commands, which `cargo e2e` builds: `cargo test -p spread-operator -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod applying;
mod copies;
mod crashes;
mod daemons;
mod drift;
mod election;
mod faults;
mod handover;
mod manifests;
mod nodes;
mod restarts;
mod stale;
mod world;
