//! Endpoints in other processes: attach, loss, attach elsewhere.
//!
//! An endpoint whose daemon or link is lost is a component of its own, as if the network had cut it
//! off: its groups lose its members. Every daemon keeps it as it was then: its sessions, where they
//! are members, its last request. Its attach is a merge at one place of the order: the members come
//! back as a vs-set of their own, and what was not ordered before it sends again.

use crate::engine::Engine;
use crate::groups::{Endpoint, Member, MemberKey};
use crate::outbound::ATTACH;
use crate::parts::Parts;
use crate::settings::LinkId;
use crate::view::{attach_hash, group_id};
use spread_bugs::{Bug, planted};
use spread_wire::ids::{
    EndpointId, EndpointName, EndpointUid, Epoch, GroupName, RequestNumber, Slot,
};
use spread_wire::link::{Attach, Cause, LinkEvent, RefusedAttach};
use spread_wire::ordered::{AttachEndpoint, ENDPOINT_NAME_BYTES, encode_attach, encode_detach};
use spread_wire::service::Guarantee;
use std::collections::{BTreeMap, BTreeSet};

/// Members of groups.
type Rows = BTreeSet<(GroupName, MemberKey)>;

impl Engine {
    /// Asks for an endpoint in another process to be served; answered by [`LinkEvent::Attached`] or
    /// [`LinkEvent::AttachRefused`]. The link must not be in use.
    pub fn attach(&mut self, link: LinkId, attach: Attach) {
        let refused = if !self.may_be_called(&attach.name) {
            Some(RefusedAttach::Name)
        } else if !self.orders_requests() {
            Some(RefusedAttach::NotReady)
        } else {
            None
        };
        let endpoint = self.links.add(link);
        if let Some(reason) = refused {
            return self.links.dismiss(endpoint, LinkEvent::AttachRefused { reason });
        }
        let payload = encode_attach(&AttachEndpoint {
            endpoint,
            uid: attach.uid,
            name: attach.name,
            epoch: attach.epoch,
            new: attach.position.is_none(),
            applied: attach.applied,
            lowest_held: attach.lowest_held,
        });
        self.outbound.push(endpoint, Some(ATTACH), Guarantee::Agreed, payload);
    }

    /// A link ended. What it asked for before is still ordered; then the endpoint is lost, and may
    /// attach again at any daemon.
    pub fn detach(&mut self, link: LinkId) {
        if let Some(endpoint) = self.links.end(link) {
            self.outbound.push(endpoint, None, Guarantee::Agreed, encode_detach(endpoint));
        }
    }

    /// Names of slots are those of the endpoints built into their daemons: `d0`, `d1`, and so on.
    fn may_be_called(&self, name: &EndpointName) -> bool {
        let digits = name.0.strip_prefix(b"d").filter(|digits| !digits.is_empty());
        let reserved = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
        let slots = || self.settings.slots.iter().any(|slot| slot.name == *name);
        !name.0.is_empty() && name.0.len() <= ENDPOINT_NAME_BYTES && !reserved && !slots()
    }

    pub(crate) fn apply_attach(&mut self, sender: Slot, attach: AttachEndpoint) {
        let id = EndpointId { slot: sender, index: attach.endpoint };
        let mine = sender == self.settings.me;
        if mine {
            self.outbound.applied(id.index, ATTACH);
        }
        if id.index == 0 || self.state.endpoints.contains_key(&id) {
            // A copy of one that was delivered before.
            return;
        }
        if let Err(reason) = self.judge(&attach) {
            if mine {
                self.outbound.remove(id.index);
                self.links.dismiss(id.index, LinkEvent::AttachRefused { reason });
            }
            return;
        }
        if let Some(other) = self.state.served(attach.uid) {
            self.lose(other);
        }
        let known = self.state.lost.remove(&attach.uid);
        let mut endpoint = known.unwrap_or_else(|| Endpoint::new(attach.name.clone(), None));
        endpoint.attach = Some((attach.uid, attach.epoch));
        if planted(Bug::AttachBelieved) {
            endpoint.last = RequestNumber(attach.lowest_held.0 - 1);
        }
        let groups = endpoint.groups();
        // Meanwhile other endpoints' sessions may have taken names.
        endpoint.sessions.retain(|_, known| !self.state.names.contains_key(&known.name));
        if mine && self.links.attached(id.index) {
            let (epoch, last, position) = (attach.epoch, endpoint.last, self.here());
            let sessions = endpoint.sessions.keys().copied().collect();
            self.links.tell(id.index, LinkEvent::Attached { epoch, last, sessions, position });
        }
        let (own, fresh) = self.enroll(id, endpoint, attach.applied);
        self.renew(&groups, &own, &fresh);
    }

