//! The schema's rules as a function: the local run has no API server to apply them.

use crate::{
    AuthenticationType, GROUP, IpFamilyPolicy, NAME_MAX_BYTES, NamespacesFrom, PlacementType,
    Profile, ProfileType, RingEncryptionType, SLOTS_MAX, SlowReaderType, SpreadCluster,
    SpreadClusterSpec, TlsType,
};
use core::net::IpAddr;
use std::fmt;

/// One rule that an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, like `spec.slots.initial`.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.field, self.message, self.remedy)
    }
}

/// All rules that a new object breaks; none: it can be made.
pub fn validate_new(cluster: &SpreadCluster) -> Vec<Violation> {
    let mut found = Found(validate(cluster));
    let (replicas, initial) = (cluster.spec.replicas.unwrap_or(0), cluster.spec.slots.initial);
    found.unless(
        initial >= replicas,
        "spec.slots.initial",
        format!(
            "{initial} is below replicas, {replicas}: the first ring needs a slot for each daemon"
        ),
        "raise slots.initial",
    );
    found.0
}

/// All rules that the object breaks; none: it is valid.
pub fn validate(cluster: &SpreadCluster) -> Vec<Violation> {
    let mut found = Found::default();
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    found.unless(!name.is_empty(), "metadata.name", "there is no name", "give the cluster one");
    found.unless(
        name.len() <= NAME_MAX_BYTES,
        "metadata.name",
        format!("is longer than {NAME_MAX_BYTES} characters"),
        "choose a shorter one, so that names of children fit",
    );
    found.unless(
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.ends_with(|last: char| last.is_ascii_lowercase() || last.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
        "metadata.name",
        "becomes part of names of Services",
        "begin with a letter, go on with lower-case letters, digits and dashes",
    );
    sizes(&cluster.spec, &mut found);
    network(&cluster.spec, &mut found);
    bounds(&cluster.spec, &mut found);
    profile(&cluster.spec.profile, &mut found);
    unions(&cluster.spec, &mut found);
    found.0
}

#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn unless(
        &mut self,
        holds: bool,
        field: &'static str,
        message: impl Into<String>,
        remedy: &'static str,
    ) {
        if !holds {
            self.0.push(Violation { field, message: message.into(), remedy });
        }
    }

    fn range(&mut self, field: &'static str, value: u32, min: u32, max: u32) {
        self.unless(
            (min..=max).contains(&value),
            field,
            format!("{value} is outside {min} to {max}"),
            "choose a value inside",
        );
    }
}

fn sizes(spec: &SpreadClusterSpec, found: &mut Found) {
    let slots = &spec.slots;
    found.range("spec.slots.initial", slots.initial, 1, SLOTS_MAX);
    found.range("spec.slots.max", slots.max, 1, SLOTS_MAX);
    found.unless(
        spec.replicas.is_some() != (spec.placement.r#type == PlacementType::PerNode),
        "spec.replicas",
        "either replicas or placement.type: PerNode has to be given, not both",
        "set replicas, or remove it when each node gets a daemon",
    );
    if let Some(replicas) = spec.replicas {
        found.range("spec.replicas", replicas, 1, SLOTS_MAX);
        found.unless(
            replicas <= slots.max,
            "spec.replicas",
            format!("{replicas} is above slots.max, {}", slots.max),
            "raise slots.max, or ask for fewer daemons",
        );
    }
    found.unless(
        slots.initial <= slots.max,
        "spec.slots.initial",
        format!("{} is above slots.max, {}", slots.initial, slots.max),
        "lower slots.initial, or raise slots.max",
    );
    found.unless(
        slots.min_spare < slots.max,
        "spec.slots.minSpare",
        "leaves no slot for a daemon",
        "make it smaller than slots.max",
    );
}

fn network(spec: &SpreadClusterSpec, found: &mut Found) {
    found.unless(
        !spec.image.contains(' '),
        "spec.image",
        "has a blank",
        "write REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST, or leave it out for the operator's default",
    );
    found.unless(
        spec.ip_families.len() < 2 || spec.ip_family_policy != IpFamilyPolicy::SingleStack,
        "spec.ipFamilies",
        "lists two families and ipFamilyPolicy is SingleStack",
        "remove one, or set PreferDualStack",
    );
    let repeated = spec.ip_families.len() == 2 && spec.ip_families[0] == spec.ip_families[1];
    found.unless(!repeated, "spec.ipFamilies", "lists a family twice", "name each once");
    found.unless(
        spec.clients.authentication.allow.iter().all(|entry| is_network(entry)),
        "spec.clients.authentication.allow",
        "has an entry that is no address",
        "write addresses such as 10.1.2.3 or networks such as 10.0.0.0/8 and fd00::/8",
    );
}

/// An address, or a network as ADDRESS/BITS.
fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return text.parse::<IpAddr>().is_ok() };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    bits.parse::<u8>().is_ok_and(|bits| bits <= if address.is_ipv4() { 32 } else { 128 })
}

