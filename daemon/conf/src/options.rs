//! The options: what each takes and where it goes.

use crate::model::{Conf, Encryption, LogFormat, Profile, SlowReader};
use core::net::SocketAddr;

/// Why a value does not fit: what is wrong, and what to write.
pub(crate) type Misfit = (String, String);

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing: it stands alone.
    Nothing,
    /// One word or string after an equals sign.
    Value,
    /// A word may follow an equals sign.
    Perhaps,
    /// `= { words }`.
    Words,
    /// `{ rows }`.
    Rows,
}

/// All options.
const OPTIONS: &[(&str, Takes)] = &[
    ("AcceleratedRing", Takes::Value),
    ("AcceleratedWindow", Takes::Value),
    ("AccessControlPolicy", Takes::Value),
    ("AccessIpFile", Takes::Value),
    ("AccessPwordFile", Takes::Value),
    ("AccessRule", Takes::Value),
    ("AdminEndpoint", Takes::Value),
    ("AdminTlsDirectory", Takes::Value),
    ("AliveTimeout", Takes::Value),
    ("AllowedAuthMethods", Takes::Value),
    ("ClusterUid", Takes::Value),
    ("DaemonGroup", Takes::Value),
    ("DaemonPorts", Takes::Value),
    ("DaemonUser", Takes::Value),
    ("DangerousMonitor", Takes::Value),
    ("DebugFlags", Takes::Words),
    ("DebugInitialSequence", Takes::Nothing),
    ("EventLogFile", Takes::Value),
    ("EventPreciseTimeStamp", Takes::Nothing),
    ("EventPriority", Takes::Value),
    ("EventTimeStamp", Takes::Perhaps),
    ("FormTimeout", Takes::Value),
    ("GatherTimeout", Takes::Value),
    ("HealthEndpoint", Takes::Value),
    ("HurryTimeout", Takes::Value),
    ("JoinTimeout", Takes::Value),
    ("LinkProtocol", Takes::Value),
    ("LogFormat", Takes::Value),
    ("LookupTimeout", Takes::Value),
    ("MaxGroupNameBytes", Takes::Value),
    ("MaxMessageBytes", Takes::Value),
    ("MaxSessionMessages", Takes::Value),
    ("MaxSessions", Takes::Value),
    ("PacketBytes", Takes::Value),
    ("PersonalWindow", Takes::Value),
    ("Profile", Takes::Value),
    ("RepTimeout", Takes::Value),
    ("RequiredAuthMethods", Takes::Value),
    ("RingEncryption", Takes::Value),
    ("RingMulticast", Takes::Value),
    ("RingKeyFile", Takes::Value),
    ("RingNumber", Takes::Value),
    ("RouteMatrix", Takes::Rows),
    ("RuntimeDir", Takes::Value),
    ("SegTimeout", Takes::Value),
    ("SessionQueueBytes", Takes::Value),
    ("SlowReader", Takes::Value),
    ("SlowReaderTimeout", Takes::Value),
    ("SocketPortReuse", Takes::Value),
    ("TokenTimeout", Takes::Value),
    ("UnixSocketDirectory", Takes::Value),
    ("Window", Takes::Value),
];

/// The names of all options, in alphabetical order.
pub fn option_names() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(name, _)| *name)
}

/// What the option of this name takes.
pub(crate) fn takes(name: &str) -> Option<Takes> {
    OPTIONS.iter().find(|(known, _)| *known == name).map(|(_, takes)| *takes)
}

