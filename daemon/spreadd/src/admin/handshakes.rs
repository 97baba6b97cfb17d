//! TLS handshakes: many at a time, so that one that hangs delays nobody else.

use super::tls::Certificates;
use anyhow::Result;
use axum::serve::Listener;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way; more connections wait in the kernel.
const HANDSHAKES: usize = 64;
/// One that takes longer is ended.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the certificates' files are looked at; two looks have to agree.
const LOOK_INTERVAL: Duration = Duration::from_millis(400);
/// One log line about refused administrators in this time.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);
/// After an accept that failed (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Accepted = (TlsStream<TcpStream>, SocketAddr);

/// Connections whose handshake is over.
pub(super) struct Handshakes {
    accepted: mpsc::Receiver<Accepted>,
    address: SocketAddr,
}

impl Listener for Handshakes {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Accepted {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            // The runtime ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Accepts in tasks of its own; to be called inside a runtime. `refused` counts handshakes that failed.
pub(super) fn start(
    listener: TcpListener,
    certificates: Certificates,
    refused: Arc<AtomicU64>,
) -> Result<Handshakes> {
    let address = listener.local_addr()?;
    let (config, current) = watch::channel(Arc::clone(&certificates.config));
    let (done, accepted) = mpsc::channel(1);
    tokio::spawn(renew(certificates, config));
    tokio::spawn(accept(listener, current, done, refused));
    Ok(Handshakes { accepted, address })
}

async fn renew(mut certificates: Certificates, config: watch::Sender<Arc<ServerConfig>>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        if let Some(new) = certificates.changed() {
            tracing::info!("the admin endpoint has new certificates");
            config.send_replace(new);
        }
    }
}

async fn accept(
    listener: TcpListener,
    config: watch::Receiver<Arc<ServerConfig>>,
    done: mpsc::Sender<Accepted>,
    refused: Arc<AtomicU64>,
) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    let (told, mut failures) = mpsc::channel::<(SocketAddr, String)>(1);
    tokio::spawn(async move {
        let mut last: Option<Instant> = None;
        while let Some((from, why)) = failures.recv().await {
            if last.is_none_or(|last| last.elapsed() >= REFUSAL_INTERVAL) {
                last = Some(Instant::now());
                tracing::warn!("an administrator at {from} is refused: {why}");
            }
        }
    });
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&config.borrow()));
        let (done, told, refused) = (done.clone(), told.clone(), Arc::clone(&refused));
        tokio::spawn(async move {
            let why = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let _ = done.send((stream, from)).await;
                    return drop(permit);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no handshake in {HANDSHAKE_TIMEOUT:?}"),
            };
            refused.fetch_add(1, Ordering::Relaxed);
            let _ = told.try_send((from, why));
            drop(permit);
        });
    }
}
