//! The one function that makes one state out of what several daemons bring.
//!
//! Every regular configuration goes through it: a pure subtraction with tables of one origin, a merge
//! with tables of several. It depends on nothing but its arguments, so every daemon gets the same.
//!
//! A group has changed, and gets a view, if members were lost (some table has it marked) or if more
//! than one origin brings it. Any other group keeps its id and notices nothing.

use crate::groups::{Group, Member, MemberKey, Session, State};
use crate::settings::SlotDescription;
use crate::view::first_id;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{ConfigurationId, GroupName, SessionId, Slot};
use spread_wire::ordered::table::{Origin, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What comes of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The state from here on.
    pub state: State,
    /// Groups that get a view, in name order.
    pub views: Vec<MergedView>,
    /// Sessions that end because another one has their private name.
    pub refused: Vec<(Slot, SessionId)>,
}

/// A view that a merge makes due; members and id stand in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedView {
    /// Which group.
    pub group: GroupName,
    /// Its vs-sets in the order every receiver gets them, each in member order.
    pub vs_sets: Vec<Vec<MemberKey>>,
}

/// Members of one group by where they come from.
#[derive(Default)]
struct Gathered {
    changed: bool,
    by_origin: BTreeMap<OriginKey, BTreeSet<MemberKey>>,
}

/// Orders vs-sets: key of the representative of the old configuration, then the origin itself.
type OriginKey = (i64, Option<Origin>);

/// Makes one state of the tables, one of each daemon of the configuration.
#[must_use]
pub fn merge(
    tables: &[Table],
    configuration: &ConfigurationId,
    slots: &[SlotDescription],
) -> Merged {
    let mut tables: Vec<&Table> = tables.iter().collect();
    tables.sort_by_key(|table| table.slot);
    let mut merged = Merged { state: State::default(), views: Vec::new(), refused: Vec::new() };
    for table in &tables {
        add_sessions(&mut merged, table);
    }
    let mut gathered: BTreeMap<&GroupName, Gathered> = BTreeMap::new();
    for table in &tables {
        let key = origin_key(table.origin, slots);
        let key = if planted(Bug::OneVsSet) { (0, None) } else { key };
        for group in &table.groups {
            let entry = gathered.entry(&group.name).or_default();
            entry.changed |= group.marked && !planted(Bug::LossWithoutView);
            entry.changed |= planted(Bug::OneVsSet);
            let brought = entry.by_origin.entry(key).or_default();
            for session in &group.members {
                match join(&mut merged.state, table.slot, *session, group) {
                    Some(member) => drop(brought.insert(member)),
                    None => entry.changed = true,
                }
            }
        }
    }
    for (name, gathered) in gathered {
        let Some(group) = merged.state.groups.get_mut(name) else { continue };
        let merges = gathered.by_origin.len() > 1 && !planted(Bug::SilentMerge);
        if !gathered.changed && !merges {
            continue;
        }
        group.id = first_id(configuration);
        let sets = gathered.by_origin.into_values().filter(|set| !set.is_empty());
        let vs_sets = sets.map(|set| set.into_iter().collect()).collect();
        merged.views.push(MergedView { group: name.clone(), vs_sets });
    }
    merged
}

fn origin_key(origin: Option<Origin>, slots: &[SlotDescription]) -> OriginKey {
    let representative = origin.map_or(Slot(0), |origin| origin.settled.representative);
    let vs_key = slots.get(usize::from(representative.0)).map_or(0, |slot| slot.vs_key);
    (vs_key, origin)
}

/// Takes over a table's endpoint. Of two sessions with one private name the lower slot's stays.
fn add_sessions(merged: &mut Merged, table: &Table) {
    let endpoint = merged.state.endpoints.entry(table.slot).or_default();
    endpoint.last = table.last;
    for session in &table.sessions {
        if merged.state.names.contains_key(&session.name) {
            merged.refused.push((table.slot, session.id));
            continue;
        }
        merged.state.names.insert(session.name.clone(), (table.slot, session.id));
        let groups = BTreeSet::new();
        let (name, membership) = (session.name.clone(), session.membership);
        endpoint.sessions.insert(session.id, Session { name, membership, groups });
    }
}

/// Makes a session a member; `None` if it was refused.
fn join(
    state: &mut State,
    slot: Slot,
    id: SessionId,
    group: &spread_wire::ordered::table::TableGroup,
) -> Option<MemberKey> {
    let session = state.endpoints.get_mut(&slot)?.sessions.get_mut(&id)?;
    session.groups.insert(group.name.clone());
    let key = MemberKey { slot, name: session.name.clone() };
    let member = Member { session: id, membership: session.membership };
    let entry = state.groups.entry(group.name.clone()).or_insert_with(|| Group::new(group.id));
    entry.add(key.clone(), member);
    Some(key)
}
