//! The admin endpoint: health, readiness, status, metrics, log level. Loopback by default.

use crate::settings::Settings;
use crate::snapshot::{Snapshots, Status};
use crate::telemetry::LogLevel;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, put};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Runtime;

/// The ring's event loop turns at least this often while it is healthy.
const TURN_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Shared {
    snapshots: Arc<Snapshots>,
    log_level: LogLevel,
}

/// Binds before any thread starts, so that a taken port never costs the ring a membership change. `None`: it is off.
pub(crate) fn bind(settings: &Settings) -> Result<Option<TcpListener>> {
    let Some(address) = &settings.conf.admin_endpoint else { return Ok(None) };
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("AdminEndpoint = \"{address}\": write ADDRESS:PORT, or off"))?;
    let listener = TcpListener::bind(address).with_context(|| {
        format!("the admin endpoint {address} can't be bound: set another AdminEndpoint")
    })?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Serves until the returned runtime is dropped.
pub(crate) fn start(
    listener: Option<TcpListener>,
    snapshots: &Arc<Snapshots>,
    log_level: LogLevel,
) -> Result<Option<Runtime>> {
    let Some(listener) = listener else { return Ok(None) };
    let shared = Shared { snapshots: Arc::clone(snapshots), log_level };
    let router = Router::new()
        .route("/", get(index))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/log-level", put(set_log_level))
        .with_state(shared);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("admin")
        .enable_all()
        .build()?;
    runtime.spawn(async move {
        let served = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => axum::serve(listener, router).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::error!("the admin endpoint ended: {error}");
        }
    });
    Ok(Some(runtime))
}

async fn index() -> &'static str {
    "GET /healthz     the event loop makes progress\nGET /readyz      sessions are accepted\nGET /status      \
     everything, as JSON\nGET /metrics     OpenMetrics\nPUT /log-level   a filter such as info or \
     debug\n"
}

async fn health(State(shared): State<Shared>) -> impl IntoResponse {
    let before = shared.snapshots.turns.load(Ordering::Relaxed);
    let deadline = tokio::time::Instant::now() + TURN_TIMEOUT;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if shared.snapshots.turns.load(Ordering::Relaxed) != before {
            return (StatusCode::OK, "ok\n");
        }
    }
    (StatusCode::SERVICE_UNAVAILABLE, "the event loop stands still\n")
}

async fn ready(State(shared): State<Shared>) -> impl IntoResponse {
    if shared.snapshots.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "in no ring yet\n")
    }
}

async fn status(State(shared): State<Shared>) -> axum::Json<Status> {
    axum::Json(shared.snapshots.status())
}

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

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let status = shared.snapshots.status();
    let mut registry = Registry::with_prefix("spread");
    for (name, value) in &status.counters {
        register_count(&mut registry, name, *value);
    }
    let mut gauge = |name: String, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("members".into(), "Daemons in the configuration", status.members.len() as u64);
    gauge("slots".into(), "Listed slots", status.slots as u64);
    gauge("sessions".into(), "Sessions of this daemon", status.sessions.len() as u64);
    gauge("groups".into(), "Groups with members", status.groups as u64);
    gauge("key_id".into(), "Key that seals ring packets, 0 for none", u64::from(status.key_id));
    gauge("backlog_bytes".into(), "Payload bytes that wait for the token", backlog(&status));
    for (why, value) in &status.refused {
        let refused: Counter = Counter::default();
        refused.inc_by(*value);
        let name = format!("refused_{}", why.to_lowercase());
        registry.register(name, "Packets or daemons refused", refused);
    }
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn set_log_level(State(shared): State<Shared>, body: String) -> impl IntoResponse {
    match body.trim().parse::<tracing_subscriber::EnvFilter>() {
        Ok(filter) => match shared.log_level.reload(filter) {
            Ok(()) => (StatusCode::OK, format!("{}\n", body.trim())),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        Err(error) => {
            (StatusCode::BAD_REQUEST, format!("{error}; write a level such as info or debug\n"))
        }
    }
}
