//! Health and readiness: what a kubelet asks.

use crate::snapshot::Snapshots;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Each event loop turns at least this often while it is healthy.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a turn is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// `/healthz` and `/readyz`.
pub(super) fn routes() -> Router<Arc<Snapshots>> {
    Router::new().route("/healthz", get(health)).route("/readyz", get(ready))
}

/// Progress of both event loops, whatever the membership.
async fn health(State(snapshots): State<Arc<Snapshots>>) -> impl IntoResponse {
    let turns =
        || [&snapshots.turns, &snapshots.front_turns].map(|turns| turns.load(Ordering::Relaxed));
    let before = turns();
    let deadline = tokio::time::Instant::now() + TURN_TIMEOUT;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_INTERVAL).await;
        if turns().iter().zip(before).all(|(now, before)| *now != before) {
            return (StatusCode::OK, "ok\n");
        }
    }
    (StatusCode::SERVICE_UNAVAILABLE, "an event loop stands still\n")
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
