//! From the command line and spread.conf to what each part has to know.

use crate::cli::{Arguments, YesNo};
use crate::timers::timers;
use anyhow::{Context, Result, anyhow, bail};
use spread_conf::{AddressLine, Conf, Diagnostic, Severity, SlotConf, SlowReader};
use spread_engine::{EngineSettings, SlotDescription};
use spread_front::{
    AccessRule, Action, AddressRule, Authentication, FrontSettings, Operation, Passwords, Pattern,
};
use spread_ring::Windows;
use spread_seal::OVERHEAD_BYTES;
use spread_wire::frame::Layout;
use spread_wire::ids::{BootId, EndpointName, EndpointUid, RingNumber, Slot};
use spread_wire::service::Service;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Path of the usual network; a header of IPv6 and UDP is taken off.
const PATH_BYTES: usize = 1500;
const UDP_HEADER_BYTES: usize = 48;
/// A handshake has to be over after this long.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of requests that wait for the order before clients are no longer read.
const REQUEST_BYTES: usize = 4 << 20;

/// A configuration that was read without errors, and which slot is ours.
pub(crate) struct Loaded {
    pub(crate) file: PathBuf,
    pub(crate) conf: Conf,
    pub(crate) index: usize,
    pub(crate) detailed: bool,
}

/// Reads the configuration and finds the slot. Every mistake is shown, with its place.
pub(crate) fn load(arguments: &Arguments) -> Result<Loaded> {
    let file = arguments.conf.clone();
    let text = fs::read_to_string(&file)
        .with_context(|| format!("{} can't be read: name the file with -c", file.display()))?;
    let (conf, warnings) = match spread_conf::parse(&text) {
        Ok(read) => read,
        Err(found) => {
            show(&file, &text, &found);
            let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
            bail!("{} has {errors} mistake(s), shown above", file.display());
        }
    };
    show(&file, &text, &warnings);
    let index = find_slot(&conf, arguments.name.as_deref())?;
    Ok(Loaded { file, conf, index, detailed: arguments.log == YesNo::Y })
}

/// Draws findings as compilers do.
fn show(file: &Path, text: &str, found: &[Diagnostic]) {
    use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
    use std::io::IsTerminal as _;
    let renderer =
        if std::io::stderr().is_terminal() { Renderer::styled() } else { Renderer::plain() };
    let path = file.display().to_string();
    for finding in found {
        let level = if finding.severity == Severity::Error { Level::ERROR } else { Level::WARNING };
        let title = level.primary_title(finding.message.as_str());
        let help = Level::HELP.message(finding.help.as_str());
        let report: Group<'_> = if finding.span.is_empty() {
            title.element(help)
        } else {
            let snippet = Snippet::source(text).path(path.as_str());
            let snippet = snippet.annotation(AnnotationKind::Primary.span(finding.span.clone()));
            title.element(snippet).element(help)
        };
        eprintln!("{}", renderer.render(&[report]));
    }
}

fn find_slot(conf: &Conf, name: Option<&str>) -> Result<usize> {
    if let Some(name) = name {
        let names: Vec<&str> = conf.slots.iter().map(|slot| slot.name.as_str()).collect();
        let found = conf.slot_named(name).map(|(index, _)| index);
        return found
            .ok_or_else(|| anyhow!("no daemon is called {name}; listed are {}", names.join(", ")));
    }
    // An address is ours if a socket can be bound to it.
    let ours = |slot: &SlotConf| {
        slot.address().is_some_and(|address| std::net::UdpSocket::bind((address, 0)).is_ok())
    };
    conf.slots
        .iter()
        .position(ours)
        .context("no listed daemon has an address of this machine: name it with -n")
}

/// What ring, clients' side and admin endpoint start with.
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) index: usize,
    pub(crate) conf: Conf,
    pub(crate) boot: BootId,
    pub(crate) uid: EndpointUid,
    /// File of the ring's keys; `None`: packets go in the clear.
    pub(crate) keys: Option<PathBuf>,
    /// Folder of the admin endpoint's certificates; `None`: it speaks without TLS.
    pub(crate) admin_tls: Option<PathBuf>,
    /// Handshakes at the admin endpoint that failed.
    pub(crate) admin_refused: Arc<AtomicU64>,
    pub(crate) authentication: Authentication,
    pub(crate) access: Vec<AccessRule>,
    seed: u64,
}

impl Settings {
    /// Reads the files that the configuration names and draws this process's numbers.
    pub(crate) fn new(loaded: Loaded) -> Result<Self> {
        let Loaded { conf, index, file, .. } = loaded;
        let near = |name: &str| {
            let path = PathBuf::from(name);
            if path.is_absolute() {
                path
            } else {
                file.parent().unwrap_or(Path::new(".")).join(path)
            }
        };
        let keys = match &conf.ring_key_file {
            Some(name) if conf.seals() => Some(near(name)),
            _ => None,
        };
        let admin_tls = conf.admin_tls_directory.as_deref().map(near);
        let authentication = authentication(&conf, &near)?;
        let access = conf
            .access_rules
            .iter()
            .map(|rule| parse_rule(rule).with_context(|| format!("AccessRule = \"{rule}\"")))
            .collect::<Result<_>>()?;
        Ok(Self {
            name: conf.slots[index].name.clone(),
            boot: BootId(random()?),
            uid: EndpointUid(random()?),
            seed: random()? as u64,
            index,
            conf,
            keys,
            admin_tls,
            admin_refused: Arc::default(),
            authentication,
            access,
        })
    }

