//! `spread-operator`: runs `SpreadCluster` objects on Kubernetes.

use anyhow::{Context as _, Result};
use clap::Parser as _;
use spread_operator::caches::WATCH_TIMEOUT;
use spread_operator::run::{Hooks, run};
use spread_operator::settings::Settings;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// A connection to the API server over which nothing came for so long is broken: a watch has its end before.
const READ_TIMEOUT: Duration = WATCH_TIMEOUT.saturating_add(Duration::from_secs(10));

#[tokio::main]
async fn main() -> Result<()> {
    let settings = Settings::parse();
    log(&settings)?;
    let mut config = kube::Config::infer().await.context(
        "no API server is known: run inside a cluster, or set KUBECONFIG to a file that names one",
    )?;
    config.read_timeout = Some(READ_TIMEOUT);
    let client =
        kube::Client::try_from(config).context("the API server's address or certificate")?;
    let (ask_to_stop, stop) = watch::channel(false);
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("ending: the write under way is finished, the lease is given back");
        ask_to_stop.send_replace(true);
    });
    run(client, settings, Hooks::default(), stop).await
}

fn log(settings: &Settings) -> Result<()> {
    let filter: EnvFilter = settings
        .log
        .parse()
        .with_context(|| format!("--log {}: write a level such as info or debug", settings.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format.as_str() {
        "text" => log.init(),
        _ => log.json().flatten_event(true).init(),
    }
    Ok(())
}
