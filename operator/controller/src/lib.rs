//! The controller of `SpreadCluster` objects on Kubernetes.
//!
//! [`reconcile`] reads as what it does: observe, guard, decide, build, apply, status. What decides and
//! builds is `spread-plan`; here is what talks:
//!
//! * [`caches`] what is watched; [`admin`] the daemons' own view;
//! * [`write`] every write, with leadership, refusal of foreign objects and named points;
//! * [`leader`] the election; [`material`] keys and certificates; [`report`] status and events.

pub mod admin;
pub mod caches;
pub mod certificates;
pub mod context;
pub mod kinds;
pub mod leader;
pub mod lease;
pub mod material;
pub mod metrics;
pub mod observe;
pub mod points;
pub mod reconcile;
pub mod refusal;
pub mod report;
pub mod run;
pub mod settings;
pub mod web;
pub mod write;
