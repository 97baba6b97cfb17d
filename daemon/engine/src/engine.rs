//! The engine: deliveries and configurations in, link events and payloads to order out.

use crate::exchange::{Exchange, chunks};
use crate::groups::{Group, Member, MemberKey, Session, State};
use crate::merge::merge;
use crate::outbound::{Outbound, Submission};
use crate::route::receivers;
use crate::settings::{EngineOutput, EngineSettings, LinkId};
use crate::view::{
    configuration_hash, group_id, next_id, next_index, self_leave, transition, transitional_hash,
    view,
};
use spread_bugs::{Bug, planted};
use spread_ring::{Configuration, ConfigurationKind, Delivery};
use spread_wire::ids::{
    ConfigurationId, EndpointUid, GroupName, Position, PrivateName, RequestNumber, Seq, SessionId,
    Slot,
};
use spread_wire::link::{
    Attach, Cause, Delivered, LinkEvent, Multicast, RefusedAttach, Request, RequestBody,
};
use spread_wire::ordered::table::{Origin, Table};
use spread_wire::ordered::{Ordered, decode, encode_request, encode_void};
use spread_wire::service::Guarantee;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Rising counts since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages handed to the local endpoint.
    pub messages: u64,
    /// Views handed to the local endpoint.
    pub views: u64,
    /// Requests delivered that were not the next number of their endpoint.
    pub out_of_turn: u64,
    /// Payloads delivered that could not be read.
    pub unreadable: u64,
    /// State exchanges completed.
    pub exchanges: u64,
    /// State exchanges cut short by another membership change.
    pub abandoned: u64,
}

/// The engine's state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineStatus {
    /// Open sessions of all daemons of the component.
    pub sessions: usize,
    /// Groups with members.
    pub groups: usize,
    /// Endpoints of the component.
    pub endpoints: usize,
    /// A state exchange is under way: client traffic waits.
    pub exchanging: bool,
    /// Bytes of requests that wait for the ring.
    pub waiting_bytes: usize,
}

/// The link to the endpoint that is built into the daemon.
#[derive(Clone, Copy, Debug)]
struct Front {
    link: LinkId,
    uid: EndpointUid,
    paused: bool,
}

/// From a transitional configuration to the regular one after it.
#[derive(Clone, Debug)]
struct Transition {
    next: ConfigurationId,
    members: BTreeSet<Slot>,
}

/// Those who share this daemon's state and go on with it.
struct Parting {
    hash: u64,
    component: BTreeSet<Slot>,
}

/// Groups and endpoints over a ring that gives configurations and deliveries.
///
/// Duties of whoever holds it:
/// 1. hand over everything the ring installs and delivers, in order;
/// 2. offer the ring what [`Engine::peek_submission`] shows, and say so if it was taken;
/// 3. empty [`Engine::poll_output`] after every call.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    state: State,
    members: BTreeSet<Slot>,
    /// Members with the same state as this daemon; while an exchange is due these are not all.
    kin: BTreeSet<Slot>,
    /// The configuration whose views stand.
    settled: Option<ConfigurationId>,
    /// Set while an exchange is due: where the own state comes from.
    origin: Option<Origin>,
    exchange: Option<Exchange>,
    transition: Option<Transition>,
    position: Option<Position>,
    front: Option<Front>,
    outbound: Outbound,
    outputs: VecDeque<EngineOutput>,
    counters: Counters,
}

