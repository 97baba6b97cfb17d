//! The controller of `SpreadCluster` objects on Kubernetes.
//!
//! [`reconcile`] reads as what it does: observe, guard, decide, build, apply, status. What decides and
//! builds is `spread-plan`; here is what talks:
//!
//! * [`caches`] what is watched, and what is kept of it; [`admin`] the daemons' own view;
//! * [`passes`] which object is looked at next;
//! * [`write`] every write, with leadership, refusal of foreign objects and named points;
//! * [`leader`] the election; [`material`] keys and certificates; [`handover`] what cert-manager leaves; [`report`] status and events.

pub mod admin;
mod ask;
pub mod caches;
pub mod certificates;
mod connectors;
pub mod context;
pub mod copies;
pub mod handover;
pub mod held;
pub mod kinds;
pub mod leader;
pub mod lease;
pub mod material;
pub mod metrics;
pub mod observe;
mod owned;
pub mod passes;
pub mod points;
mod queue;
pub mod reconcile;
pub mod refusal;
pub mod report;
pub mod run;
pub mod settings;
mod shelf;
mod watched;
pub mod web;
pub mod wide;
pub mod write;
