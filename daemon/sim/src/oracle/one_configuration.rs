//! A configuration id has one member list, its installers are in it, and the ids that a daemon installs rise.

use super::Judgement;
use crate::history::{Entry, History};
use spread_ring::{Configuration, ConfigurationKind};
use spread_wire::ids::ConfigurationId;
use std::collections::BTreeMap;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    let mut lists: BTreeMap<ConfigurationId, &Configuration> = BTreeMap::new();
    for process in &history.processes {
        let mut last: Option<&Configuration> = None;
        for (moment, entry) in &process.entries {
            let Entry::Install(configuration) = entry else { continue };
            let mut broken = |text: &str| {
                judgement.broken(*moment, || {
                    format!("d{}: {text} {:?}", process.slot, configuration.id)
                });
            };
            if configuration.members.iter().all(|member| member.boot != process.boot) {
                broken("installs without being in it:");
            }
            match configuration.kind {
                ConfigurationKind::Regular => {
                    let known = lists.entry(configuration.id).or_insert(configuration);
                    if known.members != configuration.members {
                        broken("another member list for");
                    }
                    if last.is_some_and(|last| {
                        last.kind == ConfigurationKind::Regular && last.id >= configuration.id
                    }) {
                        broken("the id does not rise:");
                    }
                    if last.is_some_and(|last| {
                        last.kind == ConfigurationKind::Transitional && last.id != configuration.id
                    }) {
                        broken("the transitional configuration had another id than");
                    }
                }
                ConfigurationKind::Transitional => {
                    let old = last.map(|last| &last.members);
                    let inside = |member| old.is_some_and(|old| old.contains(member));
                    if !configuration.members.iter().all(inside) {
                        broken("a transitional configuration with new members:");
                    }
                }
            }
            last = Some(configuration);
        }
    }
}
