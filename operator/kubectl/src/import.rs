//! A manifest for a site of the original, from its spread.conf.

use serde_json::Value;
use spread_conf::{Conf, Diagnostic, Encryption, SlowReader};
use spread_operator_api::{
    AuthenticationType, GROUP, Limits, Profile, ProfileType, SlowReaderType, SpreadCluster,
    SpreadClusterSpec, VERSION,
};

/// Slots that a new cluster has for each daemon of the old one.
const SLOTS_PER_DAEMON: u32 = 2;
/// Fewest bytes of a session's queue that a manifest may say.
const QUEUE_BYTES_LEAST: u32 = 65_536;
/// Fewest milliseconds that a manifest may say for a timeout.
const TIMEOUT_LEAST: u32 = 10;

/// A manifest, and what the file says that it does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The object.
    pub cluster: SpreadCluster,
    /// What its writer has to know, one sentence each.
    pub notes: Vec<String>,
    /// What the parser warned about.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a spread.conf. What is wrong with it comes back with lines, columns and help.
pub fn import(text: &str, name: &str) -> Result<Imported, Vec<Diagnostic>> {
    let (conf, warnings) = spread_conf::parse(text)?;
    let mut notes = Vec::new();
    let mut cluster = SpreadCluster::new(name, spec(&conf, &mut notes));
    cluster.metadata.name = Some(name.to_owned());
    left_behind(&conf, &mut notes);
    Ok(Imported { cluster, notes, warnings })
}

fn spec(conf: &Conf, notes: &mut Vec<String>) -> SpreadClusterSpec {
    let daemons = u32::try_from(conf.slots.len()).unwrap_or(u32::MAX);
    let mut spec = SpreadClusterSpec { replicas: Some(daemons), ..Default::default() };
    spec.slots.initial = spec.slots.initial.max(daemons.saturating_mul(SLOTS_PER_DAEMON)).min(1024);
    spec.slots.max = spec.slots.max.max(spec.slots.initial);
    spec.limits = limits(conf, notes);
    spec.profile = profile(conf, notes);
    authentication(conf, &mut spec, notes);
    notes.push(format!(
        "the {daemons} daemons get new names, {}: private names of sessions end in those, and vs-sets are ordered by them",
        names(daemons)
    ));
    spec
}

fn names(daemons: u32) -> String {
    match daemons {
        1 => "d0".to_owned(),
        _ => format!("d0 to d{}", daemons.saturating_sub(1)),
    }
}

fn limits(conf: &Conf, notes: &mut Vec<String>) -> Limits {
    let mut limits = Limits {
        max_message_bytes: conf.max_message_bytes,
        max_sessions: conf.max_sessions,
        session_queue_bytes: conf.session_queue_bytes.max(QUEUE_BYTES_LEAST),
        max_group_name_bytes: conf.max_group_name_bytes.max(31),
        ..Default::default()
    };
    if limits.session_queue_bytes != conf.session_queue_bytes {
        notes.push(format!(
            "SessionQueueBytes was raised to {QUEUE_BYTES_LEAST}, the least a manifest may say"
        ));
    }
    if limits.max_group_name_bytes != conf.max_group_name_bytes {
        notes.push("MaxGroupNameBytes was raised to 31, the least a manifest may say".to_owned());
    }
    match conf.slow_reader {
        SlowReader::Block { timeout_milliseconds } => {
            let seconds = timeout_milliseconds.div_ceil(1000).clamp(1, 600);
            if seconds != 10 {
                limits.slow_reader.timeout_seconds = Some(seconds);
            }
            if seconds.saturating_mul(1000) != timeout_milliseconds {
                notes.push(format!("SlowReaderTimeout became {seconds} seconds: manifests have whole seconds, at most 600"));
            }
        }
        SlowReader::Disconnect { messages } => {
            limits.slow_reader.r#type = SlowReaderType::Disconnect;
            limits.slow_reader.messages = Some(messages.min(999_999));
        }
    }
    limits
}

