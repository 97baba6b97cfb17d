//! The daemons' certificate changes hands: what cert-manager has made for a cluster is deleted or taken over once the
//! object names another source. The planner says which step is next; here it is made, by one write each.

use crate::admin::ClusterKey;
use crate::context::Context;
use crate::held::{Held, SecretContent};
use crate::kinds::resource;
use crate::observe::Seen;
use crate::points::Point;
use crate::write::{WriteError, refuse_foreign, retrying, same, settled};
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Map, Value, json};
use spread_operator_api::{GROUP, SpreadCluster, TlsType};
use spread_plan::names::{CLUSTER_LABEL, FIELD_MANAGER, ISSUED_FOR_ANNOTATION, Names};
use spread_plan::{
    CertificateObject, HandoverStep, SECRET_TYPE, SecretOrigin, certificate_secret, handover_step,
    mounts_own_certificate,
};
use std::sync::Arc;

/// Prefix of what cert-manager notes at a Secret.
const ISSUER_PREFIX: &str = "cert-manager.io/";
/// Steps of one pass: to delete, to see it gone, to take over, and nothing more to do.
const STEPS: usize = 4;

/// What is there, as the API server has it now.
struct Live {
    certificate: Option<DynamicObject>,
    secret: Option<DynamicObject>,
}

