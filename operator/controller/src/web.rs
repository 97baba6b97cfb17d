//! `/healthz`, `/readyz`, `/metrics` of the operator itself.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    synced: Arc<AtomicBool>,
}

/// Binds; a taken port is an error at once.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} can't be bound: choose another with --listen"))
}

/// Serves for ever. `synced` tells whether the caches are complete.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    synced: Arc<AtomicBool>,
) -> Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .with_state(Shared { metrics, synced });
    Ok(axum::serve(listener, router).await?)
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.synced.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not complete yet\n")
    }
}

async fn text(State(shared): State<Shared>) -> impl IntoResponse {
    match shared.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
