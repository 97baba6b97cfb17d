//! Status and events: what is so, and each change of it once.

use crate::context::Context;
use crate::points::Point;
use crate::refusal::{is_gone, is_pruned};
use crate::write::WriteError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::events::{Event, EventType};
use spread_operator_api::{SpreadCluster, SpreadClusterStatus};
use spread_plan::{Trouble, TroubleKind, status_of_conditions, unreadable};

/// Writes the status if it differs, then tells each transition as an event.
pub async fn tell(
    context: &Context,
    cluster: &SpreadCluster,
    status: SpreadClusterStatus,
) -> Result<(), WriteError> {
    if cluster.status.as_ref() == Some(&status) {
        return Ok(());
    }
    write_status(context, cluster, &status, Point::Status).await?;
    let before = cluster.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    for (old, new) in transitions(before, &status.conditions) {
        publish(context, cluster, old, new).await?;
    }
    Ok(())
}

/// Writes a status. An object that is gone needs none.
pub async fn write_status(
    context: &Context,
    cluster: &SpreadCluster,
    status: &SpreadClusterStatus,
    point: Point,
) -> Result<(), WriteError> {
    let now = &Time(Timestamp::now());
    match context.writer.status(cluster, status, point).await? {
        Ok(()) => Ok(()),
        Err(error) if is_gone(&error) => Ok(()),
        Err(error) if is_pruned(&error) => {
            let trouble = Trouble {
                kind: TroubleKind::DefinitionTooOld,
                message: format!(
                    "the CustomResourceDefinition is older than the operator: {error}: apply the newer one"
                ),
            };
            let told = status_of_conditions(cluster, &unreadable(&trouble), now);
            // What that definition does not know is left out.
            let _ = context.writer.conditions(&cluster.metadata, &told.conditions).await?;
            Err(WriteError::Trouble(trouble))
        }
        Err(error) => {
            let name = cluster.metadata.name.as_deref().unwrap_or_default();
            Err(WriteError::Trouble(context.trouble("SpreadCluster", name, &error)))
        }
    }
}

/// Conditions that changed, with what they were. The way from nothing to a new object's ordinary state is
/// not worth an event.
fn transitions<'a>(
    before: &'a [Condition],
    after: &'a [Condition],
) -> Vec<(Option<&'a Condition>, &'a Condition)> {
    after
        .iter()
        .map(|new| (before.iter().find(|old| old.type_ == new.type_), new))
        .filter(|(old, new)| {
            let known = old.filter(|old| old.reason != "Accepted" && old.status != "Unknown");
            match known {
                Some(old) => old.status != new.status || old.reason != new.reason,
                None => is_bad(new) || (new.type_ == "Ready" && new.status == "True"),
            }
        })
        .collect()
}

/// Whether a condition asks for attention.
fn is_bad(condition: &Condition) -> bool {
    let holds = condition.status == "True";
    match condition.type_.as_str() {
        "Stalled" | "Degraded" => holds && condition.reason != "MembersMissing",
        "SlotsAvailable" | "MembershipConsistent" => condition.status == "False",
        _ => false,
    }
}

async fn publish(
    context: &Context,
    cluster: &SpreadCluster,
    old: Option<&Condition>,
    new: &Condition,
) -> Result<(), WriteError> {
    let lost = new.type_ == "Available" && new.status == "False" && old.is_some();
    let warning = lost || is_bad(new) || (new.type_ == "Degraded" && new.status == "True");
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: new.reason.clone(),
        note: Some(
            format!("{} is {}: {}", new.type_, new.status, new.message)
                .chars()
                .take(1000)
                .collect(),
        ),
        action: new.type_.clone(),
        secondary: None,
    };
    let reference = cluster.object_ref(&());
    let published = context.writer.event(context.recorder.publish(&event, &reference)).await?;
    if let Err(error) = published {
        // The status has the same: an event is never the only place of a fact.
        tracing::warn!(%error, "an event was not published");
        context.metrics.trouble("Event");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::transitions;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use k8s_openapi::jiff::Timestamp;

    fn condition(kind: &str, status: &str, reason: &str) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: String::new(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    #[test]
    fn one_event_per_transition_and_none_for_what_stays() {
        let cases = [
            (None, condition("Ready", "False", "RingForming"), false),
            (
                Some(condition("Ready", "Unknown", "Accepted")),
                condition("Ready", "True", "Ready"),
                true,
            ),
            (Some(condition("Ready", "True", "Ready")), condition("Ready", "True", "Ready"), false),
            (
                Some(condition("Ready", "True", "Ready")),
                condition("Ready", "False", "Degraded"),
                true,
            ),
            (
                Some(condition("Stalled", "True", "ForeignObject")),
                condition("Stalled", "True", "QuotaExceeded"),
                true,
            ),
            (None, condition("Stalled", "True", "ForeignObject"), true),
            (None, condition("Stalled", "False", "Progressing"), false),
        ];
        for (old, new, expected) in cases {
            let before: Vec<Condition> = old.into_iter().collect();
            let after = [new];
            assert_eq!(transitions(&before, &after).len(), usize::from(expected), "{after:?}");
        }
    }
}