fn bounds(spec: &SpreadClusterSpec, found: &mut Found) {
    let limits = &spec.limits;
    found.range("spec.limits.maxMessageBytes", limits.max_message_bytes, 1024, 134_217_728);
    found.range("spec.limits.maxSessions", limits.max_sessions, 1, 1_000_000);
    found.range("spec.limits.sessionQueueBytes", limits.session_queue_bytes, 65_536, 1 << 30);
    found.range("spec.limits.maxGroupNameBytes", limits.max_group_name_bytes, 31, 255);
    if let Some(seconds) = limits.slow_reader.timeout_seconds {
        found.range("spec.limits.slowReader.timeoutSeconds", seconds, 1, 600);
    }
    if let Some(messages) = limits.slow_reader.messages {
        found.range("spec.limits.slowReader.messages", messages, 1, 999_999);
    }
    let grace = spec.pod_template.termination_grace_period_seconds;
    found.range("spec.podTemplate.terminationGracePeriodSeconds", grace, 1, 3600);
    let switchover = &spec.switchover;
    found.range("spec.switchover.deadlineSeconds", switchover.deadline_seconds, 1, 3600);
    found.range(
        "spec.switchover.retainOldRingSeconds",
        switchover.retain_old_ring_seconds,
        0,
        86_400,
    );
    found.range("spec.switchover.minIntervalSeconds", switchover.min_interval_seconds, 0, 86_400);
}

fn profile(profile: &Profile, found: &mut Found) {
    let timeouts = [
        ("spec.profile.tokenTimeoutMilliseconds", profile.token_timeout_milliseconds, 10),
        ("spec.profile.hurryTimeoutMilliseconds", profile.hurry_timeout_milliseconds, 1),
        ("spec.profile.gatherTimeoutMilliseconds", profile.gather_timeout_milliseconds, 10),
        ("spec.profile.lookupTimeoutMilliseconds", profile.lookup_timeout_milliseconds, 10),
    ];
    let custom = profile.r#type == ProfileType::Custom;
    for (field, value, min) in timeouts {
        found.unless(
            value.is_some() == custom,
            field,
            "type Custom needs all four timeouts, other types none",
            "add the missing ones, or remove them",
        );
        if let Some(value) = value {
            found.range(field, value, min, 600_000);
        }
    }
    if let (Some(hurry), Some(token)) =
        (profile.hurry_timeout_milliseconds, profile.token_timeout_milliseconds)
    {
        found.unless(
            hurry < token,
            "spec.profile.hurryTimeoutMilliseconds",
            format!("{hurry} is not below tokenTimeoutMilliseconds, {token}"),
            "a token is hurried before it counts as lost: lower it",
        );
    }
    if let (Some(gather), Some(lookup)) =
        (profile.gather_timeout_milliseconds, profile.lookup_timeout_milliseconds)
    {
        found.unless(
            gather < lookup,
            "spec.profile.gatherTimeoutMilliseconds",
            format!("{gather} is not below lookupTimeoutMilliseconds, {lookup}"),
            "a membership change ends before the next search: lower it",
        );
    }
}

fn unions(spec: &SpreadClusterSpec, found: &mut Found) {
    found.unless(
        spec.placement.r#type == PlacementType::PerNode || spec.placement.node_selector.is_empty(),
        "spec.placement.nodeSelector",
        "belongs to type PerNode",
        "set that type, or use podTemplate.nodeSelector",
    );
    let slow = &spec.limits.slow_reader;
    found.unless(
        match slow.r#type {
            SlowReaderType::Block => slow.messages.is_none(),
            SlowReaderType::Disconnect => slow.timeout_seconds.is_none(),
        },
        "spec.limits.slowReader.type",
        "timeoutSeconds belongs to type Block and messages to type Disconnect",
        "remove the other one",
    );
    let namespaces = &spec.clients.allowed_namespaces;
    found.unless(
        (namespaces.from == NamespacesFrom::Selector) != namespaces.selector.is_empty(),
        "spec.clients.allowedNamespaces.selector",
        "goes with from: Selector",
        "give labels with it, and remove them otherwise",
    );
    let authentication = &spec.clients.authentication;
    found.unless(
        (authentication.r#type == AuthenticationType::Secret) == authentication.name.is_some(),
        "spec.clients.authentication.name",
        "goes with type Secret",
        "give the Secret's name with it, and remove it otherwise",
    );
    found.unless(
        (authentication.r#type == AuthenticationType::IP) != authentication.allow.is_empty(),
        "spec.clients.authentication.allow",
        "goes with type IP",
        "give at least one address with it, and remove it otherwise",
    );
    let encryption = &spec.security.ring_encryption;
    found.unless(
        (encryption.r#type == RingEncryptionType::Secret) == encryption.name.is_some(),
        "spec.security.ringEncryption.name",
        "goes with type Secret",
        "give the Secret's name with it, and remove it otherwise",
    );
    let tls = &spec.security.tls;
    found.unless(
        (tls.r#type == TlsType::Secret) == tls.name.is_some(),
        "spec.security.tls.name",
        "goes with type Secret",
        "give the Secret's name with it, and remove it otherwise",
    );
    found.unless(
        (tls.r#type == TlsType::CertManager) == tls.issuer_ref.is_some(),
        "spec.security.tls.issuerRef",
        "goes with type CertManager",
        "give the issuer with it, and remove it otherwise",
    );
    if let Some(issuer) = &tls.issuer_ref {
        found.unless(
            ["Issuer", "ClusterIssuer"].contains(&issuer.kind.as_str()),
            "spec.security.tls.issuerRef.kind",
            "is not one of cert-manager's",
            "write Issuer or ClusterIssuer",
        );
    }
    let ours = format!("{GROUP}/");
    let template = &spec.pod_template;
    for (field, map) in [
        ("spec.podTemplate.labels", &template.labels),
        ("spec.podTemplate.annotations", &template.annotations),
    ] {
        found.unless(
            !map.keys().any(|key| key.starts_with(&ours)),
            field,
            format!("keys below {ours} are the operator's"),
            "use a prefix of your own",
        );
    }
}
