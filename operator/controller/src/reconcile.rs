//! One pass over an object: observe, guard, decide, build, apply, status.
//!
//! A pass may end anywhere, by a refusal or by this process's death; the next one begins again from
//! what is there. What decides and what builds is in `spread-plan`, without client and clock.

use crate::admin::{ClusterKey, Round};
use crate::context::Context;
use crate::copies;
use crate::handover::hand_over;
use crate::held::{Detail, Held};
use crate::material;
use crate::observe::{Seen, observe};
use crate::points::Point;
use crate::report;
use crate::write::WriteError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use spread_operator_api::SpreadCluster;
use spread_plan::names::Names;
use spread_plan::{
    Action, Child, Decision, Facts, Trouble, TroubleKind, accepted, children, decide, services,
    status, status_of_conditions, unreadable, wanted_names,
};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two passes when nothing happens.
const RESYNC: Duration = Duration::from_secs(30);
/// It is longer by up to so much, different for each object: those that were made together part.
const RESYNC_SPREAD: Duration = Duration::from_secs(15);
/// A newer state of the object is on its way; looked for after so long if it does not come.
const OUTDATED: Duration = Duration::from_secs(1);

/// Does what is to be done, and says when to look again; none: when something happens. Whatever goes wrong is in the
/// object's status.
pub async fn reconcile(
    object: Arc<DeserializeGuard<SpreadCluster>>,
    context: Arc<Context>,
) -> Option<Duration> {
    if !context.leadership.leads() {
        // Another replica writes from now on.
        context.memory.forget_secrets();
        return None;
    }
    let began = Instant::now();
    context.metrics.reconciles.inc();
    let next = match guard(&object) {
        Ok(cluster) => pass(&context, cluster).await,
        Err(trouble) => tell_unreadable(&context, &object, &trouble).await,
    };
    context.metrics.reconcile_seconds.observe(began.elapsed().as_secs_f64());
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    match next {
        Ok(()) => {
            context.memory.succeeded(&key);
            Some(resync(&key))
        }
        // The leader goes on from here.
        Err(WriteError::NotLeading) => None,
        Err(WriteError::Outdated) => Some(OUTDATED),
        Err(WriteError::Trouble(trouble)) => {
            tracing::warn!(namespace = key.0, name = key.1, kind = ?trouble.kind, "{}", trouble.message);
            Some(context.memory.failed(&key))
        }
    }
}

fn resync(key: &ClusterKey) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    RESYNC + RESYNC_SPREAD * part / 1000
}

/// Guard: what cannot be read is not acted on, and stops nobody else.
fn guard(object: &DeserializeGuard<SpreadCluster>) -> Result<&SpreadCluster, Trouble> {
    object.0.as_ref().map_err(|invalid| Trouble {
        kind: TroubleKind::OperatorTooOld,
        message: format!(
            "the object has what this operator does not know: {}: upgrade the operator, or remove that field",
            invalid.error
        ),
    })
}

async fn pass(context: &Context, cluster: &SpreadCluster) -> Result<(), WriteError> {
    let names = Names::of(cluster);
    let key = (names.namespace.clone(), names.cluster.clone());
    context.memory.know(&key, cluster.metadata.uid.as_deref().unwrap_or_default());
    if cluster.metadata.deletion_timestamp.is_some() {
        // Children go by their owner; nothing is to be undone.
        context.forget(&names);
        return Ok(());
    }
    let cluster = &accept(context, cluster).await?;
    let mut seen = observe(context, cluster).await;
    let decision = decide(&seen.facts(cluster, context));
    let mut acted = Ok(());
    if !decision.hands_off {
        acted = act(context, cluster, &decision, &mut seen).await;
    }
    if matches!(acted, Err(WriteError::NotLeading | WriteError::Outdated)) {
        return acted;
    }
    context.count(&seen.troubles);
    watch_daemons(context, &key, &decision, &mut seen);
    let was_told = cluster.status.as_ref().is_some_and(|status| !status.rings.is_empty());
    if seen.unasked && was_told && !context.memory.has_told(&key) {
        // What the last process has told stays until this one knows as much: the answers start the next pass.
        return Ok(());
    }
    let facts = seen.facts(cluster, context);
    tell(context, cluster, &facts, &decision).await?;
    context.memory.tells(&key);
    match seen.troubles.into_iter().min_by_key(|trouble| trouble.kind) {
        Some(trouble) => Err(WriteError::Trouble(trouble)),
        None => Ok(()),
    }
}

