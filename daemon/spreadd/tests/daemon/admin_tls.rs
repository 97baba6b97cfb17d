//! Mutual TLS at the admin endpoint, and certificates that are replaced while the daemon runs.

use super::http::{self, Answer};
use super::mounted::Mounted;
use super::ring::{Daemon, Ring};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::Read as _;
use std::sync::Arc;

/// Who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("parameters");
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").pem();
        Identity { certificate, key: key.serialize_pem() }
    }

    fn server(&self) -> Identity {
        self.issue("daemon.test", ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn client(&self) -> Identity {
        self.issue("operator.test", ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// What an administrator knows: whom to trust, and who he is.
struct Administrator(Arc<ClientConfig>);

impl Administrator {
    fn new(trusted: &Authority, identity: Option<&Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.0.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some(identity) => config
                .with_client_auth_cert(
                    vec![
                        CertificateDer::from_pem_slice(identity.certificate.as_bytes())
                            .expect("PEM"),
                    ],
                    PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("PEM"),
                )
                .expect("an identity"),
        };
        Self(Arc::new(config))
    }

    /// `None`: the handshake failed, on either side.
    fn get(&self, daemon: &Daemon, path: &str) -> Option<Answer> {
        let name = ServerName::try_from("daemon.test").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&self.0), name).expect("a connection");
        let mut stream = StreamOwned::new(connection, http::connect(&daemon.admin())?);
        http::exchange(&mut stream, "daemon.test", "GET", path, "")
    }

    fn is_let_in(&self, daemon: &Daemon) -> bool {
        self.get(daemon, "/readyz").is_some_and(|answer| answer.code == 200)
    }
}

fn files<'a>(identity: &'a Identity, authority: &'a str) -> [(&'static str, &'a str); 3] {
    [("tls.crt", &identity.certificate), ("tls.key", &identity.key), ("ca.crt", authority)]
}

/// A daemon whose admin endpoint speaks TLS with what the folder `tls` has, and its health endpoint not.
fn start(ring: &Ring) -> Daemon {
    let health = format!("HealthEndpoint = \"{}:8804\"\n", ring.address(0));
    let daemon =
        ring.start_from(0, &format!("AdminTlsDirectory = tls\n{health}{}", ring.configuration(0)));
    daemon.wait("readiness", |daemon| {
        http::get(&format!("{}:8804", daemon.address), "/readyz").is_some_and(|a| a.code == 200)
    });
    daemon
}

#[test]
fn only_who_has_a_certificate_of_the_authority_is_answered() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let ring = Ring::new(1);
    let _mounted = Mounted::new(&ring.path("tls"), &files(&ours.server(), &ours.0.pem()));
    let daemon = start(&ring);

    let operator = Administrator::new(&ours, Some(&ours.client()));
    let answer = operator.get(&daemon, "/status?brief").expect("an answer");
    let status: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(status["name"], "d0");

    assert!(!Administrator::new(&ours, None).is_let_in(&daemon), "no certificate");
    let foreigner = Administrator::new(&ours, Some(&foreign.client()));
    assert!(!foreigner.is_let_in(&daemon), "of another authority");
    let not_for_clients = Administrator::new(&ours, Some(&ours.server()));
    assert!(!not_for_clients.is_let_in(&daemon), "a server's certificate");
    assert!(http::get(&daemon.admin(), "/status").is_none(), "without TLS");
    // Each look of `wait` without a certificate is one more.
    daemon.wait("refusals are counted", |daemon| {
        let metrics = operator.get(daemon, "/metrics").expect("an answer").body;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("spread_refused_adminhandshake_total "))
            .and_then(|count| count.parse::<u64>().ok());
        count >= Some(4)
    });
    assert!(daemon.log().contains("an administrator at"), "{}", daemon.log());
}

/// Fewer than the daemon has handshakes under way at a time would prove nothing.
#[test]
fn administrators_that_hang_in_the_handshake_delay_nobody() {
    let ours = Authority::new();
    let ring = Ring::new(1);
    let _mounted = Mounted::new(&ring.path("tls"), &files(&ours.server(), &ours.0.pem()));
    let daemon = start(&ring);
    let mut silent: Vec<_> =
        (0..20).map(|_| http::connect(&daemon.admin()).expect("a connection")).collect();
    let operator = Administrator::new(&ours, Some(&ours.client()));
    assert!(operator.is_let_in(&daemon));
    let first = silent.first_mut().expect("one");
    assert_eq!(first.read(&mut [0; 64]).expect("it is closed"), 0, "they are ended");
}

#[test]
fn new_certificates_are_taken_without_a_restart_and_wrong_ones_are_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let ring = Ring::new(1);
    let mut mounted = Mounted::new(&ring.path("tls"), &files(&old.server(), &old.0.pem()));
    let daemon = start(&ring);
    let before = Administrator::new(&old, Some(&old.client()));
    assert!(before.is_let_in(&daemon));

    let other = Identity { key: old.server().key, ..old.server() };
    mounted.swap(&files(&other, &old.0.pem()));
    daemon.wait("the complaint", |daemon| daemon.log().contains("do not belong together"));
    mounted.swap(&files(&old.server(), "nothing"));
    daemon
        .wait("the complaint", |daemon| daemon.log().contains("ca.crt: no certificate: write PEM"));
    assert!(before.is_let_in(&daemon), "those before stay");

    // Both authorities are trusted while the administrators change over, and then one.
    let both = old.0.pem() + &new.0.pem();
    mounted.swap(&files(&new.server(), &both));
    let between = Administrator::new(&new, Some(&old.client()));
    daemon.wait("the new certificate", |daemon| between.is_let_in(daemon));
    mounted.swap(&files(&new.server(), &new.0.pem()));
    daemon.wait("the old authority goes", |daemon| !between.is_let_in(daemon));
    assert!(Administrator::new(&new, Some(&new.client())).is_let_in(&daemon));
}

#[test]
fn what_is_wrong_with_the_folder_is_said_at_the_start() {
    let ours = Authority::new();
    let ring = Ring::new(1);
    let text = format!("AdminTlsDirectory = tls\n{}", ring.configuration(0));
    let mut daemon = ring.start_from(0, &text);
    assert_eq!(daemon.ended().code(), Some(1));
    let log = daemon.log();
    assert!(log.contains("AdminTlsDirectory needs tls.crt, tls.key, ca.crt"), "{log}");

    let _mounted = Mounted::new(
        &ring.path("tls"),
        &[
            ("tls.crt", &ours.server().certificate),
            ("tls.key", "no key"),
            ("ca.crt", &ours.0.pem()),
        ],
    );
    let mut daemon = ring.start_from(0, &text);
    assert_eq!(daemon.ended().code(), Some(1));
    assert!(daemon.log().contains("tls.key: no private key in PEM"), "{}", daemon.log());
}
