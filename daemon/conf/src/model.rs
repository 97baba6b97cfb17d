//! A configuration as the daemon starts with it.

use core::net::{IpAddr, Ipv4Addr, SocketAddrV4};

/// Milliseconds of the nine timeouts; all or none are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// No token for so long: the token is lost.
    pub token: u32,
    /// An idle token is sent round after so long.
    pub hurry: u32,
    /// Interval of announcements while gathering.
    pub alive: u32,
    /// Interval of joins.
    pub join: u32,
    /// Silence of a representative.
    pub rep: u32,
    /// Time to collect the own segment.
    pub seg: u32,
    /// Time to collect everybody.
    pub gather: u32,
    /// Time to form.
    pub form: u32,
    /// Interval of probes for daemons outside the ring.
    pub lookup: u32,
}

/// Named timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One data centre.
    Lan,
    /// Far apart.
    Wan,
    /// From the nine timeouts of the original, where they have a counterpart.
    Custom,
}

/// Packets in flight; `None`: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// All daemons together, per token round.
    pub window: Option<u32>,
    /// One daemon, per visit.
    pub personal: Option<u32>,
    /// After the token was passed on.
    pub accelerated: Option<u32>,
    /// `false`: none after the token.
    pub accelerated_ring: Option<bool>,
}

/// What becomes of a session that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowReader {
    /// It pushes back, and is ended when its queue was full for `timeout_milliseconds`.
    Block {
        /// How long.
        timeout_milliseconds: u32,
    },
    /// It is ended when so many messages wait.
    Disconnect {
        /// How many.
        messages: u32,
    },
}

/// Whether ring packets are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// They are; a key file is needed.
    On,
    /// They are not.
    Off,
    /// They are if there is a key file.
    Auto,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// An address a daemon listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Client connections.
    pub client: bool,
    /// Ring packets.
    pub daemon: bool,
    /// Where.
    pub address: IpAddr,
}

/// A segment: broadcast or multicast address, port, its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address, or a name.
    pub address: String,
    /// Port of its daemons.
    pub port: u16,
}

/// A slot: a daemon's place, vacant or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotConf {
    /// Name of the daemon.
    pub name: String,
    /// Address or host name.
    pub host: String,
    /// Port of client connections and of ring packets.
    pub port: u16,
    /// Which segment.
    pub segment: usize,
    /// Where it listens; empty: on any address.
    pub interfaces: Vec<Interface>,
}

impl SlotConf {
    /// The host as an address, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Key that orders vs-sets: the IPv4 address as a signed number, as clients of the original know it.
    #[must_use]
    pub fn vs_key(&self, index: usize) -> i64 {
        match self.address() {
            Some(IpAddr::V4(address)) => i64::from(address.to_bits() as i32),
            _ => (1 << 40) + index as i64,
        }
    }
}

/// An option as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub name: String,
    /// All of it: the name and what it was given.
    pub text: String,
}

/// Everything a configuration file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// Segments in file order.
    pub segments: Vec<Segment>,
    /// Slots in file order.
    pub slots: Vec<SlotConf>,
    /// Methods offered to clients.
    pub allowed_auth: Vec<String>,
    /// Methods every client has to pass.
    pub required_auth: Vec<String>,
    /// File of the method IP.
    pub access_ip_file: Option<String>,
    /// File of the method PWORD.
    pub access_pword_file: Option<String>,
    /// Access rules as written, in order.
    pub access_rules: Vec<String>,
    /// Windows.
    pub windows: Windows,
    /// The nine timeouts of the original, if given; used in the custom profile only.
    pub timeouts: Option<Timeouts>,
    /// Timers.
    pub profile: Profile,
    /// Which ring of the cluster.
    pub ring_number: u32,
    /// Name of the cluster in packet keys.
    pub cluster_uid: String,
    /// Sealing.
    pub encryption: Encryption,
    /// Whether packets for all go out once, to the multicast address of the one segment.
    pub multicast: bool,
    /// File with the ring's keys.
    pub ring_key_file: Option<String>,
    /// Admin HTTP endpoint, an address and a port: `None` is off.
    pub admin_endpoint: Option<String>,
    /// Folder with `tls.crt`, `tls.key` and `ca.crt`: the admin endpoint then speaks mutual TLS.
    pub admin_tls_directory: Option<String>,
    /// HTTP endpoint with health and readiness only, an address and a port: `None` is off.
    pub health_endpoint: Option<String>,
    /// Folder of Unix sockets.
    pub unix_socket_directory: String,
    /// Bytes of header, groups and body.
    pub max_message_bytes: u32,
    /// Sessions of one daemon.
    pub max_sessions: u32,
    /// Bytes that may wait for a session.
    pub session_queue_bytes: u32,
    /// Bytes of a group name, without its NUL.
    pub max_group_name_bytes: u32,
    /// Slow readers.
    pub slow_reader: SlowReader,
    /// Bytes of a UDP packet; `None`: from the usual path.
    pub packet_bytes: Option<u32>,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// File for log lines; `None`: standard output.
    pub event_log_file: Option<String>,
    /// Lowest level logged.
    pub event_priority: String,
    /// Options of the original that are read and have no effect here.
    pub without_effect: Vec<Statement>,
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            segments: Vec::new(),
            slots: Vec::new(),
            allowed_auth: vec!["NULL".into()],
            required_auth: Vec::new(),
            access_ip_file: None,
            access_pword_file: None,
            access_rules: Vec::new(),
            windows: Windows::default(),
            timeouts: None,
            profile: Profile::Lan,
            ring_number: 1,
            cluster_uid: String::new(),
            encryption: Encryption::Auto,
            multicast: false,
            ring_key_file: None,
            admin_endpoint: None,
            admin_tls_directory: None,
            health_endpoint: None,
            unix_socket_directory: "/tmp".into(),
            max_message_bytes: 16 << 20,
            max_sessions: 10_000,
            session_queue_bytes: 4 << 20,
            max_group_name_bytes: 31,
            slow_reader: SlowReader::Block { timeout_milliseconds: 10_000 },
            packet_bytes: None,
            log_format: LogFormat::Text,
            event_log_file: None,
            event_priority: "INFO".into(),
            without_effect: Vec::new(),
        }
    }
}

