//! Ids of views, and views as local members get them.

use crate::groups::{Group, MemberKey};
use spread_bugs::{Bug, planted};
use spread_wire::ids::{
    ConfigurationId, GroupId, GroupName, Position, PrivateName, SessionId, Slot,
};
use spread_wire::link::{Cause, LinkEvent, View};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Start and factor of the 64-bit FNV-1a hash.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_FACTOR: u64 = 0x0000_0100_0000_01b3;

/// 64 bits that stand for a configuration in group ids and table parts.
#[must_use]
pub(crate) fn configuration_hash(id: &ConfigurationId) -> u64 {
    let mut hash = FNV_START;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(FNV_FACTOR);
        }
    };
    add(&id.ring.0.to_be_bytes());
    add(&id.epoch.to_be_bytes());
    add(&id.representative.0.to_be_bytes());
    add(&id.boot.0.to_be_bytes());
    hash
}

/// Hash of a transitional configuration: of the one that follows, and of who goes there together.
#[must_use]
pub(crate) fn transitional_hash(
    id: &ConfigurationId,
    component: impl Iterator<Item = Slot>,
) -> u64 {
    let start = configuration_hash(id) ^ 1;
    component.fold(start, |hash, slot| (hash ^ u64::from(slot.0)).wrapping_mul(FNV_FACTOR))
}

/// Stands for the merge that an attach at this place is: its views are no others' in any configuration.
#[must_use]
pub(crate) fn attach_hash(position: &Position) -> u64 {
    let start = configuration_hash(&position.configuration) ^ 2;
    [position.seq.0, u64::from(position.index)]
        .iter()
        .fold(start, |hash, number| (hash ^ number).wrapping_mul(FNV_FACTOR))
}

/// Id of the first view of a configuration.
#[must_use]
pub(crate) fn first_id(configuration: &ConfigurationId) -> GroupId {
    group_id(configuration_hash(configuration), 1)
}

/// A group id from its two parts.
#[must_use]
pub(crate) fn group_id(hash: u64, index: u32) -> GroupId {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&hash.to_be_bytes());
    id[8..].copy_from_slice(&index.to_be_bytes());
    GroupId(id)
}

/// The index of the view after the one with this id.
#[must_use]
pub(crate) fn next_index(id: GroupId) -> u32 {
    let [.., a, b, c, d] = id.0;
    u32::from_be_bytes([a, b, c, d]).wrapping_add(1)
}

/// Id of the view after this one, in the same configuration.
#[must_use]
pub(crate) fn next_id(id: GroupId) -> GroupId {
    let mut next = id;
    next.0[8..].copy_from_slice(&next_index(id).to_be_bytes());
    next
}

/// The group's view for each endpoint of `me` that has somebody to be told, by number.
pub(crate) fn views(
    me: Slot,
    position: Position,
    name: &GroupName,
    group: &Group,
    cause: Cause,
    vs_sets: &[Vec<MemberKey>],
) -> Vec<(u32, LinkEvent)> {
    let index_of = |key: &MemberKey| {
        let index = vs_sets.iter().position(|set| set.binary_search(key).is_ok());
        index.unwrap_or(0) as u32
    };
    let mut receivers: BTreeMap<u32, Vec<(SessionId, u32)>> = BTreeMap::new();
    for (key, member) in group.informed(me) {
        receivers.entry(member.endpoint).or_default().push((member.session, index_of(key)));
    }
    let names = |keys: &Vec<MemberKey>| keys.iter().map(|key| key.name.clone()).collect();
    let view = |receivers| View {
        position,
        group: name.clone(),
        id: group.id,
        cause: cause.clone(),
        members: members(group),
        vs_sets: vs_sets.iter().map(names).collect(),
        receivers,
    };
    let event = |(endpoint, receivers)| (endpoint, LinkEvent::View(Arc::new(view(receivers))));
    receivers.into_iter().map(event).collect()
}

/// In member order.
fn members(group: &Group) -> Vec<PrivateName> {
    let mut members: Vec<_> = group.members.keys().map(|key| key.name.clone()).collect();
    if planted(Bug::MembersByName) {
        members.sort();
    }
    members
}

/// What a session gets that left on its own.
pub(crate) fn self_leave(
    position: Position,
    name: &GroupName,
    id: GroupId,
    leaver: PrivateName,
    session: SessionId,
) -> LinkEvent {
    LinkEvent::View(Arc::new(View {
        position,
        group: name.clone(),
        id,
        cause: Cause::Leave(leaver),
        members: Vec::new(),
        vs_sets: Vec::new(),
        receivers: vec![(session, 0)],
    }))
}

/// The group's transitional signal for each endpoint of `me` that has somebody to be told, by number.
pub(crate) fn transitions(
    me: Slot,
    position: Position,
    name: &GroupName,
    group: &Group,
) -> Vec<(u32, LinkEvent)> {
    let mut receivers: BTreeMap<u32, Vec<SessionId>> = BTreeMap::new();
    for (_, member) in group.informed(me) {
        receivers.entry(member.endpoint).or_default().push(member.session);
    }
    let signal = |(endpoint, receivers): (u32, Vec<SessionId>)| {
        let (group, id) = (name.clone(), group.id);
        let receivers = receivers.into();
        (endpoint, LinkEvent::Transition { group, receivers, id, position })
    };
    receivers.into_iter().map(signal).collect()
}
