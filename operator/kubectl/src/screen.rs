//! One screen about a cluster.

use crate::fetch::{Facts, event_time};
use crate::table::table;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use spread_operator_api::{PendingChange, RingStatus, SpreadClusterStatus};
use std::fmt::Write as _;

/// Label of a pod with the number of its ring.
const RING_LABEL: &str = "spread-operator.dev/ring";
/// Events shown.
const EVENTS: usize = 10;

/// Whether words have colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For a terminal.
    Coloured,
    /// For files and pipes.
    Plain,
}

impl Style {
    fn good(self, text: &str) -> String {
        self.paint(text, "32")
    }

    fn bad(self, text: &str) -> String {
        self.paint(text, "31")
    }

    fn paint(self, text: &str, colour: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

/// Rings, slots, members, conditions, last events.
pub fn screen(facts: &Facts, style: Style) -> String {
    let empty = SpreadClusterStatus::default();
    let status = facts.cluster.status.as_ref().unwrap_or(&empty);
    let mut text = head(facts, status, style);
    text += &rings(facts, status);
    text += &slots(facts, status);
    text += &conditions(facts, status, style);
    text += &events(facts);
    for missing in &facts.missing {
        let _ = writeln!(text, "not shown: {missing}");
    }
    text
}

fn head(facts: &Facts, status: &SpreadClusterStatus, style: Style) -> String {
    let name = facts.cluster.name_any();
    let namespace = facts.cluster.namespace().unwrap_or_default();
    let mut text = format!("{namespace}/{name}");
    match status.conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(ready) if ready.status == "True" => {
            let _ = writeln!(text, "  {}: {}", style.good("Ready"), ready.message);
        }
        Some(ready) => {
            let said = style.bad(&format!("not Ready ({})", ready.reason));
            let _ = writeln!(text, "  {said}: {}", ready.message);
        }
        None => {
            let said = style.bad("no status");
            let _ = writeln!(text, "  {said}: no operator has seen it; is one running?");
        }
    }
    if let Some(generation) = facts.cluster.metadata.generation
        && generation != status.observed_generation
        && !status.conditions.is_empty()
    {
        let _ = writeln!(
            text,
            "  what follows is about generation {}; the spec has {generation}",
            status.observed_generation
        );
    }
    if !status.client.host.is_empty() {
        let client = &status.client;
        let _ = writeln!(
            text,
            "clients connect to {}@{} (ConfigMap {})",
            client.port, client.host, client.config_map
        );
    }
    text
}

fn rings(facts: &Facts, status: &SpreadClusterStatus) -> String {
    if status.rings.is_empty() {
        return String::new();
    }
    let row = |ring: &RingStatus| {
        let members = &ring.members;
        let mark = if ring.number == status.active_ring { "*" } else { "" };
        let mut row = vec![format!("{}{mark}", ring.number), format!("{:?}", ring.state)];
        let numbers = [ring.slots, members.wanted, members.ready, members.in_ring, ring.sessions];
        row.extend(numbers.map(|number| number.to_string()));
        let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let key = if ring.key_id == 0 { "-".to_owned() } else { ring.key_id.to_string() };
        row.extend([key, shown(&ring.daemon_version), shown(&ring.image)]);
        row
    };
    let rows: Vec<Vec<String>> = status.rings.iter().map(row).collect();
    let spec = &facts.cluster.spec;
    let wanted = spec.replicas.map_or_else(|| "one on each node".to_owned(), |n| n.to_string());
    let slots = &status.slots;
    let head = [
        "RING", "STATE", "SLOTS", "WANTED", "READY", "IN RING", "SESSIONS", "KEY", "VERSION",
        "IMAGE",
    ];
    let mut text = format!(
        "daemons wanted: {wanted}; slots: {} used, {} free of {}, at least {} to spare\n\n{}",
        slots.used,
        slots.free,
        slots.total,
        spec.slots.min_spare,
        table(&head, &rows)
    );
    if status.pending_change != PendingChange::None {
        let _ = writeln!(text, "to come: {:?}", status.pending_change);
    }
    if let Some(switchover) = &status.switchover {
        let endpoints = &switchover.endpoints;
        let _ = writeln!(
            text,
            "switch-over {} from ring {} to {}: {:?}, {} of {} endpoints prepared",
            switchover.operation,
            switchover.from_ring,
            switchover.to_ring,
            switchover.step,
            endpoints.prepared,
            endpoints.known
        );
    }
    text
}

fn slots(facts: &Facts, status: &SpreadClusterStatus) -> String {
    let mut rows: Vec<Vec<String>> = facts.pods.iter().map(|pod| pod_row(pod, facts.now)).collect();
    if let Some(ring) = status.rings.iter().find(|ring| ring.number == status.active_ring) {
        let has = |slot: u32| facts.pods.iter().any(|pod| place(pod) == Some((ring.number, slot)));
        let vacant: Vec<u32> = (0..ring.slots).filter(|slot| !has(*slot)).collect();
        if !vacant.is_empty() && facts.missing.is_empty() {
            rows.push(vec![ring.number.to_string(), ranges(&vacant), "(vacant)".to_owned()]);
        }
    }
    let head = ["RING", "SLOT", "POD", "STATE", "RESTARTS", "NODE", "AGE"];
    if rows.is_empty() { String::new() } else { format!("\n{}", table(&head, &rows)) }
}

/// Ring and slot of a pod, from its label and its name.
fn place(pod: &Pod) -> Option<(u32, u32)> {
    let ring = pod.labels().get(RING_LABEL)?.parse().ok()?;
    let slot = pod.name_any().rsplit_once('-')?.1.parse().ok()?;
    Some((ring, slot))
}

fn pod_row(pod: &Pod, now: Timestamp) -> Vec<String> {
    let (ring, slot) = match place(pod) {
        Some((ring, slot)) => (ring.to_string(), format!("d{slot}")),
        None => ("?".to_owned(), "?".to_owned()),
    };
    let restarts: i32 = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_ref())
        .map_or(0, |all| all.iter().map(|one| one.restart_count).sum());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    let since = pod.metadata.creation_timestamp.as_ref().map(|time| age(now, time.0));
    vec![
        ring,
        slot,
        pod.name_any(),
        pod_state(pod),
        restarts.to_string(),
        node.unwrap_or_else(|| "-".to_owned()),
        since.unwrap_or_default(),
    ]
}

