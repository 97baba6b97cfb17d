//! The one function that makes one state out of what several daemons bring.
//!
//! Every regular configuration goes through it: a pure subtraction with tables of one origin, a merge
//! with tables of several. It depends on nothing but its arguments, so every daemon gets the same.
//!
//! A group has changed, and gets a view, if members were lost (some table has it marked) or if more
//! than one origin brings it. Any other group keeps its id and notices nothing.
//!
//! An endpoint that several components know is where its highest epoch is, as the component has it that ordered most of
//! its requests: a number stands for one request wherever it is ordered, so that state contains the others. If these are
//! two components, nobody serves it: what the one ordered, the other has not told it. It attaches anew.

use crate::groups::{Endpoint, Group, Member, MemberKey, Session, State};
use crate::settings::{EngineSettings, SlotDescription};
use crate::view::first_id;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{
    ConfigurationId, EndpointId, EndpointUid, Epoch, GroupId, GroupName, RequestNumber, SessionId,
    Slot,
};
use spread_wire::ordered::table::{Origin, Table, TableEndpoint, TableGroup, TableSession};
use std::collections::{BTreeMap, BTreeSet};

/// What comes of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The state from here on.
    pub state: State,
    /// Groups that get a view, in name order.
    pub views: Vec<MergedView>,
    /// Sessions that end because another one has their private name.
    pub refused: Vec<(EndpointId, SessionId)>,
    /// Endpoints that a table brings and that have attached elsewhere since.
    pub superseded: Vec<EndpointId>,
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

/// Which of several entries of an endpoint counts: the highest. The last request that was delivered, the epoch, and whether
/// it is served.
type Rank = (RequestNumber, Epoch, bool);

/// What all tables together know of an endpoint.
#[derive(Clone, Copy)]
struct Known {
    /// Its entry that counts.
    rank: Rank,
    /// Its highest epoch.
    epoch: Epoch,
}

impl Known {
    /// Whether the entry of this rank goes on being served.
    fn served_by(&self, (last, epoch, served): Rank) -> bool {
        served && epoch == self.epoch && last == self.rank.0
    }
}

