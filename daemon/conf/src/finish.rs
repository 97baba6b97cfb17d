//! What can be judged only when the whole file was read.

use crate::diagnostic::Diagnostic;
use crate::model::{Encryption, Profile, Timeouts};
use crate::options::{self, TIMEOUTS};
use crate::parse::Parser;
use core::ops::Range;

/// Most slots of one ring.
const SLOTS: usize = 1024;

impl Parser<'_> {
    pub(crate) fn finish(&mut self) {
        self.finish_slots();
        let wide = if self.conf.is_wide() { Profile::Wan } else { Profile::Lan };
        self.conf.profile = self.gathered.profile.unwrap_or(wide);
        self.finish_timeouts();
        self.finish_profile();
        self.finish_windows();
        self.conf.slow_reader = options::slow_reader(&self.gathered);
        self.finish_encryption();
        self.finish_multicast();
        self.finish_endpoints();
    }

    fn finish_slots(&mut self) {
        if self.conf.slots.is_empty() && self.found.is_empty() {
            let end = self.text.len()..self.text.len();
            self.error(
                end,
                "no daemon is listed",
                "write `Spread_Segment 127.0.0.255:4803 { localhost 127.0.0.1 }`",
            );
        }
        if self.conf.slots.len() > SLOTS {
            let span = self.places[SLOTS].1.clone();
            self.error(span, format!("more than {SLOTS} daemons are listed"), "list fewer");
        }
        if self.gathered.daemon_ports {
            for (slot, (port, _)) in self.conf.slots.iter_mut().zip(&self.places) {
                slot.port = port.unwrap_or(slot.port);
            }
        }
    }

    fn finish_timeouts(&mut self) {
        let given: Vec<u32> =
            self.gathered.timeouts.iter().filter_map(|timeout| *timeout).collect();
        match given[..] {
            [] => {}
            [token, hurry, alive, join, rep, seg, gather, form, lookup] => {
                self.conf.timeouts =
                    Some(Timeouts { token, hurry, alive, join, rep, seg, gather, form, lookup });
            }
            _ => {
                let missing: Vec<&str> = TIMEOUTS
                    .iter()
                    .zip(&self.gathered.timeouts)
                    .filter(|(_, value)| value.is_none())
                    .map(|(name, _)| *name)
                    .collect();
                let message =
                    format!("some timeouts are given and others are not: {}", missing.join(", "));
                self.error(self.first_of(&TIMEOUTS), message, "give all nine, or none");
            }
        }
    }

    /// The nine timeouts count under `Profile = custom` only: a file for the original was tuned to other
    /// algorithms, and its numbers would make this ring slower to find a crash than its own defaults.
    fn finish_profile(&mut self) {
        let custom = self.conf.profile == Profile::Custom;
        match self.conf.timeouts {
            None if custom && self.gathered.timeouts == [None; 9] => {
                let help = format!("give all nine: {}", TIMEOUTS.join(", "));
                self.error(self.first_of(&["Profile"]), "the custom profile has no timeouts", help);
            }
            None => {}
            Some(_) if !custom => {
                let profile = if self.conf.profile == Profile::Wan { "WAN" } else { "LAN" };
                let message = format!(
                    "the nine timeouts are not used: the timers are those of the {profile} profile"
                );
                let help = "leave them out, or write `Profile = custom` to have all but \
                            AliveTimeout and RepTimeout used";
                self.warn(self.first_of(&TIMEOUTS), message, help);
            }
            Some(timeouts) => {
                if timeouts.hurry >= timeouts.token {
                    let message = "HurryTimeout is not below TokenTimeout";
                    let help = "make it smaller: a token is hurried before it counts as lost";
                    self.error(self.first_of(&["HurryTimeout"]), message, help);
                }
                if timeouts.join >= timeouts.gather {
                    let message = "JoinTimeout is not below GatherTimeout";
                    let help = "make it smaller: a daemon answers before it counts as silent";
                    self.error(self.first_of(&["JoinTimeout"]), message, help);
                }
            }
        }
    }

    fn finish_windows(&mut self) {
        let windows = self.conf.windows;
        let (window, personal) = (windows.window.unwrap_or(160), windows.personal.unwrap_or(20));
        if personal > window && (windows.window.is_some() || windows.personal.is_some()) {
            let span = self.first_of(&["PersonalWindow", "Window"]);
            self.error(span, "PersonalWindow is larger than Window", "make it smaller");
        }
        let accelerated = windows.accelerated.unwrap_or(15.min(personal));
        if windows.accelerated_ring == Some(true) && accelerated > personal {
            let span = self.first_of(&["AcceleratedWindow"]);
            self.error(span, "AcceleratedWindow is larger than PersonalWindow", "make it smaller");
        }
    }

    fn finish_encryption(&mut self) {
        if self.conf.seals() && self.conf.ring_key_file.is_none() {
            let span = self.first_of(&["RingEncryption"]);
            let help = "name the file as RingKeyFile, or write `RingEncryption = off`";
            self.error(span, "RingEncryption is on and there is no key", help);
        }
        if !self.conf.seals()
            && self.conf.encryption == Encryption::Auto
            && self.conf.slots.len() > 1
        {
            let message = "ring packets are neither encrypted nor authenticated";
            self.warn(0..0, message, "name a RingKeyFile, or write `RingEncryption = off`");
        }
    }

    fn finish_multicast(&mut self) {
        if self.conf.multicast && self.conf.multicast_group().is_none() {
            let message = "the daemons have no multicast address in common";
            let help = "list all in one segment with a multicast address, as in \
                        `Spread_Segment 225.0.1.1:4803 { d0 10.0.0.1 d1 10.0.0.2 }`, without \
                        ports of their own and with IPv4 addresses; or write `RingMulticast = off`";
            self.error(self.first_of(&["RingMulticast"]), message, help);
        }
    }

    fn finish_endpoints(&mut self) {
        let misread = self.found.iter().any(|one| one.message.starts_with("AdminEndpoint:"));
        let admin = self.conf.admin_endpoint.is_some() || misread;
        if self.conf.admin_tls_directory.is_some() && !admin {
            let message = "AdminTlsDirectory is given and there is no admin endpoint";
            let help = "write `AdminEndpoint = ADDRESS:PORT` too, or leave the directory out";
            self.error(self.first_of(&["AdminTlsDirectory"]), message, help);
        }
        let health = self.conf.health_endpoint.as_ref();
        if health.is_some() && health == self.conf.admin_endpoint.as_ref() {
            let message = "HealthEndpoint and AdminEndpoint are the same";
            let help = "give each a port of its own; AdminEndpoint has /healthz and /readyz too";
            self.error(self.first_of(&["HealthEndpoint"]), message, help);
        }
    }

    /// Where the first of these options stands, by its place in the file.
    fn first_of(&self, names: &[&str]) -> Range<usize> {
        let places = names.iter().filter_map(|name| self.options.get(*name));
        places.min_by_key(|span| span.start).cloned().unwrap_or(0..0)
    }

    fn warn(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::new(self.text, span, message, help).warning());
    }
}
