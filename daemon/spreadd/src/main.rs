//! The daemon: sockets, timers, admin endpoint, signals around the pure crates.
//!
//! ```text
//! main thread:   client sockets, spread_front::Front  ⇄ link ⇄  UDP socket, spread_engine::Daemon
//! admin thread:  HTTP, asks for snapshots
//! ```
//! Clients' side and ring are two tasks of one thread: a message on its way wakes nobody but the next process
//! (`docs/decisions.md`). Neither works for long before the other has its turn. Between them are a channel and a queue. What waits
//! in them is bounded: requests by the front's bound on them, deliveries by `deliveries`, which makes the whole ring send less while clients
//! here read slowly.

mod admin;
mod alarm;
mod burst;
mod cli;
mod clients;
mod connection;
mod deliveries;
mod key_file;
mod resolver;
mod ring;
mod settings;
mod slice;
mod snapshot;
mod telemetry;
mod timers;
mod watched;

use anyhow::{Context, Result};
use clap::Parser;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

/// Images are static programs of musl, whose own allocator makes a message up to twice as dear (docs/benchmarks.md).
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spreadd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &cli::Arguments) -> Result<()> {
    let (stop, asked) = watch::channel(false);
    if !arguments.check {
        // Signals end the daemon in order; so does the ring, when another daemon has its slot.
        telemetry::on_signal(stop)?;
    }
    let loaded = settings::load(arguments)?;
    if arguments.check {
        println!("{} is right: {} slots", loaded.file.display(), loaded.conf.slots.len());
        return Ok(());
    }
    if arguments.exit_with_parent {
        telemetry::exit_with_parent()?;
    }
    let log_level = telemetry::start(&loaded.conf, loaded.detailed)?;
    let settings = settings::Settings::new(loaded)?;
    if let Err(error) = slice::shorten() {
        tracing::info!("runs with time slices of the usual length: {error}");
    }
    let snapshots = Arc::new(snapshot::Snapshots::default());
    settings::raise_descriptors(settings.conf.max_sessions);

    let (to_ring, from_front) = mpsc::unbounded_channel();
    let (hints_to_ring, hints) = mpsc::channel(1);
    let (drained, requests_end) = watch::channel(false);

    let (to_clients, from_ring) = deliveries::deliveries();
    let clients = clients::bind(&settings)?;
    let endpoints = admin::bind(&settings)?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let entered = runtime.enter();
    let ring = ring::start(
        &settings,
        from_front,
        to_clients,
        requests_end,
        (Arc::clone(&snapshots), hints),
    )?;
    let stopping = clients::Stopping { asked, drained };
    let front =
        clients::start(clients, &settings, to_ring, from_ring, stopping, Arc::clone(&snapshots));
    let admin = admin::start(endpoints, &settings, &snapshots, (log_level, hints_to_ring))?;
    tracing::info!("{} listens for clients on {}", settings.name, settings.listens());

    drop(entered);
    let outcome = runtime.block_on(async {
        let front = tokio::task::spawn_local(front);
        let outcome = tokio::task::spawn_local(ring).await.context("the ring panicked")?;
        front.await.context("the clients' side panicked")?;
        outcome.context("the ring ended")
    });
    drop(admin);
    // A name server that does not answer keeps a lookup's thread, but not the daemon.
    runtime.shutdown_background();
    outcome
}
