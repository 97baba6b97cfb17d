//! Certificates of the daemons' admin endpoints: an authority per cluster, made and renewed here.

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, RootCertStore};
use spread_operator_api::PRODUCT;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Life of a cluster's authority.
pub const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Life of the daemons' certificate.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Clocks of nodes may be so far behind this one's.
const CLOCK_SKEW: Duration = Duration::from_secs(3600);

/// A certificate, its key, and when it ends.
#[derive(Clone)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
    /// Seconds since 1970.
    pub not_after_seconds: u64,
}

/// Seconds since 1970.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A new authority for a cluster.
pub fn authority(cluster: &str) -> Result<Issued> {
    let key = KeyPair::generate()?;
    let (params, not_after_seconds) = valid(authority_params(cluster)?, AUTHORITY_LIFETIME);
    let certificate = params.self_signed(&key)?.pem();
    Ok(Issued { certificate, key: key.serialize_pem(), not_after_seconds })
}

/// A certificate for the daemons and for the operator as their client, signed by the authority.
pub fn daemon_certificate(
    cluster: &str,
    authority_key: &str,
    dns_names: &[String],
) -> Result<Issued> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(dns_names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, format!("{cluster} daemons"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let (params, not_after_seconds) = valid(params, CERTIFICATE_LIFETIME);
    let authority_key =
        KeyPair::from_pem(authority_key).context("the key of the authority cannot be read")?;
    // The issuer's name and key are all that a signature needs of its certificate.
    let issuer = Issuer::new(authority_params(cluster)?, authority_key);
    let certificate = params.signed_by(&key, &issuer)?.pem();
    Ok(Issued { certificate, key: key.serialize_pem(), not_after_seconds })
}

/// Whether certificates can be signed with an authority's key.
pub fn can_sign(authority_key: &str) -> bool {
    KeyPair::from_pem(authority_key).is_ok()
}

fn authority_params(cluster: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, format!("{cluster} by {PRODUCT}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn valid(mut params: CertificateParams, lifetime: Duration) -> (CertificateParams, u64) {
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + lifetime).into();
    (params, now_seconds() + lifetime.as_secs())
}

/// One for all clusters: it is the same for each.
fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // Processors have instructions for SHA-256 and none for SHA-384, which was a twentieth of what a restart takes.
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        Arc::new(provider)
    })
}

/// How the operator speaks to a cluster's daemons: mutual TLS, with the cluster's own authority only.
pub fn client_config(
    authority: &[u8],
    certificate: &[u8],
    key: &[u8],
) -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority) {
        roots.add(root.context("ca.crt is no certificate")?)?;
    }
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .context("tls.crt is no certificate")?;
    let key = PrivateKeyDer::from_pem_slice(key).context("tls.key is no key")?;
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    // Tickets of thousands of daemons would cost more memory than handshakes cost time.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::{authority, client_config, daemon_certificate};
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::server::WebPkiClientVerifier;
    use std::sync::Arc;

    fn server(authority: &str, certificate: &str, key: &str) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }

    /// Both sides in memory, until nothing more is to be said.
    fn shake(
        client: &mut rustls::ClientConnection,
        server: &mut rustls::ServerConnection,
    ) -> Result<(), rustls::Error> {
        for _ in 0..10 {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut &bytes[..]).unwrap();
            server.process_new_packets()?;
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut &bytes[..]).unwrap();
            client.process_new_packets()?;
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(())
    }

    #[test]
    fn operator_and_daemon_know_each_other_and_nobody_else() {
        let names = vec!["*.orders-r1.shop.svc".to_owned()];
        let ca = authority("orders").unwrap();
        let issued = daemon_certificate("orders", &ca.key, &names).unwrap();
        let client = |ca: &str| {
            client_config(ca.as_bytes(), issued.certificate.as_bytes(), issued.key.as_bytes())
                .unwrap()
        };
        let config = server(&ca.certificate, &issued.certificate, &issued.key);
        let connect = |authority: &str, name: &'static str| {
            let name = ServerName::try_from(name).unwrap();
            let mut client = rustls::ClientConnection::new(client(authority), name).unwrap();
            let mut server = rustls::ServerConnection::new(config.clone()).unwrap();
            shake(&mut client, &mut server)
        };
        assert_eq!(connect(&ca.certificate, "orders-r1-0.orders-r1.shop.svc"), Ok(()));
        assert!(connect(&ca.certificate, "orders-r1-0.orders-r1.other.svc").is_err());
        let other = authority("orders").unwrap();
        assert!(connect(&other.certificate, "orders-r1-0.orders-r1.shop.svc").is_err());
    }
}
