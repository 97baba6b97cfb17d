//! The daemons' configuration file, from the object and the places of its slots.

use spread_conf::{
    Conf, Encryption, LogFormat, Profile, RenderError, Segment, SlotConf, SlowReader, Timeouts,
};
use spread_operator_api::{ProfileType, SlowReaderType, SpreadCluster};

/// First line of the file.
const HEAD: &str = "# Written from the SpreadCluster object: edit that instead.\n";

/// Seconds that a slow reader is waited for when the object does not say.
const SLOW_READER_SECONDS: u32 = 10;

/// Messages that may wait for a slow reader when the object does not say.
const SLOW_READER_MESSAGES: u32 = 1000;

/// Where the daemon of a slot is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPlace {
    /// Name of the slot.
    pub name: String,
    /// Address or host name.
    pub host: String,
    /// TCP port of its clients; its ring packets use the UDP port of the same number.
    pub port: u16,
}

/// What a ring's configuration says beyond the object.
#[derive(Clone, Debug)]
pub struct RingConfig<'a> {
    /// The object.
    pub cluster: &'a SpreadCluster,
    /// Which ring of the cluster.
    pub ring_number: u32,
    /// All slots, spare ones too, in order.
    pub places: &'a [SlotPlace],
    /// File with the ring's keys. None: packets are not encrypted.
    pub key_file: Option<&'a str>,
    /// Where the daemon that reads this file answers administrators. None: nowhere. It is an option
    /// and not part of the topology, so files that differ in it make one ring.
    pub admin_endpoint: Option<&'a str>,
    /// Folder with the certificate of the admin endpoint. None: it speaks plain HTTP.
    pub admin_tls_directory: Option<&'a str>,
    /// Where the daemon answers for its health alone. None: nowhere.
    pub health_endpoint: Option<&'a str>,
    /// Folder of the Unix sockets.
    pub socket_directory: &'a str,
    /// Who may connect.
    pub access: Access,
    /// The log has a JSON object a line.
    pub json_log: bool,
}

/// Who may connect; files are relative to the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    #[default]
    Everybody,
    /// Who comes from an address that is listed.
    Addresses {
        /// The list.
        file: String,
    },
    /// Who knows a password.
    Passwords {
        /// Names and hashes.
        file: String,
    },
}

impl RingConfig<'_> {
    /// The text of the file. The topology is the same for all daemons of a ring.
    pub fn render(&self) -> Result<String, RenderError> {
        Ok(format!("{HEAD}{}", self.conf().render()?))
    }

    /// A segment per slot: the ring is unicast.
    fn conf(&self) -> Conf {
        let spec = &self.cluster.spec;
        let segment = |place: &SlotPlace| Segment { address: place.host.clone(), port: place.port };
        let slot = |(segment, place): (usize, &SlotPlace)| SlotConf {
            name: place.name.clone(),
            host: place.host.clone(),
            port: place.port,
            segment,
            interfaces: Vec::new(),
        };
        Conf {
            segments: self.places.iter().map(segment).collect(),
            slots: self.places.iter().enumerate().map(slot).collect(),
            ring_number: self.ring_number,
            cluster_uid: self.cluster.metadata.uid.clone().unwrap_or_default(),
            profile: match spec.profile.r#type {
                ProfileType::LAN => Profile::Lan,
                ProfileType::WAN => Profile::Wan,
                ProfileType::Custom => Profile::Custom,
            },
            timeouts: self.timeouts(),
            encryption: if self.key_file.is_some() { Encryption::On } else { Encryption::Off },
            ring_key_file: self.key_file.map(str::to_owned),
            admin_endpoint: self.admin_endpoint.map(str::to_owned),
            admin_tls_directory: self.admin_tls_directory.map(str::to_owned),
            health_endpoint: self.health_endpoint.map(str::to_owned),
            log_format: if self.json_log { LogFormat::Json } else { LogFormat::Text },
            unix_socket_directory: self.socket_directory.to_owned(),
            max_message_bytes: spec.limits.max_message_bytes,
            max_sessions: spec.limits.max_sessions,
            session_queue_bytes: spec.limits.session_queue_bytes,
            max_group_name_bytes: spec.limits.max_group_name_bytes,
            slow_reader: self.slow_reader(),
            ..self.with_access()
        }
    }

    fn with_access(&self) -> Conf {
        let method = |name: &str| vec![name.to_owned()];
        match &self.access {
            Access::Everybody => Conf::default(),
            Access::Addresses { file } => Conf {
                allowed_auth: method("IP"),
                access_ip_file: Some(file.clone()),
                ..Conf::default()
            },
            Access::Passwords { file } => Conf {
                allowed_auth: method("PWORD"),
                access_pword_file: Some(file.clone()),
                ..Conf::default()
            },
        }
    }

    fn slow_reader(&self) -> SlowReader {
        let slow = &self.cluster.spec.limits.slow_reader;
        match slow.r#type {
            SlowReaderType::Block => SlowReader::Block {
                timeout_milliseconds: slow
                    .timeout_seconds
                    .unwrap_or(SLOW_READER_SECONDS)
                    .saturating_mul(1000),
            },
            SlowReaderType::Disconnect => {
                SlowReader::Disconnect { messages: slow.messages.unwrap_or(SLOW_READER_MESSAGES) }
            }
        }
    }

    /// The nine timeouts of the file from the object's four: what happens inside one gathering has to
    /// fit into it several times.
    fn timeouts(&self) -> Option<Timeouts> {
        let profile = &self.cluster.spec.profile;
        let gather = profile.gather_timeout_milliseconds?;
        Some(Timeouts {
            token: profile.token_timeout_milliseconds?,
            hurry: profile.hurry_timeout_milliseconds?,
            alive: (gather / 5).max(1),
            join: (gather / 5).max(1),
            rep: (gather / 2).max(1),
            seg: (gather / 2).max(1),
            gather,
            form: gather,
            lookup: profile.lookup_timeout_milliseconds?,
        })
    }
}