/// The option whose name is nearest: same letters in another case, or a few letters off.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    OPTIONS
        .iter()
        .map(|(known, _)| (distance(&name.to_lowercase(), &known.to_lowercase()), *known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

/// Values gathered on the way to a [`Conf`].
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The nine timeouts, in the order of [`TIMEOUTS`].
    pub(crate) timeouts: [Option<u32>; 9],
    pub(crate) daemon_ports: bool,
    pub(crate) max_session_messages: Option<u32>,
    pub(crate) slow_reader: Option<String>,
    pub(crate) slow_reader_timeout: Option<u32>,
    pub(crate) profile: Option<Profile>,
    pub(crate) auth_named: bool,
}

pub(crate) const TIMEOUTS: [&str; 9] = [
    "TokenTimeout",
    "HurryTimeout",
    "AliveTimeout",
    "JoinTimeout",
    "RepTimeout",
    "SegTimeout",
    "GatherTimeout",
    "FormTimeout",
    "LookupTimeout",
];

/// Takes one option's value; `Ok(false)` where the option has no effect here.
pub(crate) fn set(
    name: &str,
    value: &str,
    conf: &mut Conf,
    gathered: &mut Gathered,
) -> Result<bool, Misfit> {
    if let Some(index) = TIMEOUTS.iter().position(|known| *known == name) {
        gathered.timeouts[index] = Some(number(value, 1, 999_999)?);
        return Ok(true);
    }
    match name {
        "Window" => conf.windows.window = Some(number(value, 1, 999_999)?),
        "PersonalWindow" => conf.windows.personal = Some(number(value, 1, 999_999)?),
        "AcceleratedWindow" => conf.windows.accelerated = Some(number(value, 0, 999_999)?),
        "AcceleratedRing" => conf.windows.accelerated_ring = Some(switch(value)?),
        "AllowedAuthMethods" => {
            // Naming either of the pair disables NULL unless it is listed.
            gathered.auth_named = true;
            conf.allowed_auth = methods(value);
        }
        "RequiredAuthMethods" => {
            conf.required_auth = methods(value);
            if !gathered.auth_named {
                conf.allowed_auth.clear();
            }
            gathered.auth_named = true;
        }
        "AccessControlPolicy" if value == "PERMIT" => {}
        "AccessControlPolicy" => {
            return misfit(
                "the only policy is PERMIT",
                "write `AccessControlPolicy = \"PERMIT\"` and rules as AccessRule lines",
            );
        }
        "AccessRule" => conf.access_rules.push(value.to_owned()),
        "AccessIpFile" => conf.access_ip_file = Some(value.to_owned()),
        "AccessPwordFile" => conf.access_pword_file = Some(value.to_owned()),
        "AdminEndpoint" => conf.admin_endpoint = endpoint(value, "127.0.0.1:4805")?,
        "AdminTlsDirectory" => conf.admin_tls_directory = Some(value.to_owned()),
        "ClusterUid" => conf.cluster_uid = value.to_owned(),
        "DaemonPorts" => gathered.daemon_ports = switch(value)?,
        "EventLogFile" => conf.event_log_file = Some(value.to_owned()),
        "EventPriority" => {
            let known = ["pDEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL"];
            if !known.contains(&value) {
                return misfit(
                    format!("`{value}` is no priority"),
                    format!("write one of {}", known.join(", ")),
                );
            }
            conf.event_priority = value.to_owned();
        }
        "HealthEndpoint" => conf.health_endpoint = endpoint(value, "0.0.0.0:4806")?,
        "LogFormat" => {
            conf.log_format =
                choose(value, &[("text", LogFormat::Text), ("json", LogFormat::Json)])?
        }
        "MaxGroupNameBytes" => conf.max_group_name_bytes = number(value, 1, 255)?,
        "MaxMessageBytes" => conf.max_message_bytes = number(value, 1024, 1 << 27)?,
        "MaxSessionMessages" => {
            gathered.max_session_messages = Some(number(value, 1, 100_000_000)?)
        }
        "MaxSessions" => conf.max_sessions = number(value, 1, 1_000_000)?,
        "PacketBytes" => conf.packet_bytes = Some(number(value, 576, 65_000)?),
        "Profile" => {
            let choices =
                [("LAN", Profile::Lan), ("WAN", Profile::Wan), ("custom", Profile::Custom)];
            gathered.profile = Some(choose(value, &choices)?);
        }
        "RingMulticast" => conf.multicast = switch(value)?,
        "RingEncryption" => {
            let choices =
                [("on", Encryption::On), ("off", Encryption::Off), ("auto", Encryption::Auto)];
            conf.encryption = choose(value, &choices)?;
        }
        "RingKeyFile" => conf.ring_key_file = Some(value.to_owned()),
        "RingNumber" => conf.ring_number = number(value, 1, 999_999)?,
        "SessionQueueBytes" => conf.session_queue_bytes = number(value, 4096, 1 << 30)?,
        "SlowReader" => {
            gathered.slow_reader = Some(
                choose(value, &[("Block", "Block"), ("Disconnect", "Disconnect")])?.to_owned(),
            );
        }
        "SlowReaderTimeout" => gathered.slow_reader_timeout = Some(number(value, 1, 999_999)?),
        "UnixSocketDirectory" => conf.unix_socket_directory = value.to_owned(),
        _ => return Ok(false),
    }
    Ok(true)
}

/// How slow readers are treated: the original's way if its option is there and nothing else is said.
pub(crate) fn slow_reader(gathered: &Gathered) -> SlowReader {
    let disconnect = match gathered.slow_reader.as_deref() {
        Some(chosen) => chosen == "Disconnect",
        None => gathered.max_session_messages.is_some(),
    };
    if disconnect {
        SlowReader::Disconnect { messages: gathered.max_session_messages.unwrap_or(1000) }
    } else {
        SlowReader::Block { timeout_milliseconds: gathered.slow_reader_timeout.unwrap_or(10_000) }
    }
}

fn methods(value: &str) -> Vec<String> {
    // Unknown names are ignored, as in the original.
    let known = |name: &&str| ["NULL", "IP", "PWORD"].contains(name);
    value.split_whitespace().filter(known).map(str::to_owned).collect()
}

fn misfit<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Misfit> {
    Err((message.into(), help.into()))
}

fn number(value: &str, least: u32, most: u32) -> Result<u32, Misfit> {
    match value.parse::<u32>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(number) => misfit(
            format!("{number} is out of bounds"),
            format!("write a number from {least} to {most}"),
        ),
        Err(_) => misfit(
            format!("`{value}` is no number"),
            format!("write a number from {least} to {most}"),
        ),
    }
}

/// An address and a port to listen on; `None` is off.
fn endpoint(value: &str, example: &str) -> Result<Option<String>, Misfit> {
    if value.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    match value.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(Some(value.to_owned())),
        _ => misfit(
            format!("`{value}` is no address with a port"),
            format!("write ADDRESS:PORT as in `{example}` or `[::]:4805`, or off"),
        ),
    }
}

fn switch(value: &str) -> Result<bool, Misfit> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => misfit(format!("`{value}` is neither on nor off"), "write on or off"),
    }
}

fn choose<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, Misfit> {
    if let Some((_, chosen)) = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)) {
        return Ok(*chosen);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    misfit(format!("`{value}` is not one of the choices"), format!("write {}", names.join(" or ")))
}
