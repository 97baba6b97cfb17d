//! Logs and signals.

use anyhow::{Context, Result};
use spread_conf::{Conf, LogFormat};
use std::fs::File;
use std::io::IsTerminal as _;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes what is logged while the daemon runs.
pub(crate) type LogLevel = reload::Handle<EnvFilter, Registry>;

/// Starts logging as the configuration says.
pub(crate) fn start(conf: &Conf, detailed: bool) -> Result<LogLevel> {
    let level = match conf.event_priority.as_str() {
        _ if detailed => "debug",
        "pDEBUG" => "debug",
        "WARNING" => "warn",
        "ERROR" | "CRITICAL" | "FATAL" => "error",
        _ => "info",
    };
    let filter = EnvFilter::try_from_env("SPREADD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let file = match &conf.event_log_file {
        Some(name) => Some(Arc::new(
            File::options()
                .create(true)
                .append(true)
                .open(name)
                .with_context(|| format!("the log file {name}"))?,
        )),
        None => None,
    };
    match (conf.log_format, file) {
        (LogFormat::Text, None) => registry
            .with(fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal()))
            .init(),
        (LogFormat::Text, Some(file)) => {
            registry.with(fmt::layer().with_ansi(false).with_writer(file)).init()
        }
        (LogFormat::Json, None) => registry.with(fmt::layer().json()).init(),
        (LogFormat::Json, Some(file)) => {
            registry.with(fmt::layer().json().with_writer(file)).init()
        }
    }
    Ok(handle)
}

/// SIGTERM and SIGINT set `stop`; a second one ends the process at once.
///
/// To be called before anything else: the first process of a container gets no signal that it has no handler for, so one
/// that came before would be lost.
pub(crate) fn on_signal(stop: watch::Sender<bool>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut term, mut int) = {
        let _inside = runtime.enter();
        let handler = |kind| signal(kind).context("signals can't be handled here");
        (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?)
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || {
        runtime.block_on(async move {
            let mut next = async || {
                tokio::select! { _ = term.recv() => {} _ = int.recv() => {} }
            };
            next().await;
            tracing::info!("leaving the ring in order");
            let _ = stop.send(true);
            next().await;
            std::process::exit(1);
        });
    })?;
    Ok(())
}

/// Asks for SIGTERM when the parent ends, so that a daemon started for somebody does not outlive him.
pub(crate) fn exit_with_parent() -> Result<()> {
    let parent = rustix::process::getppid();
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .context("this system does not tell of the parent's end")?;
    if rustix::process::getppid() != parent {
        anyhow::bail!("the process that started this one has ended already");
    }
    Ok(())
}
