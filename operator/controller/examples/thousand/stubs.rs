//! Stub daemons: one listener for all their addresses, mutual TLS with each cluster's own certificate.

use crate::fleet::{DAEMONS, Fleet};
use anyhow::{Context as _, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{Acceptor, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use spread_operator::kinds::secret_text;
use spread_plan::names::ADMIN_PORT;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

/// What all connections share.
struct Stubs {
    /// By the name of the cluster.
    configs: BTreeMap<String, Arc<ServerConfig>>,
    /// Which daemon hangs, by address.
    hanging: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    answer: String,
}

/// Serves the admin endpoints of all daemons until the program ends.
pub async fn serve(fleet: &Fleet) -> Result<()> {
    let mut configs = BTreeMap::new();
    for secret in fleet.certificates().await? {
        let name = secret.metadata.name.clone().unwrap_or_default();
        let cluster = name.trim_end_matches("-tls").to_owned();
        let text = |key: &str| secret_text(&secret, key).with_context(|| format!("{name}: {key}"));
        configs.insert(cluster, config(&text("ca.crt")?, &text("tls.crt")?, &text("tls.key")?)?);
    }
    let members: Vec<Value> =
        (0..DAEMONS).map(|slot| json!({"name": format!("d{slot}")})).collect();
    let answer = json!({
        "boot": "1", "version": "0.1.0", "configuration_hash": "00ff", "key_id": 1,
        "members": members, "session_count": 2,
    });
    let stubs = Arc::new(Stubs { configs, hanging: fleet.hanging(), answer: answer.to_string() });
    let listener = TcpListener::bind(("0.0.0.0", ADMIN_PORT)).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stubs = Arc::clone(&stubs);
            tokio::spawn(async move {
                // The operator counts what goes wrong.
                let _ = answer_one(&stubs, stream).await;
            });
        }
    });
    Ok(())
}

fn config(ca: &str, certificate: &str, key: &str) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.build()?)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?;
    Ok(Arc::new(config))
}

async fn answer_one(stubs: &Stubs, stream: TcpStream) -> Result<()> {
    if (stubs.hanging)(stream.local_addr()?.ip()) {
        std::future::pending::<()>().await;
    }
    let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let name = handshake.client_hello().server_name().unwrap_or_default().to_owned();
    let (cluster, _) = name.split_once("-r1-").context("no daemon's name")?;
    let config = stubs.configs.get(cluster).context("no such cluster")?;
    let mut stream = handshake.into_stream(Arc::clone(config)).await?;
    let mut request = [0; 4096];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", stubs.answer.len());
    // Requests are short, and each comes when the one before is answered.
    while stream.read(&mut request).await? > 0 {
        stream.write_all(format!("{head}{}", stubs.answer).as_bytes()).await?;
    }
    Ok(())
}
