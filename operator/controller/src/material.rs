//! What is random: keys and certificates. When they are due is the planner's decision.

use crate::admin::{ClusterKey, Credentials};
use crate::certificates::{
    AUTHORITY_LIFETIME, CERTIFICATE_LIFETIME, Issued, authority, can_sign, client_config,
    daemon_certificate, now_seconds,
};
use crate::context::Context;
use crate::held::{Held, SecretContent};
use crate::observe::Seen;
use crate::write::WriteError;
use anyhow::Result;
use kube::ResourceExt as _;
use spread_operator_api::{SpreadCluster, TlsType, requests};
use spread_plan::names::{DNS_NAMES_ANNOTATION, NOT_AFTER_ANNOTATION, Names};
use spread_plan::{
    CertificateFacts, Child, Decision, Facts, KeyStep, Material, PodFact, SECRET_TYPE, Trouble,
    TroubleKind, certificate_is_due, certificate_secret, key_step,
};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

/// The keys as they are to be.
pub fn keys(facts: &Facts<'_>, decision: &Decision) -> Material {
    let daemons: Vec<&PodFact> = facts.pods.iter().collect();
    let step = key_step(
        facts.keys.as_ref(),
        facts.request(requests::ROTATE_KEYS),
        &fresh_secret(),
        &daemons,
        decision.expected as usize,
    );
    let keys = match step {
        KeyStep::Keep => facts.keys.clone(),
        KeyStep::Write(keys) => Some(keys),
    };
    Material { keys }
}

/// 64 hexadecimal digits of a new secret.
fn fresh_secret() -> String {
    let mut bytes = [0; 32];
    // Without randomness there is nothing to protect with; the library's other uses would fail too.
    #[allow(clippy::expect_used, reason = "a system without randomness cannot go on")]
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes and renews the daemons' certificate, where that is the operator's to do.
pub async fn certificates(
    context: &Context,
    cluster: &SpreadCluster,
    decision: &Decision,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    if cluster.spec.security.tls.r#type != TlsType::Managed {
        return Ok(());
    }
    let names = Names::of(cluster);
    let made = match authority_data(context, seen.authority.as_ref(), &names) {
        Ok(made) => made,
        Err(error) => return note(seen, &error),
    };
    if !write(context, cluster, &names.ca_secret(), &made, seen).await? {
        return Ok(());
    }
    let dns_names = names.dns_names(decision.ring.number);
    let tls = match certificate_data(context, seen.certificate.as_ref(), &made, &names, &dns_names)
    {
        Ok(tls) => tls,
        Err(error) => return note(seen, &error),
    };
    write(context, cluster, &names.tls_secret(), &tls, seen).await.map(drop)
}

fn note(seen: &mut Seen, error: &anyhow::Error) -> Result<(), WriteError> {
    let message = format!("the daemons' certificate could not be made: {error:#}");
    seen.troubles.push(Trouble { kind: TroubleKind::Retrying, message });
    Ok(())
}

