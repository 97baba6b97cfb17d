//! Health and readiness: what a kubelet asks.

use crate::snapshot::Snapshots;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `/healthz` and `/readyz`.
pub(super) fn routes() -> Router<Arc<Snapshots>> {
    Router::new().route("/healthz", get(health)).route("/readyz", get(ready))
}

/// Progress of both event loops, whatever the membership.
async fn health(State(snapshots): State<Arc<Snapshots>>) -> impl IntoResponse {
    match snapshots.refresh().await {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "an event loop stands still\n"),
    }
}

async fn ready(State(snapshots): State<Arc<Snapshots>>) -> impl IntoResponse {
    if snapshots.leaving.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "leaving the ring\n")
    } else if snapshots.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "in no ring yet\n")
    }
}
