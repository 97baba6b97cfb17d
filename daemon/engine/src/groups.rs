//! The state that all daemons of a component share: endpoints, sessions, groups.

use crate::parts::Parts;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{
    EndpointId, EndpointIdentity, EndpointName, EndpointUid, Epoch, GroupId, GroupName,
    PrivateName, RequestNumber, SessionId, Slot,
};
use spread_wire::ordered::table::{Origin, Table, TableEndpoint, TableGroup, TableSession};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions and groups of a component. Equal at all its daemons at one place of the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Endpoints that a daemon serves.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// Endpoints whose daemon or link was lost, as they were then: they may attach again.
    pub lost: BTreeMap<EndpointUid, Endpoint>,
    /// Groups that have members.
    pub groups: BTreeMap<GroupName, Group>,
    /// Who has which private name.
    pub names: BTreeMap<PrivateName, (EndpointId, SessionId)>,
}

/// An endpoint as all daemons know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Second half of its private names.
    pub name: EndpointName,
    /// Who it is and its last attach; `None` for the one built into a daemon.
    pub attach: Option<(EndpointUid, Epoch)>,
    /// Last request that was delivered.
    pub last: RequestNumber,
    /// Its open sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// Its large message that is coming.
    pub parts: Parts,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its private name.
    pub name: PrivateName,
    /// Whether it gets membership messages.
    pub membership: bool,
    /// Where it is a member, and by which request.
    pub groups: BTreeMap<GroupName, RequestNumber>,
}

/// A member's place in the member list: by slot, then by endpoint, then by private name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey {
    /// Its daemon.
    pub slot: Slot,
    /// Its endpoint.
    pub endpoint: EndpointName,
    /// Its private name.
    pub name: PrivateName,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Number of its endpoint at its daemon.
    pub endpoint: u32,
    /// Its session at its endpoint.
    pub session: SessionId,
    /// Whether it gets membership messages.
    pub membership: bool,
}

/// Sessions of each endpoint of a daemon, by rising number of the endpoint, then of the session.
pub(crate) type Locals = Arc<[(u32, Arc<[SessionId]>)]>;

/// A group with members.
#[derive(Clone, Debug)]
pub struct Group {
    /// Id of its last view.
    pub id: GroupId,
    /// Its members in member order.
    pub members: BTreeMap<MemberKey, Member>,
    /// It lost members (and TRANSITION was sent); its next view is due.
    pub marked: bool,
    /// Local members, once somebody asked since the last change.
    local: Option<Locals>,
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.marked, &self.members) == (other.id, other.marked, &other.members)
    }
}

impl Eq for Group {}

impl Group {
    /// A group without members.
    #[must_use]
    pub fn new(id: GroupId) -> Self {
        Self { id, members: BTreeMap::new(), marked: false, local: None }
    }

    /// Adds a member.
    pub fn add(&mut self, key: MemberKey, member: Member) {
        self.members.insert(key, member);
        if planted(Bug::JoinerNotReceiving) {
            return;
        }
        self.local = None;
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &MemberKey) {
        self.members.remove(key);
        if planted(Bug::LeaverStillReceives) {
            return;
        }
        self.local = None;
    }

    /// Members of one daemon, in member order.
    pub fn members_of(&self, slot: Slot) -> impl Iterator<Item = (&MemberKey, &Member)> {
        members_of(&self.members, slot)
    }

    /// Whether the daemon has a member.
    #[must_use]
    pub fn has_member_of(&self, slot: Slot) -> bool {
        self.members_of(slot).next().is_some()
    }

    /// All members of one daemon by endpoint; the list is kept until a change.
    pub(crate) fn locals(&mut self, me: Slot) -> &Locals {
        let members = &self.members;
        self.local.get_or_insert_with(|| locals(members, me))
    }

    /// Members of one daemon that get membership messages, in member order.
    pub fn informed(&self, me: Slot) -> impl Iterator<Item = (&MemberKey, &Member)> {
        self.members_of(me).filter(|(_, member)| member.membership)
    }
}

fn members_of(
    members: &BTreeMap<MemberKey, Member>,
    slot: Slot,
) -> impl Iterator<Item = (&MemberKey, &Member)> {
    let endpoint = EndpointName::from("");
    let from = MemberKey { slot, endpoint, name: PrivateName::from("") };
    members.range(from..).take_while(move |(key, _)| key.slot == slot)
}