/// The most telling word about a pod.
fn pod_state(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Leaving".to_owned();
    }
    let Some(status) = &pod.status else { return "Unknown".to_owned() };
    let containers = status.container_statuses.iter().flatten();
    let waits = containers
        .filter_map(|one| one.state.as_ref()?.waiting.as_ref()?.reason.clone())
        .find(|reason| reason != "ContainerCreating");
    let conditions = status.conditions.iter().flatten();
    let ready = conditions.clone().any(|one| one.type_ == "Ready" && one.status == "True");
    let unscheduled =
        conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    let phase = status.phase.clone().unwrap_or_default();
    match (waits, unscheduled, ready) {
        (Some(reason), ..) => reason,
        (_, Some(condition), _) => condition.reason.clone().unwrap_or(phase),
        (.., true) => "Ready".to_owned(),
        _ if phase == "Running" => "Running".to_owned(),
        _ => phase,
    }
}

fn conditions(facts: &Facts, status: &SpreadClusterStatus, style: Style) -> String {
    if status.conditions.is_empty() {
        return String::new();
    }
    let row = |condition: &Condition| {
        let since = age(facts.now, condition.last_transition_time.0);
        let fields =
            [&condition.type_, &condition.status, &condition.reason, &since, &condition.message];
        fields.map(String::clone).to_vec()
    };
    let rows: Vec<Vec<String>> = status.conditions.iter().map(row).collect();
    let text = table(&["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows);
    let mut lines = text.lines();
    let mut shown = format!("\n{}\n", lines.next().unwrap_or_default());
    for (line, condition) in lines.zip(&status.conditions) {
        let line = if is_bad(condition) { style.bad(line) } else { line.to_owned() };
        let _ = writeln!(shown, "{line}");
    }
    shown
}

/// Whether somebody should look.
fn is_bad(condition: &Condition) -> bool {
    match condition.type_.as_str() {
        "Ready" | "Available" | "SlotsAvailable" | "MembershipConsistent" => {
            condition.status == "False"
        }
        "Stalled" | "Degraded" => condition.status == "True",
        _ => false,
    }
}

fn events(facts: &Facts) -> String {
    let last = facts.events.len().saturating_sub(EVENTS);
    let row = |event: &k8s_openapi::api::core::v1::Event| {
        vec![
            event_time(event).map(|time| age(facts.now, time)).unwrap_or_default(),
            event.type_.clone().unwrap_or_default(),
            event.reason.clone().unwrap_or_default(),
            event.message.clone().or(event.action.clone()).unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = facts.events[last..].iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n{}", table(&["EVENT", "TYPE", "REASON", "MESSAGE"], &rows))
}

/// `d3 d5-d7` for slots that rise.
fn ranges(slots: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for slot in slots {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *slot => *last = *slot,
            _ => parts.push((*slot, *slot)),
        }
    }
    let part = |(first, last): &(u32, u32)| match first == last {
        true => format!("d{first}"),
        false => format!("d{first}-d{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// `5s`, `3m`, `2h`, `4d`, as kubectl writes it.
fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
