//! What a ring promises, judged over the histories of all daemons.

use super::{Network, Seen};
use bytes::Bytes;
use spread_ring::{Configuration, ConfigurationKind};
use spread_wire::ids::{BootId, ConfigurationId, Position};
use std::collections::{BTreeMap, BTreeSet};

pub fn check(network: &Network) {
    same_place_same_payload(network);
    no_duplicate(network);
    configuration_members(network);
    virtual_synchrony(network);
    self_delivery(network);
    safe(network);
}

/// One position holds one payload at every daemon, and positions rise at each.
fn same_place_same_payload(network: &Network) {
    let mut places: BTreeMap<Position, Bytes> = BTreeMap::new();
    for (slot, _, _, seen, _) in network.histories() {
        let mut last: Option<Position> = None;
        for entry in seen {
            let Seen::Deliver(delivery) = entry else { continue };
            assert!(
                last < Some(delivery.position),
                "d{slot}: {:?} after {last:?}",
                delivery.position
            );
            last = Some(delivery.position);
            let known = places.entry(delivery.position).or_insert_with(|| delivery.payload.clone());
            assert_eq!(*known, delivery.payload, "d{slot} at {:?}", delivery.position);
        }
    }
}

fn no_duplicate(network: &Network) {
    for (slot, _, _, seen, _) in network.histories() {
        let mut payloads = BTreeSet::new();
        for entry in seen {
            if let Seen::Deliver(delivery) = entry {
                assert!(
                    payloads.insert(delivery.payload.clone()),
                    "d{slot} twice: {:?}",
                    delivery.payload
                );
            }
        }
    }
}

/// One member list per configuration id; every installing daemon is in it.
fn configuration_members(network: &Network) {
    let mut lists: BTreeMap<ConfigurationId, Configuration> = BTreeMap::new();
    for (slot, boot, _, seen, _) in network.histories() {
        for entry in seen {
            let Seen::Install(configuration) = entry else { continue };
            assert!(
                configuration.members.iter().any(|m| m.boot == boot),
                "d{slot} not in {configuration:?}"
            );
            if configuration.kind == ConfigurationKind::Regular {
                let known = lists.entry(configuration.id).or_insert_with(|| configuration.clone());
                assert_eq!(known.members, configuration.members, "d{slot}");
            }
        }
    }
}

type Steps = BTreeMap<(ConfigurationId, ConfigurationId), BTreeMap<BootId, Vec<(bool, Bytes)>>>;

/// Those that pass from one regular configuration to the next together deliver the same, in the same order, on the same
/// side of the transitional configuration.
fn virtual_synchrony(network: &Network) {
    let mut steps: Steps = BTreeMap::new();
    for (_, boot, _, seen, _) in network.histories() {
        let (mut from, mut delivered, mut after) = (None, Vec::new(), false);
        for entry in seen {
            match entry {
                Seen::Deliver(delivery) => delivered.push((after, delivery.payload.clone())),
                Seen::Install(c) if c.kind == ConfigurationKind::Transitional => after = true,
                Seen::Install(c) => {
                    if let Some(from) = from {
                        let delivered = core::mem::take(&mut delivered);
                        steps.entry((from, c.id)).or_default().insert(boot, delivered);
                    }
                    delivered.clear();
                    (from, after) = (Some(c.id), false);
                }
            }
        }
    }
    for (step, sets) in steps {
        let mut all = sets.iter();
        let Some((first, expected)) = all.next() else { continue };
        for (boot, delivered) in all {
            // Where the transitional configuration starts may differ for what only one knew to be stable.
            let strip = |list: &[(bool, Bytes)]| {
                list.iter().map(|(_, payload)| payload.clone()).collect::<Vec<_>>()
            };
            assert_eq!(strip(expected), strip(delivered), "{first:?} and {boot:?} from {step:?}");
        }
    }
}

/// A daemon that lives delivers all it submitted, or still has it in its backlog.
fn self_delivery(network: &Network) {
    for (slot, _, alive, seen, submitted) in network.histories() {
        if !alive {
            continue;
        }
        let delivered: BTreeSet<&Bytes> = seen
            .iter()
            .filter_map(|entry| match entry {
                Seen::Deliver(delivery) => Some(&delivery.payload),
                Seen::Install(..) => None,
            })
            .collect();
        let status = network.nodes[&slot].ring.as_ref().map(|ring| ring.counters().backlog_bytes);
        if status == Some(0) {
            let missing: Vec<_> =
                submitted.iter().filter(|payload| !delivered.contains(payload)).collect();
            assert!(missing.is_empty(), "d{slot} never delivered {} of its own", missing.len());
        }
    }
}

/// What was delivered as safe in a regular configuration is delivered by each of its members, unless that crashed.
fn safe(network: &Network) {
    let histories = network.histories();
    for (slot, _, _, seen, _) in &histories {
        let mut members: BTreeSet<BootId> = BTreeSet::new();
        let mut regular = false;
        for entry in *seen {
            match entry {
                Seen::Install(c) => {
                    regular = c.kind == ConfigurationKind::Regular;
                    members = c.members.iter().map(|member| member.boot).collect();
                }
                Seen::Deliver(delivery) if regular && delivery.payload.starts_with(b"safe") => {
                    for (other, boot, alive, theirs, _) in &histories {
                        if members.contains(boot) && *alive {
                            let has = theirs.iter().any(
                                |e| matches!(e, Seen::Deliver(d) if d.position == delivery.position),
                            );
                            assert!(
                                has,
                                "safe at d{slot}, never at d{other}: {:?}",
                                delivery.payload
                            );
                        }
                    }
                }
                Seen::Deliver(..) => {}
            }
        }
    }
}