/// Whether it is written, or was so before.
async fn write(
    context: &Context,
    cluster: &SpreadCluster,
    name: &str,
    content: &Content,
    seen: &mut Seen,
) -> Result<bool, WriteError> {
    let data: Vec<(&str, &str)> = content.data.iter().map(|(key, text)| (*key, &**text)).collect();
    let facts = seen.facts(cluster, context);
    let (annotations, of_type) = (&content.annotations, &content.r#type);
    let secret = certificate_secret(&facts, name, of_type, &data, annotations);
    let child = Child::Secret(secret);
    let namespace = cluster.namespace().unwrap_or_default();
    let cached = context.caches.child("Secret", &namespace, name);
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    match context.writer.apply(cluster, &child, cached.as_deref()).await {
        Ok(written) => {
            if let Some(written) = written.as_ref().and_then(Held::secret) {
                context.memory.remember(uid, name, written);
                if name == Names::of(cluster).tls_secret() {
                    seen.certificate = Some(Arc::clone(written));
                }
            }
            Ok(true)
        }
        Err(WriteError::Trouble(trouble)) => {
            seen.troubles.push(trouble);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// A Secret's content.
struct Content {
    /// That of the Secret that is there.
    r#type: String,
    data: Vec<(&'static str, String)>,
    annotations: Vec<(&'static str, String)>,
}

impl Content {
    fn text(&self, key: &str) -> &str {
        self.data.iter().find(|(name, _)| *name == key).map_or("", |(_, text)| text)
    }
}

/// The authority as it is, or a new one; the old one's certificate stays trusted beside it.
fn authority_data(
    context: &Context,
    held: Option<&Arc<SecretContent>>,
    names: &Names,
) -> Result<Content> {
    let r#type = type_of(held);
    let text = |key: &str| held.and_then(|secret| secret.text(key)).map(str::to_owned);
    let facts = held.and_then(|secret| facts_of(secret, AUTHORITY_LIFETIME));
    let cluster = (names.namespace.clone(), names.cluster.clone());
    if let (Some(secret), Some(certificate), Some(key), Some(facts)) =
        (held, text("ca.crt"), text("ca.key"), facts)
        && !certificate_is_due(Some(&facts), &facts.dns_names, now_seconds())
        && context.memory.is_usable_authority(&cluster, secret, || can_sign(&key))
    {
        let mut data = vec![("ca.crt", certificate), ("ca.key", key)];
        data.extend(text("previous.crt").map(|previous| ("previous.crt", previous)));
        return Ok(Content {
            r#type,
            data,
            annotations: annotations(facts.not_after_seconds, &[]),
        });
    }
    let issued: Issued = authority(&names.cluster)?;
    let mut data = vec![("ca.crt", issued.certificate), ("ca.key", issued.key)];
    data.extend(text("ca.crt").map(|previous| ("previous.crt", previous)));
    Ok(Content { r#type, data, annotations: annotations(issued.not_after_seconds, &[]) })
}

/// The daemons' certificate as it is, or a new one.
fn certificate_data(
    context: &Context,
    held: Option<&Arc<SecretContent>>,
    authority: &Content,
    names: &Names,
    dns_names: &[String],
) -> Result<Content> {
    let r#type = type_of(held);
    let text = |key: &str| held.and_then(|secret| secret.text(key)).unwrap_or_default().to_owned();
    let trusted = format!("{}{}", authority.text("ca.crt"), authority.text("previous.crt"));
    let facts = held.and_then(|secret| facts_of(secret, CERTIFICATE_LIFETIME));
    let cluster = (names.namespace.clone(), names.cluster.clone());
    let usable = matches!(credentials(context, &cluster, held), Ok(Some(_)));
    if let Some(facts) = facts
        && !certificate_is_due(Some(&facts), dns_names, now_seconds())
        && usable
        && text("ca.crt") == trusted
    {
        let data =
            vec![("tls.crt", text("tls.crt")), ("tls.key", text("tls.key")), ("ca.crt", trusted)];
        return Ok(Content {
            r#type,
            data,
            annotations: annotations(facts.not_after_seconds, dns_names),
        });
    }
    let issued = daemon_certificate(&names.cluster, authority.text("ca.key"), dns_names)?;
    let data = vec![("tls.crt", issued.certificate), ("tls.key", issued.key), ("ca.crt", trusted)];
    Ok(Content { r#type, data, annotations: annotations(issued.not_after_seconds, dns_names) })
}

fn type_of(held: Option<&Arc<SecretContent>>) -> String {
    held.map_or(SECRET_TYPE, |secret| secret.r#type()).to_owned()
}

fn annotations(not_after_seconds: u64, dns_names: &[String]) -> Vec<(&'static str, String)> {
    vec![
        (NOT_AFTER_ANNOTATION, not_after_seconds.to_string()),
        (DNS_NAMES_ANNOTATION, dns_names.join(",")),
    ]
}

fn facts_of(secret: &SecretContent, lifetime: Duration) -> Option<CertificateFacts> {
    let names = secret.annotation(DNS_NAMES_ANNOTATION).unwrap_or_default();
    Some(CertificateFacts {
        not_after_seconds: secret.annotation(NOT_AFTER_ANNOTATION)?.parse().ok()?,
        lifetime_seconds: lifetime.as_secs(),
        dns_names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    })
}

/// How daemons with this certificate are spoken to; made anew only when it is another. None: there is none yet.
pub fn credentials(
    context: &Context,
    cluster: &ClusterKey,
    secret: Option<&Arc<SecretContent>>,
) -> Result<Option<Credentials>> {
    let text = |key: &str| secret.and_then(|secret| secret.text(key));
    let (Some(ca), Some(certificate), Some(key)) =
        (text("ca.crt"), text("tls.crt"), text("tls.key"))
    else {
        return Ok(None);
    };
    let mut hasher = DefaultHasher::new();
    (ca, certificate, key).hash(&mut hasher);
    let fingerprint = hasher.finish();
    if let Some(kept) = context.memory.credentials(cluster, fingerprint) {
        return Ok(Some(kept));
    }
    let config = client_config(ca.as_bytes(), certificate.as_bytes(), key.as_bytes())?;
    let made = Credentials { config, fingerprint };
    context.memory.keep_credentials(cluster, &made);
    Ok(Some(made))
}