/// The first write: whoever waits for the object sees that it is being worked on.
async fn accept(context: &Context, cluster: &SpreadCluster) -> Result<SpreadCluster, WriteError> {
    let mut cluster = cluster.clone();
    if cluster.status.as_ref().is_none_or(|status| status.conditions.is_empty()) {
        let status = status_of_conditions(&cluster, &accepted(), &now());
        report::write_status(context, &cluster, &status, Point::Accept).await?;
        cluster.status = Some(status);
    }
    Ok(cluster)
}

/// Builds and applies all children, then takes the one next action. What goes wrong with one child does
/// not keep back the others, but for the daemons: what they mount comes first.
async fn act(
    context: &Context,
    cluster: &SpreadCluster,
    decision: &Decision,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    let mut families = seen.facts(cluster, context).ip_families;
    for child in services(&seen.facts(cluster, context), decision) {
        let written = apply(context, cluster, &child, seen).await?;
        if child.name() == Names::of(cluster).client()
            && let Some(Detail::Service(written, _)) = written.map(|held| held.detail)
        {
            families = written;
        }
    }
    // Without the Service nobody knows which addresses there are.
    let Some(families) = families else { return Ok(()) };
    let certificates_may_be_made = hand_over(context, cluster, seen).await?;
    if certificates_may_be_made {
        material::certificates(context, cluster, decision, seen).await?;
    }
    let material = material::keys(&seen.facts(cluster, context), decision);
    let built = children(&seen.facts(cluster, context), decision, &families, &material);
    let built = match built {
        Ok(built) => built,
        Err(error) => {
            let message = format!("spread.conf cannot be written from this spec: {error}");
            seen.troubles.push(Trouble { kind: TroubleKind::ChildRejected, message });
            return Ok(());
        }
    };
    for child in built {
        if matches!(child, Child::StatefulSet(_)) && !may_run(seen, decision) {
            continue;
        }
        if matches!(child, Child::Certificate(_)) && !certificates_may_be_made {
            continue;
        }
        apply(context, cluster, &child, seen).await?;
    }
    delete_orphans(context, cluster, decision, seen).await?;
    copies::keep(context, cluster, seen).await?;
    take_action(context, cluster, decision, seen).await
}

/// New daemons are not started without what they mount; those that run go on.
fn may_run(seen: &Seen, decision: &Decision) -> bool {
    decision.ring.exists || seen.troubles.is_empty()
}