    pub(crate) fn slot(&self) -> &SlotConf {
        &self.conf.slots[self.index]
    }

    /// Where clients connect, for people.
    pub(crate) fn listens(&self) -> String {
        let slot = self.slot();
        let listed = slot.interfaces.iter().filter(|interface| interface.client);
        let mut hosts: Vec<String> =
            listed.map(|interface| format!("{}@{}", slot.port, interface.address)).collect();
        if hosts.is_empty() {
            hosts.push(format!("{}@{}", slot.port, slot.host));
        }
        format!("{} and {}", hosts.join(", "), self.unix_socket().display())
    }

    pub(crate) fn unix_socket(&self) -> PathBuf {
        Path::new(&self.conf.unix_socket_directory).join(self.slot().port.to_string())
    }

    /// Most bytes of a packet before it is sealed.
    pub(crate) fn packet_bytes(&self) -> usize {
        let path =
            self.conf.packet_bytes.map_or(PATH_BYTES - UDP_HEADER_BYTES, |bytes| bytes as usize);
        path - OVERHEAD_BYTES
    }

    pub(crate) fn ring(&self) -> spread_ring::Settings {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        spread_ring::Settings {
            ring: RingNumber(self.conf.ring_number),
            me: Slot(self.index as u16),
            boot: self.boot,
            slots: self.conf.slots.len() as u16,
            configuration_hash: self.conf.hash(),
            wall_clock_milliseconds: u64::try_from(now.as_millis()).unwrap_or(0),
            seed: self.seed,
            packet_bytes: self.packet_bytes(),
            timers: timers(&self.conf),
            windows: windows(&self.conf),
        }
    }

    pub(crate) fn engine(&self) -> EngineSettings {
        let describe = |(index, slot): (usize, &SlotConf)| SlotDescription {
            name: EndpointName(slot.name.clone().into()),
            vs_key: slot.vs_key(index),
        };
        EngineSettings {
            me: Slot(self.index as u16),
            slots: self.conf.slots.iter().enumerate().map(describe).collect(),
            bounds: spread_engine::Bounds::default(),
            lost_retention: spread_engine::LOST_RETENTION,
        }
    }

    pub(crate) fn front(&self) -> FrontSettings {
        let layout = Layout {
            name_bytes: (self.conf.max_group_name_bytes as usize + 1).max(32),
            message_bytes: self.conf.max_message_bytes as usize,
        };
        FrontSettings {
            name: EndpointName(self.name.clone().into()),
            uid: self.uid,
            seed: self.seed ^ 0x5eed,
            layout,
            sessions: self.conf.max_sessions as usize,
            session_queue_bytes: self.conf.session_queue_bytes as usize,
            request_bytes: REQUEST_BYTES,
            large_bytes: spread_front::LARGE_BYTES,
            part_bytes: spread_front::PART_BYTES,
            slow_reader: match self.conf.slow_reader {
                SlowReader::Block { timeout_milliseconds } => spread_front::SlowReader::Block {
                    timeout: Duration::from_millis(u64::from(timeout_milliseconds)),
                },
                SlowReader::Disconnect { messages } => {
                    spread_front::SlowReader::Disconnect { messages: messages as usize }
                }
            },
            handshake_timeout: HANDSHAKE_TIMEOUT,
            authentication: self.authentication.clone(),
            access: self.access.clone(),
            await_open: false,
            reattaches: false,
        }
    }
}

/// From the kernel: the generator of aws-lc measures the processor's jitter first, which was most of a daemon's start.
fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    let read = rustix::io::retry_on_intr(|| {
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
    });
    match read {
        Ok(length) if length == bytes.len() => Ok(u128::from_le_bytes(bytes)),
        // So few bytes come whole or not at all.
        Ok(length) => Err(anyhow!("the system gave {length} random bytes instead of 16")),
        Err(error) => Err(anyhow!(error).context("the system gave no random numbers")),
    }
}

/// Each session is a descriptor: takes as many as the system lets this process have, and says when that is not enough.
pub(crate) fn raise_descriptors(sessions: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Listeners, ring sockets, logs.
    const OTHERS: u64 = 64;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    let has = getrlimit(Resource::Nofile).current;
    if has.is_some_and(|has| has < u64::from(sessions) + OTHERS) {
        let has = has.unwrap_or(0);
        tracing::warn!(
            "MaxSessions is {sessions} and this process may open {has} files: sessions beyond wait; raise the limit (ulimit -n)"
        );
    }
}