fn profile(conf: &Conf, notes: &mut Vec<String>) -> Profile {
    let timeouts = conf.timeouts.filter(|_| conf.profile == spread_conf::Profile::Custom);
    let Some(timeouts) = timeouts else {
        let r#type = match conf.profile {
            spread_conf::Profile::Wan => ProfileType::WAN,
            _ => ProfileType::LAN,
        };
        if r#type == ProfileType::WAN {
            notes.push("the segments are far apart, so the profile is WAN; pods of one Kubernetes cluster are usually near each other: then remove it".to_owned());
        }
        return Profile { r#type, ..Default::default() };
    };
    notes.push("of the nine timeouts a manifest has four; the others follow from them".to_owned());
    Profile {
        r#type: ProfileType::Custom,
        token_timeout_milliseconds: Some(timeouts.token.clamp(TIMEOUT_LEAST, 600_000)),
        hurry_timeout_milliseconds: Some(timeouts.hurry.min(600_000)),
        gather_timeout_milliseconds: Some(timeouts.gather.clamp(TIMEOUT_LEAST, 600_000)),
        lookup_timeout_milliseconds: Some(timeouts.lookup.clamp(TIMEOUT_LEAST, 600_000)),
    }
}

fn authentication(conf: &Conf, spec: &mut SpreadClusterSpec, notes: &mut Vec<String>) {
    let uses = |method: &str| {
        conf.allowed_auth.iter().chain(&conf.required_auth).any(|known| known == method)
    };
    let chosen = &mut spec.clients.authentication;
    if uses("PWORD") {
        chosen.r#type = AuthenticationType::Secret;
        chosen.name = Some("spread-passwords".to_owned());
        notes.push("clients show passwords: make the Secret first, from the old site's file: kubectl create secret generic spread-passwords --from-file=spread.access_pword".to_owned());
    } else if uses("IP") {
        chosen.r#type = AuthenticationType::IP;
        chosen.allow = vec!["10.0.0.0/8".to_owned()];
        notes.push("clients are let in by address: replace 10.0.0.0/8 by the networks of spread.access_ip, as pods see clients".to_owned());
    }
    if uses("PWORD") && uses("IP") {
        notes.push("the file asks for addresses and passwords; a manifest has one of both: passwords were taken".to_owned());
    }
}

/// What a manifest can't say.
fn left_behind(conf: &Conf, notes: &mut Vec<String>) {
    let mut say = |said: bool, note: &str| {
        if said {
            notes.push(note.to_owned());
        }
    };
    let ports: Vec<u16> =
        conf.slots.iter().map(|slot| slot.port).filter(|port| *port != 4803).collect();
    say(
        !ports.is_empty(),
        "clients connect to port 4803 of the Service NAME-client, whatever port the file has",
    );
    say(conf.multicast, "RingMulticast is gone: pod networks carry no multicast");
    say(
        !conf.access_rules.is_empty(),
        "AccessRule lines are gone: a manifest has none; NetworkPolicies and authentication decide who connects",
    );
    say(
        conf.windows != Default::default(),
        "Window, PersonalWindow and AcceleratedWindow are gone: the daemon's defaults are taken",
    );
    say(conf.packet_bytes.is_some(), "PacketBytes is gone: the daemon's default is taken");
    say(
        conf.ring_key_file.is_some(),
        "RingKeyFile is gone: the operator makes a key and rotates it",
    );
    say(
        conf.encryption == Encryption::Off,
        "RingEncryption is on now: the operator makes a key; security.ringEncryption.type None turns it off",
    );
    say(conf.event_log_file.is_some(), "EventLogFile is gone: kubectl logs has the log");
    say(
        conf.admin_endpoint.is_some(),
        "AdminEndpoint is gone: the operator sets it up with certificates",
    );
    let without: Vec<&str> = conf.without_effect.iter().map(|one| one.name.as_str()).collect();
    if !without.is_empty() {
        notes.push(format!("without effect and gone: {}", without.join(", ")));
    }
}

