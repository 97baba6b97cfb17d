//! The daemons' configuration file, from the object and the places of its slots.

use spread_operator_api::{ProfileType, SlowReaderType, SpreadCluster};

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
    /// Folder of the Unix sockets.
    pub socket_directory: &'a str,
}

impl RingConfig<'_> {
    /// The text of the file. The topology is the same for all daemons of a ring.
    pub fn render(&self) -> String {
        let mut lines = vec![
            "# Written from the SpreadCluster object: edit that instead.".to_owned(),
            "DaemonPorts = on".to_owned(),
            format!("RingNumber = {}", self.ring_number),
            format!("UnixSocketDirectory = \"{}\"", self.socket_directory),
        ];
        match self.key_file {
            Some(file) => lines.push(format!("RingEncryption = on\nRingKeyFile = \"{file}\"")),
            None => lines.push("RingEncryption = off".to_owned()),
        }
        if let Some(endpoint) = self.admin_endpoint {
            lines.push(format!("AdminEndpoint = \"{endpoint}\""));
        }
        self.options(&mut lines);
        let mut text = lines.join("\n");
        text.push('\n');
        self.segments(&mut text);
        text
    }

    fn options(&self, lines: &mut Vec<String>) {
        let limits = &self.cluster.spec.limits;
        if self.cluster.spec.profile.r#type == ProfileType::WAN {
            lines.push("Profile = WAN".to_owned());
        } else {
            lines.push("Profile = LAN".to_owned());
        }
        lines.push(format!("MaxMessageBytes = {}", limits.max_message_bytes));
        lines.push(format!("MaxSessions = {}", limits.max_sessions));
        lines.push(format!("SessionQueueBytes = {}", limits.session_queue_bytes));
        lines.push(format!("MaxGroupNameBytes = {}", limits.max_group_name_bytes));
        match limits.slow_reader.r#type {
            SlowReaderType::Block => {
                let seconds = limits.slow_reader.timeout_seconds.unwrap_or(10);
                lines.push(format!(
                    "SlowReader = Block\nSlowReaderTimeout = {}",
                    u64::from(seconds) * 1000
                ));
            }
            SlowReaderType::Disconnect => {
                let messages = limits.slow_reader.messages.unwrap_or(1000);
                lines.push(format!("SlowReader = Disconnect\nMaxSessionMessages = {messages}"));
            }
        }
    }

    /// A segment per slot: the ring is unicast.
    fn segments(&self, text: &mut String) {
        for SlotPlace { name, host, port } in self.places {
            let line = format!("\nSpread_Segment {host}:{port} {{\n    {name} {host}:{port}\n}}\n");
            text.push_str(&line);
        }
        let spare = self.places.len();
        text.push_str(&format!("\n# {spare} slots; those without a daemon are spare.\n"));
    }
}
