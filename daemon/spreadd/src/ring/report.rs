//! What the ring's side tells the admin endpoint.

use super::Driver;
use crate::snapshot::{Group, Member, Occupant};
use spread_wire::ids::GroupName;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

impl Driver {
    /// Groups with most members, the largest first; none where there are too many to look at all of them so often.
    fn largest_groups(&self) -> Vec<Group> {
        const LOOKED_AT: usize = 10_000;
        const LISTED: usize = 50;
        let groups = &self.daemon.engine().state().groups;
        let mut all: Vec<_> = groups.iter().filter(|_| groups.len() <= LOOKED_AT).collect();
        all.sort_by_key(|(_, group)| core::cmp::Reverse(group.members.len()));
        let listed = all.into_iter().take(LISTED);
        let group = |(name, group): (&GroupName, &spread_engine::Group)| Group {
            name: name.to_string(),
            members: group.members.len(),
        };
        listed.map(group).collect()
    }

    pub(super) fn write_snapshot(&self) {
        let (ring, counters, engine) =
            (self.daemon.ring_status(), self.daemon.ring_counters().clone(), self.daemon.status());
        let uptime = self.clock.0.elapsed().as_secs();
        let largest = self.largest_groups();
        self.snapshots.update(|status| {
            status.phase = format!("{:?}", ring.phase);
            status.slot_claimed = ring.occupant.map(|occupant| Occupant {
                boot: format!("{:?}", occupant.daemon.boot),
                claim: occupant.daemon.claim.0,
                address: occupant.at.map(|at| at.to_string()),
            });
            status.configuration =
                ring.configuration.map(|id| format!("{}.{}.{:?}", id.ring.0, id.epoch, id.boot));
            status.members = ring
                .members
                .iter()
                .map(|member| Member {
                    name: self.names.get(usize::from(member.slot.0)).cloned().unwrap_or_default(),
                    boot: format!("{:?}", member.boot),
                    claim: member.claim.0,
                })
                .collect();
            (status.sequence, status.aru, status.stable) = (ring.seq, ring.aru, ring.stable);
            (status.groups, status.sessions_in_component) = (engine.groups, engine.sessions);
            status.largest_groups = largest;
            status.key_id = self.seal.active();
            status.key_ids.clone_from(&self.key_ids);
            status.uptime_seconds = uptime;
            let count = |name: &str, value: u64| (name.to_owned(), value);
            status.counters = BTreeMap::from([
                count("packets_sent", counters.packets_sent),
                count("packets_received", counters.packets_received),
                count("packets_ordered", counters.packets_ordered),
                count("packets_unsent", self.socket.unsent),
                count("payloads_delivered", counters.payloads_delivered),
                count("retransmissions", counters.retransmissions),
                count("duplicates", counters.duplicates),
                count("token_visits", counters.token_visits),
                count("token_resends", counters.token_resends),
                count("configurations", counters.configurations),
                count("backlog_bytes", counters.backlog_bytes),
                count("stalls", self.stalls.count),
                count("stalled_milliseconds", self.stalls.milliseconds),
            ]);
            status.counters.extend(
                counters.gatherings.iter().map(|(reason, value)| {
                    (format!("gatherings_{reason:?}").to_lowercase(), *value)
                }),
            );
            let refused = counters.refused.iter().map(|(why, value)| (format!("{why:?}"), *value));
            let sealed = self.opened.iter().map(|(why, value)| (format!("{why:?}"), *value));
            status.refused = refused.chain(sealed).collect();
            let refused = self.admin_refused.load(Ordering::Relaxed);
            status.refused.insert("AdminHandshake".to_owned(), refused);
        });
        self.snapshots.ring_loop.answer();
    }
}
