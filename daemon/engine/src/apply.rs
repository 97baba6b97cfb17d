//! What an ordered request does: sessions, memberships, messages.

use crate::engine::Engine;
use crate::groups::{Group, Member, MemberKey, Session};
use crate::parts::Parts;
use crate::route::receivers;
use crate::view::{configuration_hash, group_id, next_id, next_index, self_leave, transitions};
use spread_bugs::{Bug, planted};
use spread_ring::Delivery;
use spread_wire::ids::{
    EndpointId, EndpointUid, GroupName, Position, PrivateName, RequestNumber, SessionId, Slot,
};
use spread_wire::link::{Cause, Delivered, LinkEvent, Multicast, Request, RequestBody};
use spread_wire::ordered::{Ordered, decode};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Engine {
    /// Does what a delivered payload asks for; all daemons of the component do the same.
    pub(crate) fn apply(&mut self, delivery: Delivery) {
        let (slot, position) = (delivery.sender, delivery.position);
        // Nobody else need have the own message yet. What follows a loss, all who go on have.
        let own = slot == self.settings.me && self.transition.is_none();
        self.links.hold(own.then_some(position.seq));
        match decode(delivery.payload) {
            Ok(Ordered::Request { endpoint, request }) => {
                self.apply_request(EndpointId { slot, index: endpoint }, position, request);
            }
            Ok(Ordered::Void { endpoint, number }) => {
                let id = EndpointId { slot, index: endpoint };
                if self.take_turn(id, number) {
                    self.applied(id, number, position);
                }
            }
            Ok(Ordered::Attach(attach)) => self.apply_attach(slot, attach),
            Ok(Ordered::Detach { endpoint }) => {
                self.apply_detach(EndpointId { slot, index: endpoint });
            }
            Ok(Ordered::Forget { uid, epoch }) => self.apply_forget(uid, epoch),
            Ok(Ordered::Chunk(_)) => {}
            Err(_) => self.counters.unreadable += 1,
        }
        self.links.hold(None);
    }

    fn apply_request(&mut self, id: EndpointId, position: Position, request: Request) {
        let number = request.number;
        if !self.take_turn(id, number) {
            return;
        }
        match request.body {
            RequestBody::Open { session, name, membership } => {
                self.open(id, session, name, membership);
            }
            RequestBody::Close { session, .. } => self.close(id, session),
            RequestBody::Join { session, group } => self.join(id, session, group, number),
            RequestBody::Leave { session, group } => self.leave(id, session, &group),
            RequestBody::Multicast { session, message } => {
                self.route(id, session, (position, number), (None, message));
            }
            RequestBody::Part { session, index, bytes } => {
                if let Some(endpoint) = self.state.endpoints.get_mut(&id) {
                    endpoint.parts.take(session, index, &bytes);
                }
            }
            RequestBody::Rest { session, parts, message } => {
                let endpoint = self.state.endpoints.get_mut(&id);
                let parts = endpoint.and_then(|endpoint| endpoint.parts.finish(session, parts));
                if parts.is_some() {
                    self.route(id, session, (position, number), (parts, message));
                }
            }
        }
        self.applied(id, number, position);
    }

    /// Whether this is the endpoint's next request; all daemons decide alike.
    fn take_turn(&mut self, id: EndpointId, number: RequestNumber) -> bool {
        let mine = id.slot == self.settings.me;
        let next = self.state.endpoints.get_mut(&id).filter(|e| number.0 == e.last.0 + 1);
        let Some(endpoint) = next else {
            self.counters.out_of_turn += 1;
            return false;
        };
        endpoint.last = number;
        if mine {
            self.outbound.applied(id.index, number);
            self.regulate(id.index);
        }
        true
    }

    fn applied(&mut self, id: EndpointId, number: RequestNumber, position: Position) {
        if id.slot == self.settings.me {
            let event = LinkEvent::Applied { number, position };
            self.links.applied(id.index, number, event, position.seq);
        }
    }

    fn open(&mut self, id: EndpointId, session: SessionId, name: PrivateName, membership: bool) {
        let Some(endpoint) = self.state.endpoints.get_mut(&id) else { return };
        if self.state.names.contains_key(&name) || endpoint.sessions.contains_key(&session) {
            return self.tell_owner(id, LinkEvent::SessionRefused { session });
        }
        self.state.names.insert(name.clone(), (id, session));
        endpoint.sessions.insert(session, Session { name, membership, groups: BTreeMap::new() });
        let position = self.here();
        self.tell_owner(id, LinkEvent::SessionOpened { session, position });
    }

    fn close(&mut self, id: EndpointId, session: SessionId) {
        let Some(endpoint) = self.state.endpoints.get_mut(&id) else { return };
        let Some(closed) = endpoint.sessions.remove(&session) else { return };
        let endpoint = endpoint.name.clone();
        self.state.names.remove(&closed.name);
        for name in closed.groups.keys() {
            let (slot, endpoint) = (id.slot, endpoint.clone());
            let key = MemberKey { slot, endpoint, name: closed.name.clone() };
            self.remove_member(name, &key, Cause::Disconnect(closed.name.clone()));
        }
        self.tell_owner(id, LinkEvent::SessionClosed { session });
    }

    fn join(&mut self, id: EndpointId, session: SessionId, name: GroupName, number: RequestNumber) {
        let Some(endpoint) = self.state.endpoints.get_mut(&id) else { return };
        let Some(joiner) = endpoint.sessions.get_mut(&session) else { return };
        if joiner.groups.contains_key(&name) {
            return;
        }
        joiner.groups.insert(name.clone(), number);
        let endpoint = endpoint.name.clone();
        let key = MemberKey { slot: id.slot, endpoint, name: joiner.name.clone() };
        let member = Member { endpoint: id.index, session, membership: joiner.membership };
        let settled = self.settled.as_ref().map_or(0, configuration_hash);
        // Components that part may both begin a group of this name before they settle.
        let hash = self.parting().map_or(settled, |parting| parting.hash);
        // As in the original a group that ended begins at index 1 again (`semantics`, 13_leave).
        let before = group_id(hash, 0);
        let group = self.state.groups.entry(name.clone()).or_insert_with(|| Group::new(before));
        group.add(key.clone(), member);
        self.show_change(&name, Some(&key), Cause::Join(key.name.clone()));
        // A member that is about to be lost makes its group one that loses members.
        self.mark_lost();
    }

    fn leave(&mut self, id: EndpointId, session: SessionId, name: &GroupName) {
        let Some(endpoint) = self.state.endpoints.get_mut(&id) else { return };
        let Some(leaver) = endpoint.sessions.get_mut(&session) else { return };
        if leaver.groups.remove(name).is_none() {
            return;
        }
        let membership = leaver.membership;
        let endpoint = endpoint.name.clone();
        let key = MemberKey { slot: id.slot, endpoint, name: leaver.name.clone() };
        if membership && let Some(group) = self.state.groups.get(name) {
            let event = self_leave(self.here(), name, group.id, key.name.clone(), session);
            self.tell_owner(id, event);
        }
        self.remove_member(name, &key, Cause::Leave(key.name.clone()));
    }

    fn remove_member(&mut self, name: &GroupName, key: &MemberKey, cause: Cause) {
        let Some(group) = self.state.groups.get_mut(name) else { return };
        group.remove(key);
        if group.members.is_empty() {
            self.state.groups.remove(name);
            return;
        }
        self.show_change(name, None, cause);
    }

    /// A view after a join, leave or disconnect. In a group that is losing members it is a view of the
    /// transitional configuration, and the transitional signal is repeated with its id.
    fn show_change(&mut self, name: &GroupName, joiner: Option<&MemberKey>, cause: Cause) {
        let parting = self.parting();
        let Some(group) = self.state.groups.get_mut(name) else { return };
        let Some(parting) = parting.filter(|_| group.marked) else {
            let kept = planted(Bug::IdNotRaised) && matches!(cause, Cause::Leave(_));
            group.id = if kept { group.id } else { next_id(group.id) };
            return self.tell_view(name, cause, &[]);
        };
        group.id = group_id(parting.hash, next_index(group.id));
        let vs_sets = transitional_sets(group, joiner, &parting.component);
        self.tell_view(name, Cause::Network, &vs_sets);
        let position = self.here();
        let Some(group) = self.state.groups.get(name) else { return };
        let signals = transitions(self.settings.me, position, name, group);
        self.tell_all(signals);
    }

    fn route(
        &mut self,
        id: EndpointId,
        session: SessionId,
        (position, number): (Position, RequestNumber),
        (parts, mut message): (Option<Parts>, Multicast),
    ) {
        let Some(endpoint) = self.state.endpoints.get(&id) else { return };
        let Some(sender) = endpoint.sessions.get(&session).map(|known| known.name.clone()) else {
            return;
        };
        let (uid, number) = match endpoint.attach {
            Some((uid, _)) => (uid, Some(number)),
            None => (self.builtin_uid(id.slot), None),
        };
        let receivers = receivers(&mut self.state, self.settings.me, &message.groups);
        let Some((last, others)) = receivers.split_last() else { return };
        if let Some(parts) = parts {
            message.payload = parts.before(&message.payload);
        }
        let sender_session = (uid, session);
        let delivered = Delivered { position, sender, sender_session, number, message };
        self.counters.messages += receivers.len() as u64;
        for (endpoint, sessions) in others {
            let event = LinkEvent::Message(delivered.clone(), Arc::clone(sessions));
            self.links.tell(*endpoint, event);
        }
        // Nearly always the only one.
        self.links.tell(last.0, LinkEvent::Message(delivered, Arc::clone(&last.1)));
    }

    /// Only uids of own endpoints are ever compared; another daemon's must only differ from them.
    fn builtin_uid(&self, slot: Slot) -> EndpointUid {
        let own = self.links.builtin_uid().unwrap_or(EndpointUid(0));
        if slot == self.settings.me { own } else { EndpointUid(!own.0) }
    }
}

/// Established members of the component, each lost daemon's members, and a joiner alone.
fn transitional_sets(
    group: &Group,
    joiner: Option<&MemberKey>,
    component: &BTreeSet<Slot>,
) -> Vec<Vec<MemberKey>> {
    let others = || group.members.keys().filter(|key| Some(*key) != joiner);
    let mut sets = vec![others().filter(|key| component.contains(&key.slot)).cloned().collect()];
    let lost: BTreeSet<_> =
        others().map(|key| key.slot).filter(|slot| !component.contains(slot)).collect();
    for slot in lost {
        sets.push(others().filter(|key| key.slot == slot).cloned().collect());
    }
    sets.push(joiner.into_iter().cloned().collect());
    sets.retain(|set: &Vec<_>| !set.is_empty());
    sets
}