impl Conf {
    /// The slot of this name, with its index.
    #[must_use]
    pub fn slot_named(&self, name: &str) -> Option<(usize, &SlotConf)> {
        self.slots.iter().enumerate().find(|(_, slot)| slot.name == name)
    }

    /// Hash (FNV-1a) of what all daemons of a ring have to agree on: names, places and order of the slots, and the ring number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut text = format!("ring {}\n", self.ring_number);
        for slot in &self.slots {
            text += &format!("{} {} {} {}\n", slot.name, slot.host, slot.port, slot.segment);
        }
        if self.multicast {
            // Who does not listen there would miss what is sent to all.
            text += "multicast\n";
        }
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// Multicast address and port of all slots, where that is how packets for all are sent.
    #[must_use]
    pub fn multicast_group(&self) -> Option<SocketAddrV4> {
        let segment = self.segments.first().filter(|_| self.multicast)?;
        let address: Ipv4Addr = segment.address.parse().ok()?;
        let common = self.slots.iter().all(|slot| {
            slot.port == segment.port
                && matches!(slot.address(), Some(IpAddr::V4(_)))
                && self.segments.get(slot.segment) == Some(segment)
        });
        (address.is_multicast() && common).then(|| SocketAddrV4::new(address, segment.port))
    }

    /// Whether ring packets are sealed.
    #[must_use]
    pub fn seals(&self) -> bool {
        match self.encryption {
            Encryption::On => true,
            Encryption::Off => false,
            Encryption::Auto => self.ring_key_file.is_some(),
        }
    }

    /// The network counts as wide if the first daemons of two segments differ in the upper half of their addresses.
    pub(crate) fn is_wide(&self) -> bool {
        let firsts: Vec<Ipv4Addr> = (0..self.segments.len())
            .filter_map(|segment| self.slots.iter().find(|slot| slot.segment == segment))
            .filter_map(|slot| match slot.address() {
                Some(IpAddr::V4(address)) => Some(address),
                _ => None,
            })
            .collect();
        firsts.windows(2).any(|pair| pair[0].to_bits() >> 16 != pair[1].to_bits() >> 16)
    }
}

/// How a new configuration differs from an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Takes effect while running: the option's name.
    Live(String),
    /// Needs one membership change: a slot comes or goes.
    Membership(String),
    /// Needs a new ring: what an existing slot is would change.
    NewRing(String),
}

/// All differences, the gravest last.
#[must_use]
pub fn compare(old: &Conf, new: &Conf) -> Vec<Difference> {
    let mut found = Vec::new();
    let bare = |conf: &Conf| Conf {
        segments: Vec::new(),
        slots: Vec::new(),
        ring_number: 0,
        ..conf.clone()
    };
    if bare(old) != bare(new) {
        found.push(Difference::Live("options".into()));
    }
    for slot in &new.slots {
        if old.slot_named(&slot.name).is_none() {
            found.push(Difference::Membership(slot.name.clone()));
        }
    }
    for slot in &old.slots {
        match new.slot_named(&slot.name) {
            None => found.push(Difference::Membership(slot.name.clone())),
            Some((_, other)) if (&other.host, other.port) != (&slot.host, slot.port) => {
                found.push(Difference::NewRing(slot.name.clone()));
            }
            Some(_) => {}
        }
    }
    if old.ring_number != new.ring_number {
        found.push(Difference::NewRing("RingNumber".into()));
    }
    found
}
