//! The endpoints for administrators: health, readiness, status, metrics, log level; and health alone for a kubelet.

mod handshakes;
mod health;
mod metrics;
mod tls;

use crate::settings::Settings;
use crate::snapshot::{Hint, Snapshots, Status};
use crate::telemetry::LogLevel;
use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use tls::Certificates;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// What the answers need.
#[derive(Clone)]
struct Shared {
    snapshots: Arc<Snapshots>,
    log_level: LogLevel,
    slots: Arc<Vec<String>>,
    hints: mpsc::Sender<Vec<Hint>>,
}

/// What was bound before any thread started, so that a taken port never costs the ring a membership change.
pub(crate) struct Endpoints {
    admin: Option<TcpListener>,
    certificates: Option<Certificates>,
    health: Option<TcpListener>,
}

/// Binds what the configuration names, and reads the certificates.
pub(crate) fn bind(settings: &Settings) -> Result<Endpoints> {
    let conf = &settings.conf;
    Ok(Endpoints {
        admin: listener("AdminEndpoint", conf.admin_endpoint.as_deref())?,
        certificates: settings.admin_tls.as_deref().map(Certificates::read).transpose()?,
        health: listener("HealthEndpoint", conf.health_endpoint.as_deref())?,
    })
}

fn listener(option: &str, address: Option<&str>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let address: SocketAddr = address
        .parse()
        .with_context(|| format!("{option} = \"{address}\": write ADDRESS:PORT, or off"))?;
    let listener = TcpListener::bind(address)
        .with_context(|| format!("{option} {address} can't be bound: set another {option}"))?;
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Serves until the returned runtime is dropped. `hints` are addresses of slots that an administrator names.
pub(crate) fn start(
    endpoints: Endpoints,
    settings: &Settings,
    snapshots: &Arc<Snapshots>,
    (log_level, hints): (LogLevel, mpsc::Sender<Vec<Hint>>),
) -> Result<Option<Runtime>> {
    if endpoints.admin.is_none() && endpoints.health.is_none() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("admin")
        .enable_all()
        .build()?;
    let _guard = runtime.enter();
    if let Some(listener) = endpoints.health {
        let router = health::routes().with_state(Arc::clone(snapshots));
        runtime.spawn(plain("health", tokio::net::TcpListener::from_std(listener)?, router));
    }
    if let Some(listener) = endpoints.admin {
        let slots = settings.conf.slots.iter().map(|slot| slot.name.clone()).collect();
        let snapshots = Arc::clone(snapshots);
        let router = routes(Shared { snapshots, log_level, slots: Arc::new(slots), hints });
        let listener = tokio::net::TcpListener::from_std(listener)?;
        match endpoints.certificates {
            None => drop(runtime.spawn(plain("admin", listener, router))),
            Some(certificates) => {
                let refused = Arc::clone(&settings.admin_refused);
                let listener = handshakes::start(listener, certificates, refused)?;
                runtime.spawn(async move {
                    if let Err(error) = axum::serve(listener, router).await {
                        tracing::error!("the admin endpoint ended: {error}");
                    }
                });
            }
        }
    }
    drop(_guard);
    Ok(Some(runtime))
}

async fn plain(name: &'static str, listener: tokio::net::TcpListener, router: Router) {
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the {name} endpoint ended: {error}");
    }
}

fn routes(shared: Shared) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status", get(status))
        .route("/metrics", get(metrics::metrics))
        .route("/log-level", put(set_log_level))
        .route("/addresses", put(set_addresses))
        .with_state(shared.clone())
        .merge(health::routes().with_state(shared.snapshots))
}

async fn index() -> &'static str {
    "GET /healthz         the event loops make progress\n\
     GET /readyz          sessions are accepted\n\
     GET /status          everything, as JSON\n\
     GET /status?brief    without the lists of sessions, groups and changes\n\
     GET /metrics         OpenMetrics\n\
     PUT /log-level       a filter such as info or debug\n\
     PUT /addresses       where daemons may be, as JSON: {\"d1\": [\"10.0.0.2\"]}\n"
}

/// All of it, or what an operator asks thousands of daemons for.
async fn status(State(shared): State<Shared>, RawQuery(query): RawQuery) -> axum::Json<Status> {
    let mut status = shared.snapshots.status().await;
    if query.as_deref() == Some("brief") {
        status.sessions.clear();
        status.largest_groups.clear();
        status.changes.clear();
    }
    axum::Json(status)
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

/// Tries these addresses, too: a name may be cached as absent for a while. Whoever answers there has to prove who it is.
async fn set_addresses(State(shared): State<Shared>, body: String) -> impl IntoResponse {
    let hints = match read_hints(&body, &shared.slots) {
        Ok(hints) => hints,
        Err(wrong) => return (StatusCode::BAD_REQUEST, wrong + "\n"),
    };
    match shared.hints.try_send(hints) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the ring is busy: try again\n".to_owned()),
    }
}

fn read_hints(text: &str, slots: &[String]) -> Result<Vec<Hint>, String> {
    let given: BTreeMap<String, Vec<IpAddr>> = serde_json::from_str(text).map_err(|error| {
        format!("{error}; write slots and their addresses, as in {{\"d1\": [\"10.0.0.2\"]}}")
    })?;
    let hint = |(name, addresses): (String, Vec<IpAddr>)| {
        let slot = slots.iter().position(|known| *known == name);
        let slot = slot.ok_or_else(|| {
            format!(
                "no slot is called {name}; the ring has {} to {}",
                slots[0],
                slots[slots.len() - 1]
            )
        })?;
        Ok(Hint { slot, addresses })
    };
    given.into_iter().map(hint).collect()
}

#[cfg(test)]
mod admin_tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_mistakes_named() {
        let slots = ["d0".to_owned(), "d1".to_owned()];
        let read = |text| read_hints(text, &slots);
        let hints = read(r#"{"d1": ["10.0.0.2", "fd00::2"]}"#).expect("right");
        assert_eq!((hints.len(), hints[0].slot, hints[0].addresses.len()), (1, 1, 2));
        for (wrong, told) in [
            ("", "write slots and their addresses"),
            (r#"{"d1": "10.0.0.2"}"#, "write slots and their addresses"),
            (r#"{"d1": ["ten"]}"#, "write slots and their addresses"),
            (r#"{"d7": ["10.0.0.2"]}"#, "no slot is called d7; the ring has d0 to d1"),
        ] {
            let error = read(wrong).err().unwrap_or_default();
            assert!(error.contains(told), "{wrong}: {error}");
        }
    }
}
