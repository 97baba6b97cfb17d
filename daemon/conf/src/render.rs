//! A [`Conf`] as the text of a file.

use crate::address::{split_port, with_port};
use crate::model::{
    Conf, Encryption, Interface, LogFormat, Profile, SlotConf, SlowReader, Timeouts,
};
use crate::options::TIMEOUTS;
use crate::parse::parse;
use core::net::IpAddr;
use thiserror::Error;

/// The configuration has a value that no file can say; nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the configuration can't be written as a file: {0}")]
pub struct RenderError(String);

impl Conf {
    /// The text of a file that [`parse`] reads as an equal configuration: it was read again to be sure.
    pub fn render(&self) -> Result<String, RenderError> {
        let mut lines = Lines::default();
        self.render_ring(&mut lines);
        self.render_sessions(&mut lines);
        self.render_multicast(&mut lines);
        self.render_process(&mut lines);
        self.render_segments(&mut lines);
        if let Some(value) = lines.unwritable {
            return Err(RenderError(format!("no quotes fit around {value:?}")));
        }
        match parse(&lines.text) {
            Ok((read, _)) if read == *self => Ok(lines.text),
            Ok((read, _)) => Err(RenderError(format!("{self:?} would be read as {read:?}"))),
            Err(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                Err(RenderError(found.join("; ")))
            }
        }
    }

    fn render_ring(&self, lines: &mut Lines) {
        lines.option("RingNumber", self.ring_number);
        if !self.cluster_uid.is_empty() {
            lines.text("ClusterUid", &self.cluster_uid);
        }
        lines.option(
            "RingEncryption",
            match self.encryption {
                Encryption::On => "on",
                Encryption::Off => "off",
                Encryption::Auto => "auto",
            },
        );
        lines.texts("RingKeyFile", self.ring_key_file.as_slice());
        lines.option(
            "Profile",
            match self.profile {
                Profile::Lan => "LAN",
                Profile::Wan => "WAN",
                Profile::Custom => "custom",
            },
        );
        if let Some(timeouts) = self.timeouts {
            let Timeouts { token, hurry, alive, join, rep, seg, gather, form, lookup } = timeouts;
            let given = [token, hurry, alive, join, rep, seg, gather, form, lookup];
            for (name, milliseconds) in TIMEOUTS.iter().zip(given) {
                lines.option(name, milliseconds);
            }
        }
        let windows = self.windows;
        lines.options("Window", windows.window);
        lines.options("PersonalWindow", windows.personal);
        lines.options("AcceleratedWindow", windows.accelerated);
        let accelerated = windows.accelerated_ring.map(|on| if on { "on" } else { "off" });
        lines.options("AcceleratedRing", accelerated);
        lines.options("PacketBytes", self.packet_bytes);
    }

    fn render_sessions(&self, lines: &mut Lines) {
        lines.option("MaxMessageBytes", self.max_message_bytes);
        lines.option("MaxSessions", self.max_sessions);
        lines.option("SessionQueueBytes", self.session_queue_bytes);
        lines.option("MaxGroupNameBytes", self.max_group_name_bytes);
        match self.slow_reader {
            SlowReader::Block { timeout_milliseconds } => {
                lines.option("SlowReader", "Block");
                lines.option("SlowReaderTimeout", timeout_milliseconds);
            }
            SlowReader::Disconnect { messages } => {
                lines.option("SlowReader", "Disconnect");
                lines.option("MaxSessionMessages", messages);
            }
        }
        // The offered methods come first: alone, the required ones would disable NULL.
        lines.text("AllowedAuthMethods", &self.allowed_auth.join(" "));
        if !self.required_auth.is_empty() {
            lines.text("RequiredAuthMethods", &self.required_auth.join(" "));
        }
        lines.texts("AccessIpFile", self.access_ip_file.as_slice());
        lines.texts("AccessPwordFile", self.access_pword_file.as_slice());
        lines.texts("AccessRule", &self.access_rules);
    }

    fn render_multicast(&self, lines: &mut Lines) {
        if self.multicast {
            lines.option("RingMulticast", "on");
        }
    }

    fn render_process(&self, lines: &mut Lines) {
        lines.texts("AdminEndpoint", self.admin_endpoint.as_slice());
        lines.texts("AdminTlsDirectory", self.admin_tls_directory.as_slice());
        lines.texts("HealthEndpoint", self.health_endpoint.as_slice());
        lines.text("UnixSocketDirectory", &self.unix_socket_directory);
        lines.option("LogFormat", if self.log_format == LogFormat::Json { "json" } else { "text" });
        lines.texts("EventLogFile", self.event_log_file.as_slice());
        lines.option("EventPriority", &self.event_priority);
        for statement in &self.without_effect {
            lines.line(&statement.text);
        }
    }

    fn render_segments(&self, lines: &mut Lines) {
        let port_of = |slot: &SlotConf| self.segments.get(slot.segment).map(|known| known.port);
        if self.slots.iter().any(|slot| port_of(slot) != Some(slot.port)) {
            lines.option("DaemonPorts", "on");
        }
        for (index, segment) in self.segments.iter().enumerate() {
            let address = with_port(&segment.address, segment.port);
            lines.line(&format!("\nSpread_Segment {address} {{"));
            for slot in self.slots.iter().filter(|slot| slot.segment == index) {
                lines.line(&format!("    {}", daemon(slot)));
            }
            lines.line("}");
        }
    }
}

/// `name host:port { interfaces }`. The port is always there: it makes the second word an address.
fn daemon(slot: &SlotConf) -> String {
    let mut text = slot.name.clone();
    let address = with_port(&slot.host, slot.port);
    // A name may have a colon; then it can't be repeated as a host.
    if slot.name != slot.host || split_port(&address).is_some() {
        text += " ";
        text += &address;
    }
    if !slot.interfaces.is_empty() {
        let interfaces: Vec<String> = slot.interfaces.iter().map(interface).collect();
        text += &format!(" {{ {} }}", interfaces.join(" "));
    }
    text
}

fn interface(interface: &Interface) -> String {
    let letters = match (interface.client, interface.daemon) {
        (true, true) => "C D",
        (true, false) => "C",
        (false, true) => "D",
        (false, false) => "M",
    };
    match interface.address {
        IpAddr::V4(address) => format!("{letters} {address}"),
        IpAddr::V6(address) => format!("{letters} [{address}]"),
    }
}

#[derive(Default)]
struct Lines {
    text: String,
    /// A string that has both kinds of quotes and no word's form either.
    unwritable: Option<String>,
}

impl Lines {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text += "\n";
    }

    fn option(&mut self, name: &str, value: impl ToString) {
        self.line(&format!("{name} = {}", value.to_string()));
    }

    fn options(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.option(name, value);
        }
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.contains('"') {
            self.option(name, format!("\"{value}\""));
        } else if !value.contains('\'') {
            self.option(name, format!("'{value}'"));
        } else if !value.starts_with(['"', '\'']) && !value.contains(ENDS_A_WORD) {
            self.option(name, value);
        } else {
            self.unwritable = Some(value.to_owned());
        }
    }

    fn texts(&mut self, name: &str, values: &[String]) {
        for value in values {
            self.text(name, value);
        }
    }
}

const ENDS_A_WORD: [char; 8] = [' ', '\t', '\r', '\n', '#', '{', '}', '='];