/// Makes one state of the tables, one of each daemon of the configuration.
#[must_use]
pub fn merge(
    tables: &[Table],
    configuration: &ConfigurationId,
    settings: &EngineSettings,
) -> Merged {
    let mut tables: Vec<&Table> = tables.iter().collect();
    tables.sort_by_key(|table| table.slot);
    let known = known(&tables);
    let mut merged = Merged {
        state: State::default(),
        views: Vec::new(),
        refused: Vec::new(),
        superseded: Vec::new(),
    };
    let mut gathered: BTreeMap<&GroupName, Gathered> = BTreeMap::new();
    for table in &tables {
        let key = origin_key(table.origin, &settings.slots);
        let key = if planted(Bug::OneVsSet) { (0, None) } else { key };
        for group in &table.groups {
            let changed = group.marked && !planted(Bug::LossWithoutView);
            gathered.entry(&group.name).or_default().changed |= changed || planted(Bug::OneVsSet);
        }
        for endpoint in &table.endpoints {
            let id = EndpointId { slot: table.slot, index: endpoint.index };
            let stays = rank(endpoint, true).is_none_or(|(uid, rank)| known[&uid].served_by(rank));
            if stays {
                add_endpoint(&mut merged, id, endpoint, settings);
            } else {
                merged.superseded.push(id);
            }
            for (group, member) in join(&mut merged.state, id, endpoint, &table.groups, stays) {
                let entry = gathered.entry(group).or_default();
                match member {
                    Some(member) => drop(entry.by_origin.entry(key).or_default().insert(member)),
                    None => entry.changed = true,
                }
            }
        }
    }
    keep_lost(&mut merged.state, &tables, &known, settings.bounds.lost_endpoints);
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

/// Of each endpoint that is not built in what counts.
fn known(tables: &[&Table]) -> BTreeMap<EndpointUid, Known> {
    let mut all: BTreeMap<EndpointUid, Known> = BTreeMap::new();
    for table in tables {
        for (uid, rank) in entries(table).filter_map(|(row, served)| rank(row, served)) {
            let known = all.entry(uid).or_insert(Known { rank, epoch: rank.1 });
            *known = Known { rank: rank.max(known.rank), epoch: rank.1.max(known.epoch) };
        }
    }
    all
}

/// A table's endpoints, and whether each is served.
fn entries(table: &Table) -> impl Iterator<Item = (&TableEndpoint, bool)> {
    let served = table.endpoints.iter().map(|endpoint| (endpoint, true));
    served.chain(table.lost.iter().map(|endpoint| (endpoint, false)))
}

fn rank(endpoint: &TableEndpoint, served: bool) -> Option<(EndpointUid, Rank)> {
    let identity = endpoint.identity.as_ref()?;
    let last = if planted(Bug::FewerRequestsStay) { RequestNumber(0) } else { endpoint.last };
    Some((identity.uid, (last, identity.epoch, served)))
}

/// Takes over a table's endpoint. Of two sessions with one private name the lower slot's stays.
fn add_endpoint(
    merged: &mut Merged,
    id: EndpointId,
    table: &TableEndpoint,
    settings: &EngineSettings,
) {
    let name = table.identity.as_ref().map(|identity| identity.name.clone());
    let name = name.unwrap_or_else(|| settings.slot_name(id.slot));
    let mut endpoint = Endpoint::new(name, table.identity.as_ref().map(|i| (i.uid, i.epoch)));
    endpoint.last = table.last;
    for session in &table.sessions {
        if merged.state.names.contains_key(&session.name) {
            merged.refused.push((id, session.id));
            continue;
        }
        merged.state.names.insert(session.name.clone(), (id, session.id));
        let groups = BTreeMap::new();
        let (name, membership) = (session.name.clone(), session.membership);
        endpoint.sessions.insert(session.id, Session { name, membership, groups });
    }
    merged.state.endpoints.insert(id, endpoint);
}

/// Makes an endpoint's sessions members; `None` for one that does not stay.
fn join<'a>(
    state: &mut State,
    id: EndpointId,
    table: &TableEndpoint,
    groups: &'a [TableGroup],
    stays: bool,
) -> Vec<(&'a GroupName, Option<MemberKey>)> {
    let mut joined = Vec::new();
    let mut endpoint = state.endpoints.get_mut(&id).filter(|_| stays);
    for row in &table.sessions {
        for (place, number) in &row.groups {
            let Some(group) = groups.get(*place as usize) else { continue };
            let known = endpoint.as_deref_mut();
            let member = known.and_then(|endpoint| {
                let name = endpoint.name.clone();
                Some((name, endpoint.sessions.get_mut(&row.id)?))
            });
            let Some((endpoint_name, session)) = member else {
                joined.push((&group.name, None));
                continue;
            };
            session.groups.insert(group.name.clone(), *number);
            let name = session.name.clone();
            let key = MemberKey { slot: id.slot, endpoint: endpoint_name, name };
            let (endpoint, membership) = (id.index, session.membership);
            let member = Member { endpoint, session: row.id, membership };
            let first = group.id.map_or_else(|| Group::new(GroupId([0; 12])), Group::new);
            let entry = state.groups.entry(group.name.clone()).or_insert(first);
            entry.add(key.clone(), member);
            joined.push((&group.name, Some(key)));
        }
    }
    joined
}

/// Endpoints that no daemon of the configuration serves, as many as may be remembered.
fn keep_lost(
    state: &mut State,
    tables: &[&Table],
    known: &BTreeMap<EndpointUid, Known>,
    most: usize,
) {
    let served: BTreeSet<EndpointUid> =
        state.endpoints.values().filter_map(|e| e.attach.map(|(uid, _)| uid)).collect();
    for table in tables {
        for (row, at_daemon) in entries(table) {
            let Some((uid, own)) = rank(row, at_daemon) else { continue };
            let known = known[&uid];
            if known.rank != own || served.contains(&uid) || state.lost.contains_key(&uid) {
                continue;
            }
            let Some(identity) = &row.identity else { continue };
            let mut endpoint = Endpoint::new(identity.name.clone(), Some((uid, known.epoch)));
            endpoint.last = row.last;
            endpoint.sessions = row.sessions.iter().map(|row| lost_session(table, row)).collect();
            state.lost.insert(uid, endpoint);
        }
    }
    while state.lost.len() > most {
        state.lost.pop_first();
    }
}

fn lost_session(table: &Table, row: &TableSession) -> (SessionId, Session) {
    let name = |place: u32| table.groups.get(place as usize).map(|group| group.name.clone());
    let groups = row.groups.iter().filter_map(|(place, joined)| Some((name(*place)?, *joined)));
    let (name, membership, groups) = (row.name.clone(), row.membership, groups.collect());
    (row.id, Session { name, membership, groups })
}