impl Engine {
    /// An engine that is in no configuration yet.
    #[must_use]
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            state: State::default(),
            members: BTreeSet::new(),
            kin: BTreeSet::from([settings.me]),
            settings,
            settled: None,
            origin: None,
            exchange: None,
            transition: None,
            position: None,
            front: None,
            outbound: Outbound::default(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Links the endpoint that is built into this daemon. Its name is that of the slot, its attach is
    /// implied by the daemon's being in a configuration.
    pub fn attach_builtin(&mut self, link: LinkId, uid: EndpointUid) {
        self.front = Some(Front { link, uid, paused: false });
    }

    /// Refuses: endpoints in other processes are not served yet.
    pub fn attach(&mut self, link: LinkId, _attach: Attach) {
        let event = LinkEvent::AttachRefused { reason: RefusedAttach::Unknown };
        self.outputs.push_back(EngineOutput::Link { link, event });
    }

    /// Ends a link. The endpoint's sessions end with their own requests or with the daemon.
    pub fn detach(&mut self, link: LinkId) {
        if self.front.is_some_and(|front| front.link == link) {
            self.front = None;
        }
    }

    /// Takes a request of the endpoint behind the link.
    pub fn request(&mut self, link: LinkId, request: &Request) {
        if self.front.is_none_or(|front| front.link != link) {
            return;
        }
        let guarantee = match &request.body {
            RequestBody::Close { broken: true, .. } => Guarantee::Safe,
            RequestBody::Multicast { message, .. } => message.service.guarantee(),
            _ => Guarantee::Agreed,
        };
        self.outbound.push(request.number, guarantee, encode_request(request));
        self.regulate();
    }

    /// The payload that the ring should get next, if any may go now.
    #[must_use]
    pub fn peek_submission(&self) -> Option<(Guarantee, bytes::Bytes)> {
        let Submission { guarantee, payload, .. } = self.outbound.peek(self.orders_requests())?;
        Some((guarantee, payload))
    }

    /// The ring took what [`Engine::peek_submission`] showed.
    pub fn submission_taken(&mut self) {
        self.outbound.taken();
        self.regulate();
    }

    /// The ring will never take what [`Engine::peek_submission`] showed: a message larger than it
    /// carries is dropped, its number goes on.
    pub fn submission_impossible(&mut self) {
        match self.outbound.peek(self.orders_requests()) {
            Some(Submission { number: Some(number), .. }) => {
                self.outbound.replace(encode_void(number));
            }
            Some(_) => self.outbound.taken(),
            None => {}
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<EngineOutput> {
        self.outputs.pop_front()
    }

    /// Sessions, groups and endpoints as all daemons of the component have them here.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Numbers for people.
    #[must_use]
    pub fn status(&self) -> EngineStatus {
        EngineStatus {
            sessions: self.state.session_count(),
            groups: self.state.groups.len(),
            endpoints: self.state.endpoints.len(),
            exchanging: self.exchange.is_some(),
            waiting_bytes: self.outbound.waiting_bytes(),
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The ring installed a configuration.
    pub fn installed(&mut self, configuration: &Configuration) {
        match configuration.kind {
            ConfigurationKind::Transitional => self.install_transitional(configuration),
            ConfigurationKind::Regular => self.install_regular(configuration),
        }
    }

    /// The ring delivered a payload.
    pub fn delivered(&mut self, delivery: Delivery) {
        self.position = Some(delivery.position);
        let Some(exchange) = &mut self.exchange else {
            return self.apply(delivery);
        };
        match decode(delivery.payload.clone()) {
            Ok(Ordered::Chunk(chunk)) => {
                exchange.take(delivery.sender, &chunk, &self.settings.bounds);
                self.complete_exchange();
            }
            Ok(_) => exchange.held.push(delivery),
            Err(_) => self.counters.unreadable += 1,
        }
    }

    fn install_transitional(&mut self, configuration: &Configuration) {
        let members = configuration.members.iter().map(|id| id.slot).collect();
        self.transition = Some(Transition { next: configuration.id, members });
        if self.exchange.is_none() {
            self.mark_lost();
        }
    }

    fn install_regular(&mut self, configuration: &Configuration) {
        let me = self.settings.me;
        let abandoned = self.abandon_exchange(configuration.id);
        let mine = configuration.components.iter().find(|part| part.members.contains(&me));
        let together = mine
            .map_or_else(|| BTreeSet::from([me]), |part| part.members.iter().copied().collect());
        self.transition = Some(Transition { next: configuration.id, members: together });
        self.mark_lost();
        if let Some(parting) = self.parting() {
            self.kin = parting.component;
        }
        self.members = configuration.members.iter().map(|id| id.slot).collect();
        self.position = Some(Position { configuration: configuration.id, seq: Seq(0), index: 0 });
        if self.origin.is_none() {
            let (branch, first) = (configuration.id, self.first_kin());
            self.origin = self.settled.map(|settled| Origin { settled, branch, first });
        }
        self.transition = None;
        if configuration.components.len() == 1 && !abandoned {
            let tables = self.members.iter().map(|slot| self.state.table_of(*slot, self.origin));
            let tables: Vec<_> = tables.collect();
            self.settle(&tables, configuration.id);
        } else {
            self.begin_exchange(configuration.id);
        }
    }

    fn first_kin(&self) -> Slot {
        self.kin.first().copied().unwrap_or(self.settings.me)
    }

    /// Who of those with this daemon's state goes on with it, in a transitional configuration.
    fn parting(&self) -> Option<Parting> {
        let Transition { next, members } = self.transition.as_ref()?;
        let component: BTreeSet<Slot> = members.intersection(&self.kin).copied().collect();
        Some(Parting { hash: transitional_hash(next, component.iter().copied()), component })
    }

    /// Groups with members on daemons that do not come along: their members are told.
    fn mark_lost(&mut self) {
        let Some(Parting { component, .. }) = self.parting() else { return };
        let lost: Vec<_> =
            self.state.endpoints.keys().filter(|slot| !component.contains(slot)).copied().collect();
        let mut signals = Vec::new();
        let position = self.here();
        for (name, group) in &mut self.state.groups {
            if !group.marked && lost.iter().any(|slot| group.has_member_of(*slot)) {
                group.marked = true;
                if planted(Bug::NoSignal) {
                    continue;
                }
                signals.extend(transition(self.settings.me, position, name, group));
            }
        }
        self.tell_all(signals);
    }

    fn begin_exchange(&mut self, configuration: ConfigurationId) {
        let hash = configuration_hash(&configuration);
        let table = self.state.table_of(self.settings.me, self.origin);
        self.outbound.set_chunks(chunks(&table, hash, self.settings.bounds.chunk_bytes));
        self.exchange = Some(Exchange::new(configuration, hash, self.members.clone()));
    }

    /// The membership changed again before all tables were there. If all daemons of the exchange go on together, none of
    /// them has applied anything of it, and own requests that were delivered into it are submitted again.
    ///
    /// Otherwise those that are lost may have completed it and applied what it held. So it counts here too, once and
    /// before anything new, for those with the same state; the others were in no view together with its senders yet.
    fn abandon_exchange(&mut self, next: ConfigurationId) -> bool {
        let Some(exchange) = self.exchange.take() else { return false };
        self.counters.abandoned += 1;
        self.outbound.set_chunks(Vec::new());
        let all = planted(Bug::HeldAgain);
        let all =
            all || self.transition.as_ref().is_some_and(|phase| phase.members == self.members);
        if all {
            let own = exchange.held.iter().any(|delivery| delivery.sender == self.settings.me);
            if own && !planted(Bug::HeldForgotten) {
                self.outbound.submit_again();
            }
            return true;
        }
        self.mark_lost();
        let kin = self.kin.clone();
        let mut held = exchange.held;
        held.retain(|delivery| kin.contains(&delivery.sender));
        if !held.is_empty() {
            let component = self.parting().map(|parting| parting.component);
            let first = component.and_then(|component| component.first().copied());
            let first = first.unwrap_or(self.settings.me);
            self.origin = Some(Origin { settled: exchange.configuration, branch: next, first });
        }
        for delivery in held {
            self.position = Some(delivery.position);
            self.apply(delivery);
        }
        true
    }

    /// May also happen in the transitional configuration: everyone who goes on together has the same
    /// tables there, and the loss is told after the views.
    fn complete_exchange(&mut self) {
        let complete = self.exchange.as_ref().and_then(Exchange::complete);
        let Some(tables) = complete.map(<[Table]>::to_vec) else { return };
        let Some(exchange) = self.exchange.take() else { return };
        self.counters.exchanges += 1;
        // The views come before all that was held, so they stand before it in the order too.
        let configuration = exchange.configuration;
        self.position = Some(Position { configuration, seq: Seq(0), index: 0 });
        self.settle(&tables, configuration);
        self.mark_lost();
        for delivery in exchange.held.into_iter().filter(|_| !planted(Bug::HeldDropped)) {
            self.position = Some(delivery.position);
            self.apply(delivery);
        }
    }

    fn settle(&mut self, tables: &[Table], configuration: ConfigurationId) {
        let merged = merge(tables, &configuration, &self.settings.slots);
        self.state = merged.state;
        for slot in &self.members {
            self.state.endpoints.entry(*slot).or_default();
        }
        self.settled = Some(configuration);
        self.origin = None;
        self.kin = self.members.clone();
        for (slot, session) in merged.refused {
            self.tell_owner(slot, LinkEvent::SessionRefused { session });
        }
        for due in merged.views {
            self.tell_view(&due.group, Cause::Network, &due.vs_sets);
        }
    }

    fn apply(&mut self, delivery: Delivery) {
        let request = match decode(delivery.payload) {
            Ok(Ordered::Request(request)) => request,
            Ok(Ordered::Void(number)) => {
                self.take_turn(delivery.sender, number);
                return;
            }
            Ok(Ordered::Chunk(_)) => return,
            Err(_) => return self.counters.unreadable += 1,
        };
        if !self.take_turn(delivery.sender, request.number) {
            return;
        }
        let (slot, position) = (delivery.sender, delivery.position);
        match request.body {
            RequestBody::Open { session, name, membership } => {
                self.open(slot, session, name, membership);
            }
            RequestBody::Close { session, .. } => self.close(slot, session),
            RequestBody::Join { session, group } => self.join(slot, session, group),
            RequestBody::Leave { session, group } => self.leave(slot, session, &group),
            RequestBody::Multicast { session, message } => {
                self.route(slot, session, position, message);
            }
        }
        if slot == self.settings.me {
            self.tell_owner(slot, LinkEvent::Acknowledged { number: request.number });
        }
    }

    /// Whether this is the endpoint's next request; all daemons decide alike.
    fn take_turn(&mut self, sender: Slot, number: RequestNumber) -> bool {
        let endpoint = self.state.endpoints.entry(sender).or_default();
        if number.0 != endpoint.last.0.wrapping_add(1) {
            self.counters.out_of_turn += 1;
            return false;
        }
        endpoint.last = number;
        if sender == self.settings.me {
            self.outbound.applied(number);
            self.regulate();
        }
        true
    }

    fn open(&mut self, slot: Slot, id: SessionId, name: PrivateName, membership: bool) {
        let endpoint = self.state.endpoints.entry(slot).or_default();
        if self.state.names.contains_key(&name) || endpoint.sessions.contains_key(&id) {
            return self.tell_owner(slot, LinkEvent::SessionRefused { session: id });
        }
        self.state.names.insert(name.clone(), (slot, id));
        endpoint.sessions.insert(id, Session { name, membership, groups: BTreeSet::new() });
        let position = self.here();
        self.tell_owner(slot, LinkEvent::SessionOpened { session: id, position });
    }

    fn close(&mut self, slot: Slot, id: SessionId) {
        let endpoint = self.state.endpoints.entry(slot).or_default();
        let Some(session) = endpoint.sessions.remove(&id) else { return };
        self.state.names.remove(&session.name);
        for name in &session.groups {
            let key = MemberKey { slot, name: session.name.clone() };
            self.remove_member(name, &key, Cause::Disconnect(session.name.clone()));
        }
        self.tell_owner(slot, LinkEvent::SessionClosed { session: id });
    }

    fn join(&mut self, slot: Slot, id: SessionId, name: GroupName) {
        let endpoint = self.state.endpoints.entry(slot).or_default();
        let Some(session) = endpoint.sessions.get_mut(&id) else { return };
        if !session.groups.insert(name.clone()) {
            return;
        }
        let key = MemberKey { slot, name: session.name.clone() };
        let member = Member { session: id, membership: session.membership };
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

    fn leave(&mut self, slot: Slot, id: SessionId, name: &GroupName) {
        let endpoint = self.state.endpoints.entry(slot).or_default();
        let Some(session) = endpoint.sessions.get_mut(&id) else { return };
        if !session.groups.remove(name) {
            return;
        }
        let key = MemberKey { slot, name: session.name.clone() };
        if session.membership
            && slot == self.settings.me
            && let Some(group) = self.state.groups.get(name)
        {
            let event = self_leave(self.here(), name, group.id, key.name.clone(), id);
            self.tell(event);
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
        let signal = self
            .state
            .groups
            .get(name)
            .and_then(|group| transition(self.settings.me, self.here(), name, group));
        self.tell_all(signal.into_iter().collect());
    }

    fn route(&mut self, slot: Slot, id: SessionId, position: Position, message: Multicast) {
        let session = self.state.endpoints.get(&slot).and_then(|known| known.sessions.get(&id));
        let Some(sender) = session.map(|session| session.name.clone()) else { return };
        let Some(front) = self.front else { return };
        let receivers = receivers(&mut self.state, self.settings.me, &message.groups);
        if receivers.is_empty() {
            return;
        }
        // Only the own endpoint's uid is ever compared; another daemon's must only differ from it.
        let uid = if slot == self.settings.me { front.uid } else { EndpointUid(!front.uid.0) };
        let sender_session = (uid, id);
        let delivered = Delivered { position, sender, sender_session, message };
        self.counters.messages += 1;
        self.tell(LinkEvent::Message(Arc::new(delivered), receivers));
    }

    fn tell_view(&mut self, name: &GroupName, cause: Cause, vs_sets: &[Vec<MemberKey>]) {
        let Some(group) = self.state.groups.get(name) else { return };
        let event = view(self.settings.me, self.here(), name, group, cause, vs_sets);
        if let Some(event) = event {
            self.counters.views += 1;
            self.tell(event);
        }
    }

    fn tell_owner(&mut self, slot: Slot, event: LinkEvent) {
        if slot == self.settings.me {
            self.tell(event);
        }
    }

    fn tell_all(&mut self, events: Vec<LinkEvent>) {
        for event in events {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: LinkEvent) {
        if let Some(Front { link, .. }) = self.front {
            self.outputs.push_back(EngineOutput::Link { link, event });
        }
    }

    /// Pauses the link while too much waits for the ring.
    fn regulate(&mut self) {
        let bounds = &self.settings.bounds;
        let Some(front) = &mut self.front else { return };
        let waiting = self.outbound.waiting_bytes();
        let most = if front.paused { bounds.resume_bytes } else { bounds.waiting_bytes };
        let pause = waiting > most;
        if pause != front.paused {
            front.paused = pause;
            self.tell(LinkEvent::Pause(pause));
        }
    }

    fn orders_requests(&self) -> bool {
        self.exchange.is_none() && self.settled.is_some()
    }

    fn here(&self) -> Position {
        self.position.unwrap_or(Position {
            configuration: self.settled.unwrap_or(ConfigurationId {
                ring: spread_wire::ids::RingNumber(0),
                epoch: 0,
                representative: self.settings.me,
                boot: spread_wire::ids::BootId(0),
            }),
            seq: Seq(0),
            index: 0,
        })
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