    /// Whether the component can serve this attach; all its daemons find the same.
    fn judge(&self, attach: &AttachEndpoint) -> Result<(), RefusedAttach> {
        if self.transition.is_some() {
            return Err(RefusedAttach::NotReady);
        }
        let served = self.state.served(attach.uid).and_then(|id| self.state.endpoints.get(&id));
        let Some(known) = served.or_else(|| self.state.lost.get(&attach.uid)) else {
            return if attach.new { Ok(()) } else { Err(RefusedAttach::Unknown) };
        };
        if known.attach.is_some_and(|(_, epoch)| attach.epoch <= epoch) {
            return Err(RefusedAttach::Superseded);
        }
        if known.name != attach.name {
            return Err(RefusedAttach::Name);
        }
        // Requests that it can't send again, or whose effects it has seen, were ordered in another
        // component and not here.
        let seen = attach.applied > known.last;
        if attach.lowest_held.0 > known.last.0 + 1 || seen {
            return Err(RefusedAttach::Unknown);
        }
        Ok(())
    }

    pub(crate) fn apply_detach(&mut self, id: EndpointId) {
        if id.slot == self.settings.me {
            self.outbound.remove(id.index);
        }
        if id.index == 0 || !self.state.endpoints.contains_key(&id) {
            return;
        }
        let names = self.lose(id);
        if self.transition.is_none() {
            self.renew(&names, &Rows::new(), &Rows::new());
        }
    }

    pub(crate) fn apply_forget(&mut self, uid: EndpointUid, epoch: Epoch) {
        let known = self.state.lost.get(&uid).and_then(|endpoint| endpoint.attach);
        if known == Some((uid, epoch)) {
            self.state.lost.remove(&uid);
        }
    }

    /// The endpoint is cut off: groups that have other members get the transitional signal. Returns
    /// its groups; those that are left need a view.
    fn lose(&mut self, id: EndpointId) -> BTreeSet<GroupName> {
        let Some(mut endpoint) = self.state.endpoints.remove(&id) else { return BTreeSet::new() };
        if id.slot == self.settings.me {
            self.outbound.remove(id.index);
            self.links.dismiss(id.index, LinkEvent::Detached);
        }
        for session in endpoint.sessions.values() {
            self.state.names.remove(&session.name);
            for name in session.groups.keys() {
                let key = key_of(id, &endpoint, &session.name);
                if let Some(group) = self.state.groups.get_mut(name) {
                    group.remove(&key);
                }
            }
        }
        endpoint.parts = Parts::default();
        let names = endpoint.groups();
        self.state.groups.retain(|_, group| !group.members.is_empty());
        names.iter().for_each(|name| self.mark(name));
        if let Some((uid, _)) = endpoint.attach {
            self.state.lost.insert(uid, endpoint);
            if self.state.lost.len() > self.settings.bounds.lost_endpoints {
                // Any choice will do that all daemons make alike.
                self.state.lost.pop_first();
            }
        }
        names
    }

    /// The endpoint's sessions are members again, at another daemon. Returns the members, and apart from
    /// them those whose joins the endpoint has not seen: they come together with nobody.
    fn enroll(
        &mut self,
        id: EndpointId,
        endpoint: Endpoint,
        applied: RequestNumber,
    ) -> (Rows, Rows) {
        let (mut own, mut fresh) = (Rows::new(), Rows::new());
        for (session, known) in &endpoint.sessions {
            self.state.names.insert(known.name.clone(), (id, *session));
            let key = key_of(id, &endpoint, &known.name);
            let (endpoint, membership) = (id.index, known.membership);
            for (name, joined) in &known.groups {
                let member = Member { endpoint, session: *session, membership };
                let set = if *joined <= applied { &mut own } else { &mut fresh };
                set.insert((name.clone(), key.clone()));
                self.state.join(name, key.clone(), member);
            }
        }
        self.state.endpoints.insert(id, endpoint);
        (own, fresh)
    }

    /// Views of the groups that an endpoint left or came back to.
    fn renew(&mut self, names: &BTreeSet<GroupName>, own: &Rows, fresh: &Rows) {
        let id = group_id(attach_hash(&self.here()), 1);
        for name in names {
            let Some(group) = self.state.groups.get_mut(name) else { continue };
            group.id = id;
            group.marked = false;
            let place = |key: &MemberKey| {
                let member = (name.clone(), key.clone());
                if own.contains(&member) {
                    1
                } else if let Some(place) = fresh.iter().position(|row| *row == member) {
                    2 + place
                } else {
                    0
                }
            };
            let mut sets: BTreeMap<usize, Vec<MemberKey>> = BTreeMap::new();
            for key in group.members.keys() {
                sets.entry(place(key)).or_default().push(key.clone());
            }
            let sets: Vec<_> = sets.into_values().collect();
            self.tell_view(name, Cause::Network, &sets);
        }
    }
}

fn key_of(id: EndpointId, endpoint: &Endpoint, name: &spread_wire::ids::PrivateName) -> MemberKey {
    MemberKey { slot: id.slot, endpoint: endpoint.name.clone(), name: name.clone() }
}