fn locals(members: &BTreeMap<MemberKey, Member>, me: Slot) -> Locals {
    let mut by_endpoint: BTreeMap<u32, Vec<SessionId>> = BTreeMap::new();
    for (_, member) in members_of(members, me) {
        by_endpoint.entry(member.endpoint).or_default().push(member.session);
    }
    let sorted = by_endpoint.into_iter().map(|(endpoint, mut sessions)| {
        sessions.sort_unstable();
        (endpoint, sessions.into())
    });
    sorted.collect()
}

impl Endpoint {
    /// An endpoint without sessions.
    #[must_use]
    pub fn new(name: EndpointName, attach: Option<(EndpointUid, Epoch)>) -> Self {
        let (last, parts) = (RequestNumber(0), Parts::default());
        Self { name, attach, last, sessions: BTreeMap::new(), parts }
    }

    /// The groups its sessions are in.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<GroupName> {
        self.sessions.values().flat_map(|session| session.groups.keys().cloned()).collect()
    }
}

impl State {
    /// What a daemon brings to an exchange. To it all endpoints at daemons that are not of its `kin`
    /// are lost: one that another daemon brings as served is not.
    #[must_use]
    pub fn table_of(&self, slot: Slot, origin: Option<Origin>, kin: &BTreeSet<Slot>) -> Table {
        let served = self.endpoints.iter().filter(|(id, _)| id.slot == slot);
        let mut endpoints: Vec<(u32, &Endpoint)> =
            served.map(|(id, endpoint)| (id.index, endpoint)).collect();
        endpoints.sort_by_key(|(index, _)| *index);
        let mut lost: BTreeMap<EndpointUid, &Endpoint> =
            self.lost.iter().map(|(uid, endpoint)| (*uid, endpoint)).collect();
        let cut_off = self.endpoints.iter().filter(|(id, _)| !kin.contains(&id.slot));
        lost.extend(cut_off.filter_map(|(_, e)| e.attach.map(|(uid, _)| (uid, e))));

        let all = endpoints.iter().map(|(_, endpoint)| *endpoint).chain(lost.values().copied());
        let names: BTreeSet<&GroupName> =
            all.flat_map(|e| e.sessions.values()).flat_map(|s| s.groups.keys()).collect();
        let places: BTreeMap<&GroupName, u32> = names.iter().copied().zip(0..).collect();
        let groups = names.iter().map(|name| {
            let group = self.groups.get(*name);
            let (id, marked) = (group.map(|g| g.id), group.is_some_and(|g| g.marked));
            TableGroup { name: (*name).clone(), id, marked }
        });
        Table {
            slot,
            origin,
            groups: groups.collect(),
            endpoints: endpoints.iter().map(|(index, e)| row(*index, e, &places)).collect(),
            lost: lost.values().map(|e| row(0, e, &places)).collect(),
        }
    }

    /// Makes a session a member; a group that begins with it gets its id from its first view.
    pub(crate) fn join(&mut self, name: &GroupName, key: MemberKey, member: Member) {
        let group = self.groups.entry(name.clone());
        group.or_insert_with(|| Group::new(GroupId([0; 12]))).add(key, member);
    }

    /// The endpoint of this uid, if a daemon serves it.
    #[must_use]
    pub fn served(&self, uid: EndpointUid) -> Option<EndpointId> {
        let is = |endpoint: &Endpoint| endpoint.attach.is_some_and(|(known, _)| known == uid);
        self.endpoints.iter().find(|(_, endpoint)| is(endpoint)).map(|(id, _)| *id)
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.names.len()
    }
}

fn row(index: u32, endpoint: &Endpoint, places: &BTreeMap<&GroupName, u32>) -> TableEndpoint {
    let sessions = endpoint.sessions.iter().map(|(id, session)| TableSession {
        id: *id,
        name: session.name.clone(),
        membership: session.membership,
        groups: session
            .groups
            .iter()
            .filter_map(|(name, joined)| places.get(name).map(|place| (*place, *joined)))
            .collect(),
    });
    let name = endpoint.name.clone();
    let identity = endpoint.attach.map(|(uid, epoch)| EndpointIdentity { uid, name, epoch });
    TableEndpoint { index, identity, last: endpoint.last, sessions: sessions.collect() }
}
