//! The state that all daemons of a component share: endpoints, sessions, groups.

use spread_bugs::{Bug, planted};
use spread_wire::ids::{GroupId, GroupName, PrivateName, RequestNumber, SessionId, Slot};
use spread_wire::ordered::table::{Origin, Table, TableGroup, TableSession};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions and groups of a component. Equal at all its daemons at one place of the order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The endpoint built into each daemon.
    pub endpoints: BTreeMap<Slot, Endpoint>,
    /// Groups that have members.
    pub groups: BTreeMap<GroupName, Group>,
    /// Who has which private name.
    pub names: BTreeMap<PrivateName, (Slot, SessionId)>,
}

/// An endpoint as all daemons know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Last request that was delivered.
    pub last: RequestNumber,
    /// Its open sessions.
    pub sessions: BTreeMap<SessionId, Session>,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its private name.
    pub name: PrivateName,
    /// Whether it gets membership messages.
    pub membership: bool,
    /// Where it is a member.
    pub groups: BTreeSet<GroupName>,
}

/// A member's place in the member list: by slot, then by private name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey {
    /// Its daemon.
    pub slot: Slot,
    /// Its private name.
    pub name: PrivateName,
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its session at its endpoint.
    pub session: SessionId,
    /// Whether it gets membership messages.
    pub membership: bool,
}

/// A group with members.
#[derive(Clone, Debug)]
pub struct Group {
    /// Id of its last view.
    pub id: GroupId,
    /// Its members in member order.
    pub members: BTreeMap<MemberKey, Member>,
    /// It lost members (and TRANSITION was sent); its next view is due.
    pub marked: bool,
    /// Local members by rising session id, once somebody asked since the last change.
    local: Option<Arc<[SessionId]>>,
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
        let from = MemberKey { slot, name: PrivateName::from("") };
        self.members.range(from..).take_while(move |(key, _)| key.slot == slot)
    }

    /// Whether the daemon has a member.
    #[must_use]
    pub fn has_member_of(&self, slot: Slot) -> bool {
        self.members_of(slot).next().is_some()
    }

    /// All members of one daemon by rising session id; the list is kept until a change.
    pub fn local_sessions(&mut self, me: Slot) -> Arc<[SessionId]> {
        if let Some(local) = &self.local {
            return Arc::clone(local);
        }
        let mut sessions: Vec<_> = self.members_of(me).map(|(_, member)| member.session).collect();
        sessions.sort_unstable();
        let local: Arc<[SessionId]> = sessions.into();
        self.local = Some(Arc::clone(&local));
        local
    }

    /// Members of one daemon that get membership messages, in member order.
    pub fn informed(&self, me: Slot) -> impl Iterator<Item = (&MemberKey, SessionId)> {
        self.members_of(me)
            .filter(|(_, member)| member.membership)
            .map(|(key, member)| (key, member.session))
    }
}

impl State {
    /// What a daemon brings to an exchange.
    #[must_use]
    pub fn table_of(&self, slot: Slot, origin: Option<Origin>) -> Table {
        let mut table = Table {
            slot,
            origin,
            last: RequestNumber(0),
            sessions: Vec::new(),
            groups: Vec::new(),
        };
        let Some(endpoint) = self.endpoints.get(&slot) else { return table };
        table.last = endpoint.last;
        let mut names = BTreeSet::new();
        for (id, session) in &endpoint.sessions {
            names.extend(&session.groups);
            let (name, membership) = (session.name.clone(), session.membership);
            table.sessions.push(TableSession { id: *id, name, membership });
        }
        for name in names {
            let Some(group) = self.groups.get(name) else { continue };
            let mut members: Vec<_> = group.members_of(slot).map(|(_, m)| m.session).collect();
            members.sort_unstable();
            let (id, marked) = (group.id, group.marked);
            table.groups.push(TableGroup { name: name.clone(), id, marked, members });
        }
        table
    }

    /// How many sessions are open.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.names.len()
    }
}
