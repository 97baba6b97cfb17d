//! The status as OpenMetrics.

use super::Shared;
use crate::snapshot::Status;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Among the counters, but it falls, too.
const BACKLOG: &str = "backlog_bytes";

fn backlog(status: &Status) -> u64 {
    status.counters.get(BACKLOG).copied().unwrap_or(0)
}

fn register_count(registry: &mut Registry, name: &str, value: u64) {
    if name != BACKLOG {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, "Rises since the start", counter);
    }
}

fn registry(status: &Status) -> Registry {
    let mut registry = Registry::with_prefix("spread");
    for (name, value) in &status.counters {
        register_count(&mut registry, name, *value);
    }
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("members", "Daemons in the configuration", status.members.len() as u64);
    gauge("slots", "Listed slots", status.slots as u64);
    gauge("sessions", "Sessions of this daemon", status.session_count as u64);
    gauge("groups", "Groups with members", status.groups as u64);
    gauge("key_id", "Key that seals ring packets, 0 for none", u64::from(status.key_id));
    gauge("backlog_bytes", "Payload bytes that wait for the token", backlog(status));
    for (why, value) in &status.refused {
        let refused: Counter = Counter::default();
        refused.inc_by(*value);
        let name = format!("refused_{}", why.to_lowercase());
        registry.register(name, "Packets, daemons or administrators refused", refused);
    }
    registry
}

pub(super) async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let status = shared.snapshots.status().await;
    let mut text = String::new();
    match encode(&mut text, &registry(&status)) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