impl Imported {
    /// The manifest as YAML, its notes before it as comments; what is as by default is left out.
    pub fn manifest(&self) -> anyhow::Result<String> {
        let default = serde_json::to_value(SpreadClusterSpec::default())?;
        let spec = serde_json::to_value(&self.cluster.spec)?;
        let spec = differing(&spec, &default).unwrap_or(Value::Object(Default::default()));
        let head = format!(
            "apiVersion: {GROUP}/{VERSION}\nkind: SpreadCluster\nmetadata:\n  name: {}\n",
            self.cluster.metadata.name.as_deref().unwrap_or_default()
        );
        let spec = serde_saphyr::to_string(&serde_json::json!({"spec": spec}))?;
        let notes: String = self.notes.iter().map(|note| format!("# * {note}\n")).collect();
        Ok(format!("# From a spread.conf. What to know:\n{notes}{head}{spec}"))
    }
}

/// What differs from the default; `None`: nothing.
fn differing(value: &Value, default: &Value) -> Option<Value> {
    match (value, default) {
        (Value::Object(fields), Value::Object(defaults)) => {
            let mut kept: serde_json::Map<String, Value> = fields
                .iter()
                .filter_map(|(name, field)| {
                    let differs = differing(field, defaults.get(name).unwrap_or(&Value::Null))?;
                    Some((name.clone(), differs))
                })
                .collect();
            // A choice is not understood without its type.
            if !kept.is_empty()
                && let Some(kind) = fields.get("type")
            {
                kept.insert("type".to_owned(), kind.clone());
            }
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => (value != default).then(|| value.clone()),
    }
}

#[cfg(test)]
mod import_tests {
    use super::*;
    use spread_operator_api::validate;

    const ORIGINAL: &str = "\
Spread_Segment 10.1.0.255:4804 {\n  alpha 10.1.0.1\n  beta 10.1.0.2\n}
Spread_Segment 10.2.0.255:4804 {\n  gamma 10.2.0.1\n}
EventLogFile = /var/log/spread.log
MaxSessionMessages = 5000
RequiredAuthMethods = \"PWORD\"
AccessRule = \"deny join group=secret*\"
DaemonUser = spread
TokenTimeout = 1250 HurryTimeout = 500 AliveTimeout = 250 JoinTimeout = 250 RepTimeout = 625
SegTimeout = 500 GatherTimeout = 1250 FormTimeout = 1250 LookupTimeout = 30000
";

    #[test]
    fn a_site_of_the_original_becomes_a_valid_manifest() {
        let imported = import(ORIGINAL, "orders").expect("right");
        assert_eq!(validate(&imported.cluster), []);
        insta::assert_snapshot!(imported.manifest().expect("it can be written"));
    }

    #[test]
    fn custom_timeouts_come_along() {
        let text = format!("Profile = custom\n{ORIGINAL}");
        let imported = import(&text, "orders").expect("right");
        assert_eq!(validate(&imported.cluster), []);
        assert_eq!(imported.cluster.spec.profile.token_timeout_milliseconds, Some(1250));
        assert!(imported.manifest().expect("text").contains("type: Custom"));
    }

    #[test]
    fn the_manifest_reads_back_as_the_same_object() {
        for text in [ORIGINAL, "Spread_Segment 10.0.0.255 { a 10.0.0.1 }"] {
            let imported = import(text, "orders").expect("right");
            let manifest = imported.manifest().expect("it can be written");
            let read: SpreadCluster = serde_saphyr::from_str(&manifest).expect("it can be read");
            assert_eq!(read.spec, imported.cluster.spec, "{manifest}");
        }
    }

    #[test]
    fn a_large_site_gets_slots_up_to_the_most() {
        let daemons: String = (0..600)
            .map(|index| format!("h{index} 10.3.{}.{} ", index / 250, index % 250 + 1))
            .collect();
        let imported = import(&format!("Spread_Segment 10.3.255.255 {{ {daemons} }}"), "big");
        let spec = imported.expect("right").cluster.spec;
        assert_eq!((spec.replicas, spec.slots.initial, spec.slots.max), (Some(600), 1024, 1024));
    }

    #[test]
    fn mistakes_keep_their_places() {
        let found = import("Widnow = 3\nSpread_Segment 10.0.0.255 { a 10.0.0.1 }", "x")
            .expect_err("a mistake");
        assert_eq!((found[0].line, found[0].column), (1, 1));
        assert!(found[0].help.contains("Window"));
    }
}