fn windows(conf: &Conf) -> Windows {
    let mut windows = Windows {
        payload_bytes: conf.max_message_bytes as usize + (1 << 20),
        ..Windows::default()
    };
    let given = conf.windows;
    windows.window_packets = given.window.unwrap_or(windows.window_packets);
    windows.personal_packets =
        given.personal.unwrap_or(windows.personal_packets).min(windows.window_packets);
    windows.accelerated_packets = match given.accelerated_ring {
        Some(false) => 0,
        _ => given.accelerated.unwrap_or(windows.accelerated_packets).min(windows.personal_packets),
    };
    windows
}

fn authentication(conf: &Conf, near: &dyn Fn(&str) -> PathBuf) -> Result<Authentication> {
    let uses = |method: &str| {
        conf.allowed_auth.iter().chain(&conf.required_auth).any(|name| name == method)
    };
    let mut addresses = Vec::new();
    if uses("IP") {
        let path = near(conf.access_ip_file.as_deref().unwrap_or("spread.access_ip"));
        // As in the original: without the file every connection that is checked is refused.
        if let Ok(text) = fs::read_to_string(&path) {
            let lines = spread_conf::parse_access_ip(&text)
                .map_err(|error| anyhow!("{}: {error}", path.display()))?;
            addresses = lines
                .into_iter()
                .map(|line| match line {
                    AddressLine::Unix => AddressRule::Unix,
                    AddressLine::Local => AddressRule::Local,
                    AddressLine::Network(address, bits) => AddressRule::Network(address, bits),
                })
                .collect();
        }
    }
    let mut lines = Vec::new();
    if uses("PWORD") {
        let path = near(conf.access_pword_file.as_deref().unwrap_or("spread.access_pword"));
        let text = fs::read_to_string(&path)
            .with_context(|| format!("the users can't be read from {}", path.display()))?;
        lines = spread_conf::parse_access_pword(&text)
            .map_err(|error| anyhow!("{}: {error}", path.display()))?;
    }
    Ok(Authentication {
        allowed: conf.allowed_auth.clone(),
        required: conf.required_auth.clone(),
        addresses,
        passwords: Passwords { check: password_is_right, lines },
    })
}

/// Whether a user's password fits the hash in the file (classic DES crypt).
fn password_is_right(lines: &[(String, String)], user: &[u8], password: &[u8]) -> bool {
    lines
        .iter()
        .find(|(name, _)| name.as_bytes() == user)
        .is_some_and(|(_, hash)| pwhash::unix::verify(password, hash))
}

/// `deny join group=deny* user=* address=10.0.0.0/8 mess_type=666 service=SAFE`
fn parse_rule(text: &str) -> Result<AccessRule> {
    let mut words = text.split_whitespace();
    let action = match words.next() {
        Some("permit") => Action::Permit,
        Some("deny") => Action::Deny,
        _ => bail!("a rule begins with permit or deny"),
    };
    let mut rule = AccessRule {
        action,
        operation: None,
        user: None,
        address: None,
        group: None,
        mess_type: None,
        service: None,
    };
    for word in words {
        match word.split_once('=') {
            None => rule.operation = Some(operation(word)?),
            Some(("user", pattern)) => rule.user = Some(Pattern(pattern.to_owned())),
            Some(("group", pattern)) => rule.group = Some(Pattern(pattern.to_owned())),
            Some(("mess_type", number)) => {
                rule.mess_type =
                    Some(number.parse().context("mess_type is a number from -32768 to 32767")?);
            }
            Some(("service", name)) => rule.service = Some(service(name)?),
            Some(("address", network)) => rule.address = Some(network_of(network)?),
            Some((name, _)) => {
                bail!("`{name}` is not one of user, group, address, mess_type, service")
            }
        }
    }
    Ok(rule)
}

fn operation(word: &str) -> Result<Operation> {
    Ok(match word {
        "connect" => Operation::Connect,
        "join" => Operation::Join,
        "leave" => Operation::Leave,
        "send" => Operation::Send,
        _ => bail!("`{word}` is not one of connect, join, leave, send"),
    })
}

fn service(name: &str) -> Result<Service> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "UNRELIABLE" => Service::Unreliable,
        "RELIABLE" => Service::Reliable,
        "FIFO" => Service::Fifo,
        "CAUSAL" => Service::Causal,
        "AGREED" => Service::Agreed,
        "SAFE" => Service::Safe,
        _ => bail!("`{name}` is no service"),
    })
}

fn network_of(text: &str) -> Result<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().with_context(|| format!("`{address}` is no address"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = if bits.is_empty() { most } else { bits.parse()? };
    if bits > most {
        bail!("{bits} is more than {most} bits");
    }
    Ok((address, bits))
}

#[cfg(test)]
mod rule_tests {
    use super::*;

    #[test]
    fn rules_are_read_and_mistakes_named() {
        let rule = parse_rule("deny join group=deny* address=10.0.0.0/8").expect("right");
        assert_eq!((rule.action, rule.operation), (Action::Deny, Some(Operation::Join)));
        assert_eq!(rule.address.map(|(_, bits)| bits), Some(8));
        for wrong in
            ["allow", "deny fly", "deny colour=red", "deny address=10.0.0.0/33", "deny mess_type=x"]
        {
            assert!(parse_rule(wrong).is_err(), "{wrong}");
        }
    }
}
