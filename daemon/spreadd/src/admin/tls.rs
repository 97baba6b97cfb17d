//! Certificates of the admin endpoint, read again whenever their files change: that is how they are rotated.

use anyhow::{Context, Result, anyhow, bail};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version::TLS13};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The daemon's certificate with its chain, its key, and who signs for administrators: as in a mounted Secret.
const NAMES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

type Contents = [Vec<u8>; 3];

/// The folder and what its files said last.
pub(super) struct Certificates {
    folder: PathBuf,
    seen: Contents,
    /// Read once and not yet twice alike: files are replaced one after the other, or a link below us is.
    unsettled: Option<Contents>,
    /// What TLS is spoken with.
    pub(super) config: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the folder for the first time.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let seen = contents(folder)?;
        let config = config(folder, &seen)?;
        Ok(Self { folder: folder.to_owned(), seen, unsettled: None, config })
    }

    /// What to speak TLS with from now on, if the files say something new and two looks saw the same. What is wrong with
    /// them is said once; what was in use stays.
    pub(super) fn changed(&mut self) -> Option<Arc<ServerConfig>> {
        // Files that are being replaced are there again at the next look.
        let now = contents(&self.folder).ok()?;
        if now == self.seen {
            self.unsettled = None;
            return None;
        }
        if self.unsettled.as_ref() != Some(&now) {
            self.unsettled = Some(now);
            return None;
        }
        self.seen = now;
        self.unsettled = None;
        match config(&self.folder, &self.seen) {
            Ok(config) => Some(config),
            Err(error) => {
                tracing::error!("the certificates stay as they were: {error:#}");
                None
            }
        }
    }
}

fn contents(folder: &Path) -> Result<Contents> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| {
            let help = format!("AdminTlsDirectory needs {}", NAMES.join(", "));
            format!("{} can't be read: {help}", path.display())
        })
    };
    Ok([read(NAMES[0])?, read(NAMES[1])?, read(NAMES[2])?])
}

/// Mutual TLS 1.3: who has no certificate of the authority gets no answer.
fn config(folder: &Path, [chain, key, authority]: &Contents) -> Result<Arc<ServerConfig>> {
    let path = |index: usize| folder.join(NAMES[index]).display().to_string();
    let chain = certificates(chain).with_context(|| path(0))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| anyhow!("{}: no private key in PEM: {error}", path(1)))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority).with_context(|| path(2))? {
        roots.add(certificate).with_context(|| format!("{}: no authority", path(2)))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .with_context(|| format!("{} and {} do not belong together", path(0), path(1)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session that was resumed would outlive the authority that let it in.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("no certificate in PEM: {error}"))?;
    if found.is_empty() {
        bail!("no certificate: write PEM that begins with -----BEGIN CERTIFICATE-----");
    }
    Ok(found)
}