/// Makes the steps that there are. Whether certificates may be made after that; where they may not, it is told in
/// the object's status.
pub async fn hand_over(
    context: &Context,
    cluster: &SpreadCluster,
    seen: &mut Seen,
) -> Result<bool, WriteError> {
    match steps(context, cluster, seen).await {
        Ok(()) => Ok(true),
        Err(WriteError::Trouble(trouble)) => {
            seen.troubles.push(trouble);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

async fn steps(
    context: &Context,
    cluster: &SpreadCluster,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    let names = Names::of(cluster);
    let key = (names.namespace.clone(), names.cluster.clone());
    if !is_looked_at(context, cluster, &key, seen) {
        return Ok(());
    }
    let tls = cluster.spec.security.tls.r#type;
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    for _ in 0..STEPS {
        let live = look(context, &names).await?;
        let in_use = mounts_own_certificate(&seen.facts(cluster, context));
        let (certificate, secret) = (live.certificate(uid), live.origin(&names, uid));
        match (handover_step(tls, certificate, secret, in_use), live) {
            (HandoverStep::Done, _) => {
                context.memory.set_may_be_issued(&key, false);
                return Ok(());
            }
            (HandoverStep::DeleteCertificate, Live { certificate: Some(live), .. }) => {
                delete_certificate(context, cluster, &live).await?;
                if tls != TlsType::Managed {
                    return Ok(());
                }
            }
            (HandoverStep::AwaitDeletion, _) => {
                let name = names.tls_secret();
                return Err(retrying(format!("Certificate {name} is being deleted")));
            }
            (HandoverStep::TakeOver, Live { secret: Some(live), .. }) => {
                take_over(context, cluster, &live, seen).await?;
            }
            (HandoverStep::RefuseCertificate, Live { certificate: Some(live), .. }) => {
                return refuse(&names, "Certificate", &live, uid);
            }
            (HandoverStep::RefuseSecret, Live { secret: Some(live), .. }) => {
                return refuse(&names, "Secret", &live, uid);
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Whether there may be anything to do, as far as it can be told without asking the API server: that is asked only where
/// the source has changed, where cert-manager has written the Secret, and before it does so for the first time.
fn is_looked_at(context: &Context, cluster: &SpreadCluster, key: &ClusterKey, seen: &Seen) -> bool {
    if cluster.spec.security.tls.r#type == TlsType::CertManager {
        context.memory.set_may_be_issued(key, true);
        let name = Names::of(cluster).tls_secret();
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let held = context.caches.child("Secret", &key.0, &name);
        return !seen.issued && !held.is_some_and(|held| held.is_owned(uid));
    }
    let observed = cluster.status.as_ref().map(|status| status.observed_generation);
    let suspected = seen.issued || observed != cluster.metadata.generation;
    let may_be = context.memory.may_be_issued(key, suspected);
    // Beside a Secret of the user's that of cert-manager stays, and says nothing new.
    may_be || (seen.issued && cluster.spec.security.tls.r#type == TlsType::Managed)
}

async fn look(context: &Context, names: &Names) -> Result<Live, WriteError> {
    let name = names.tls_secret();
    let secret = context.ask(api(context, names, "Secret").get_opt(&name)).await;
    let secret = secret.map_err(|error| context_trouble(context, "Secret", &name, &error))?;
    let certificate = context.ask(api(context, names, "Certificate").get_opt(&name)).await;
    let certificate = match certificate {
        // Who may not see Certificates has made none.
        Err(kube::Error::Api(status)) if status.code == 403 && !is_issued(&secret, names) => None,
        other => other.map_err(|error| context_trouble(context, "Certificate", &name, &error))?,
    };
    Ok(Live { certificate, secret })
}

fn context_trouble(context: &Context, kind: &str, name: &str, error: &kube::Error) -> WriteError {
    WriteError::Trouble(context.trouble(kind, name, error))
}

fn api(context: &Context, names: &Names, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), &names.namespace, &resource(kind))
}

/// cert-manager has written it for this cluster's Certificate: it names that, and has the label that the Certificate
/// asked for.
fn is_issued(secret: &Option<DynamicObject>, names: &Names) -> bool {
    secret.as_ref().is_some_and(|secret| {
        secret.annotations().get(ISSUED_FOR_ANNOTATION) == Some(&names.tls_secret())
            && secret.labels().get(CLUSTER_LABEL) == Some(&names.cluster)
    })
}

impl Live {
    fn certificate(&self, uid: &str) -> CertificateObject {
        let Some(live) = &self.certificate else { return CertificateObject::Absent };
        match Held::of("Certificate", live) {
            held if !held.is_owned(uid) => CertificateObject::Foreign,
            held if held.terminating => CertificateObject::Leaving,
            _ => CertificateObject::Owned,
        }
    }

    fn origin(&self, names: &Names, uid: &str) -> SecretOrigin {
        let Some(live) = &self.secret else { return SecretOrigin::Absent };
        // cert-manager can be told to make its Certificate the owner.
        let may_own = |owner: &crate::held::Owner| {
            *owner.uid == *uid
                || (*owner.kind == *"Certificate" && *owner.name == *names.tls_secret())
        };
        let held = Held::of("Secret", live);
        if is_issued(&self.secret, names) && held.owners.iter().all(may_own) {
            SecretOrigin::Issued
        } else if held.is_ours(uid) {
            SecretOrigin::Owned
        } else {
            SecretOrigin::Foreign
        }
    }
}

fn refuse(names: &Names, kind: &str, live: &DynamicObject, uid: &str) -> Result<(), WriteError> {
    refuse_foreign(kind, &names.tls_secret(), &Held::of(kind, live), uid)
}

/// Deletes the cluster's Certificate, if it is still the same.
async fn delete_certificate(
    context: &Context,
    cluster: &SpreadCluster,
    live: &DynamicObject,
) -> Result<(), WriteError> {
    context.writer.confirm(cluster).await?;
    let (names, name) = (Names::of(cluster), live.name_any());
    let uid = live.metadata.uid.as_deref().unwrap_or_default();
    let parameters = DeleteParams::background().preconditions(same(uid));
    let api = api(context, &names, "Certificate");
    let answer = api.delete(&name, &parameters);
    let answer = context.writer.write(Point::DeleteCertificate, answer).await?;
    settled("Certificate", &name, answer.map(drop))
}

/// Makes the cluster the owner of the Secret, if it is still the same. What cert-manager has noted goes: were it there, a
/// later Certificate would take the operator's content for its own.
async fn take_over(
    context: &Context,
    cluster: &SpreadCluster,
    live: &DynamicObject,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    context.writer.confirm(cluster).await?;
    let (names, name) = (Names::of(cluster), live.name_any());
    let owner = certificate_secret(&seen.facts(cluster, context), &name, SECRET_TYPE, &[], &[]);
    let noted = |name: &&String| name.starts_with(ISSUER_PREFIX) || name.starts_with(GROUP);
    let notes = live.annotations().keys().filter(noted);
    let notes: Map<String, Value> = notes.map(|name| (name.clone(), Value::Null)).collect();
    let patch = json!({"metadata": {
        "uid": live.metadata.uid,
        "resourceVersion": live.metadata.resource_version,
        "ownerReferences": owner.metadata.owner_references,
        "annotations": notes,
    }});
    let parameters =
        PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let api = api(context, &names, "Secret");
    let patch = Patch::Merge(&patch);
    let written = context.writer.write(Point::TakeOver, api.patch(&name, &parameters, &patch));
    let written =
        written.await?.map_err(|error| context_trouble(context, "Secret", &name, &error))?;
    seen.certificate = Some(Arc::new(SecretContent::of(&written)));
    seen.issued = false;
    tracing::info!(namespace = names.namespace, name, "the Secret of cert-manager is taken over");
    Ok(())
}