/// Applies one child; what goes wrong is noted, unless this replica no longer leads.
async fn apply(
    context: &Context,
    cluster: &SpreadCluster,
    child: &Child,
    seen: &mut Seen,
) -> Result<Option<Held>, WriteError> {
    let namespace = cluster.namespace().unwrap_or_default();
    let cached = context.caches.child(child.kind(), &namespace, &child.name());
    match context.writer.apply(cluster, child, cached.as_deref()).await {
        Ok(written) => {
            if let Some(content) = written.as_ref().and_then(Held::secret) {
                let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
                context.memory.remember(uid, &child.name(), content);
            }
            Ok(written)
        }
        Err(WriteError::Trouble(trouble)) => {
            seen.troubles.push(trouble);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Children of ours that are not wanted any more.
async fn delete_orphans(
    context: &Context,
    cluster: &SpreadCluster,
    decision: &Decision,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    let wanted = wanted_names(&seen.facts(cluster, context), decision);
    for (kind, name, child) in context.caches.children(&namespace, &name) {
        let is_wanted = wanted.iter().any(|(of, wanted)| *of == kind && *wanted == name);
        if is_wanted || !child.is_owned(uid) || child.terminating {
            continue;
        }
        match context.writer.delete_orphan(cluster, kind, &name, &child).await {
            Err(WriteError::Trouble(trouble)) => seen.troubles.push(trouble),
            other => other?,
        }
    }
    Ok(())
}

/// The one action that is not a child: a daemon that is replaced. Slots are filled and freed by the
/// StatefulSet's size.
async fn take_action(
    context: &Context,
    cluster: &SpreadCluster,
    decision: &Decision,
    seen: &mut Seen,
) -> Result<(), WriteError> {
    let Action::Roll { slot } = decision.action else { return Ok(()) };
    if seen.unasked {
        // Who was not asked yet may serve.
        return Ok(());
    }
    let names = Names::of(cluster);
    let facts = seen.facts(cluster, context);
    let Some(uid) = facts.pod(slot).map(|pod| pod.uid.clone()) else { return Ok(()) };
    let name = names.pod(decision.ring.number, slot);
    match context.writer.delete_pod(cluster, &name, &uid, &seen.held_pods).await {
        Err(WriteError::Trouble(trouble)) => seen.troubles.push(trouble),
        other => other?,
    }
    Ok(())
}

/// Has the daemons asked: often while anything is to come.
fn watch_daemons(context: &Context, key: &ClusterKey, decision: &Decision, seen: &mut Seen) {
    let at_rest = decision.whole() && matches!(decision.action, Action::Steady);
    let revision = seen.pods_revision();
    let (mut targets, mut lacking) = (Vec::new(), None);
    for (target, other) in std::mem::take(&mut seen.targets) {
        let secret = match &other {
            Some(name) => seen.mounted.get(name),
            None => seen.certificate.as_ref(),
        };
        match material::credentials(context, key, secret) {
            Ok(Some(credentials)) => targets.push((target, credentials)),
            Ok(None) => lacking = lacking.or(Some(None)),
            Err(error) => lacking = Some(Some(error)),
        }
    }
    // Without a certificate nobody can be asked anew; those that are asked already still are.
    if lacking.is_none() || !targets.is_empty() {
        context.poller.watch(key, Round { targets, at_rest, revision });
    }
    seen.unasked &= lacking.is_none();
    if let Some(Some(error)) = lacking {
        let message = format!("the daemons' certificate cannot be used: {error:#}: replace it");
        seen.troubles.push(Trouble { kind: TroubleKind::SecretMissing, message });
    }
}

async fn tell(
    context: &Context,
    cluster: &SpreadCluster,
    facts: &Facts<'_>,
    decision: &Decision,
) -> Result<(), WriteError> {
    let status = status(facts, decision, &now());
    context.metrics.cluster(&cluster.namespace().unwrap_or_default(), &cluster.name_any(), &status);
    report::tell(context, cluster, status).await
}

/// An object that cannot be read gets conditions alone; what else its status says stays.
async fn tell_unreadable(
    context: &Context,
    object: &DeserializeGuard<SpreadCluster>,
    trouble: &Trouble,
) -> Result<(), WriteError> {
    let Err(invalid) = &object.0 else { return Ok(()) };
    context.count(std::slice::from_ref(trouble));
    let mut stand_in = SpreadCluster::new(&object.name_any(), Default::default());
    stand_in.metadata = invalid.metadata.clone();
    let status = status_of_conditions(&stand_in, &unreadable(trouble), &now());
    report::write_status(context, &stand_in, &status, Point::Status).await?;
    Err(WriteError::Trouble(trouble.clone()))
}

fn now() -> Time {
    Time(Timestamp::now())
}
