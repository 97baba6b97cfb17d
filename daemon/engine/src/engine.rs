//! The engine: deliveries and configurations in, link events and payloads to order out.

use crate::exchange::Exchange;
use crate::groups::{Endpoint, MemberKey, State};
use crate::links::Links;
use crate::merge::{Merged, merge};
use crate::outbound::Outbound;
use crate::settings::{EngineOutput, EngineSettings, LinkId};
use crate::view::{transitional_hash, transitions, views};
use spread_bugs::{Bug, planted};
use spread_ring::{Configuration, ConfigurationKind, Delivery};
use spread_wire::arena::Arena;
use spread_wire::ids::{ConfigurationId, EndpointId, EndpointUid, GroupName, Position, Seq, Slot};
use spread_wire::link::{Cause, LinkEvent, Request, RequestBody};
use spread_wire::ordered::table::{Origin, Table};
use spread_wire::ordered::{Ordered, decode, encode_request, encode_void};
use spread_wire::service::Guarantee;
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes that small requests share.
const ENCODED_BYTES: usize = 32 << 10;

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

/// From a transitional configuration to the regular one after it.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    pub(crate) next: ConfigurationId,
    pub(crate) members: BTreeSet<Slot>,
}

/// Those who share this daemon's state and go on with it.
pub(crate) struct Parting {
    pub(crate) hash: u64,
    pub(crate) component: BTreeSet<Slot>,
}

/// Groups and endpoints over a ring that gives configurations and deliveries.
///
/// Duties of whoever holds it:
/// 1. hand over everything the ring installs and delivers, in order;
/// 2. offer the ring what [`Engine::peek_submission`] shows, and say so if it was taken;
/// 3. empty [`Engine::poll_output`] after every call.
#[derive(Debug)]
pub struct Engine {
    pub(crate) settings: EngineSettings,
    pub(crate) state: State,
    pub(crate) members: BTreeSet<Slot>,
    /// Members with the same state as this daemon; while an exchange is due these are not all.
    pub(crate) kin: BTreeSet<Slot>,
    /// The regular configuration installed last.
    configuration: Option<ConfigurationId>,
    /// The configuration whose views stand.
    pub(crate) settled: Option<ConfigurationId>,
    /// Set while an exchange is due: where the own state comes from.
    pub(crate) origin: Option<Origin>,
    pub(crate) exchange: Option<Exchange>,
    pub(crate) transition: Option<Transition>,
    pub(crate) position: Option<Position>,
    pub(crate) links: Links,
    pub(crate) outbound: Outbound,
    /// Since when this daemon knows each lost endpoint.
    lost_since: BTreeMap<EndpointUid, Instant>,
    /// Where requests are encoded: they leave in the order in which they came.
    encoded: Arena,
    pub(crate) counters: Counters,
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
            configuration: None,
            settled: None,
            origin: None,
            exchange: None,
            transition: None,
            position: None,
            links: Links::default(),
            outbound: Outbound::default(),
            lost_since: BTreeMap::new(),
            encoded: Arena::new(ENCODED_BYTES),
            counters: Counters::default(),
        }
    }

    /// Links the endpoint that is built into this daemon. Its name is that of the slot, its attach is
    /// implied by the daemon's being in a configuration.
    pub fn attach_builtin(&mut self, link: LinkId, uid: EndpointUid) {
        self.links.set_builtin(link, uid);
    }

    /// Takes a request of the endpoint behind the link.
    pub fn request(&mut self, link: LinkId, request: &Request) {
        let Some(endpoint) = self.links.endpoint(link) else { return };
        let guarantee = match &request.body {
            RequestBody::Close { broken: true, .. } => Guarantee::Safe,
            RequestBody::Multicast { message, .. } | RequestBody::Rest { message, .. } => {
                message.service.guarantee()
            }
            _ => Guarantee::Agreed,
        };
        let payload = encode_request(endpoint, request, &mut self.encoded);
        self.outbound.push(endpoint, Some(request.number), guarantee, payload);
        self.regulate(endpoint);
    }

    /// The payload that the ring should get next, if any may go now.
    #[must_use]
    pub fn peek_submission(&self) -> Option<(Guarantee, bytes::Bytes)> {
        self.outbound.peek(self.orders_requests())
    }

    /// The ring took what [`Engine::peek_submission`] showed.
    pub fn submission_taken(&mut self) {
        if let Some(endpoint) = self.outbound.taken(self.orders_requests()) {
            self.regulate(endpoint);
        }
    }

    /// The ring will never take what [`Engine::peek_submission`] showed: a message larger than it
    /// carries is dropped, its number goes on.
    pub fn submission_impossible(&mut self) {
        self.outbound.replace(self.orders_requests(), encode_void);
    }

    /// Every daemon of the configuration has what stands up to this place.
    pub fn stable(&mut self, configuration: ConfigurationId, seq: Seq) {
        if self.configuration == Some(configuration) && self.transition.is_none() {
            self.links.stable(seq);
        }
    }

    /// Whether it serves endpoints in other processes, and so wants to hear of [`Engine::stable`].
    #[must_use]
    pub fn serves_others(&self) -> bool {
        self.links.any_remote()
    }

    /// Time passed. Endpoints that were lost for too long are forgotten: the first daemon has it ordered.
    pub fn handle_timeout(&mut self, now: Instant) {
        let lost = &self.state.lost;
        self.lost_since.retain(|uid, _| lost.contains_key(uid));
        let first = self.members.first() == Some(&self.settings.me) && self.orders_requests();
        for (uid, endpoint) in lost {
            let since = self.lost_since.entry(*uid).or_insert(now);
            let over = now.since(*since) >= self.settings.lost_retention;
            if first
                && over
                && let Some((_, epoch)) = endpoint.attach
            {
                // Asked again if this comes to nothing.
                *since = now;
                self.outbound.push_forget(spread_wire::ordered::encode_forget(*uid, epoch));
            }
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<EngineOutput> {
        self.links.poll_output()
    }

    /// Moves all that [`Engine::poll_output`] would hand over behind what waits in `to`.
    pub(crate) fn take_outputs(&mut self, to: &mut VecDeque<EngineOutput>) {
        self.links.take_outputs(to);
    }

    /// How many outputs were handed over so far.
    pub(crate) fn polled(&self) -> u64 {
        self.links.polled()
    }

    /// How many there will have been once all that there are now were.
    pub(crate) fn told(&mut self) -> u64 {
        self.links.told()
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
        // Everyone who goes on has what was delivered so far.
        self.links.stable(Seq(u64::MAX));
        let members = configuration.members.iter().map(|id| id.slot).collect();
        self.transition = Some(Transition { next: configuration.id, members });
        if self.exchange.is_none() {
            self.mark_lost();
        }
    }

    fn install_regular(&mut self, configuration: &Configuration) {
        let me = self.settings.me;
        let abandoned = self.abandon_exchange(configuration.id);
        // Everyone who goes on has what was delivered, and what the exchange had held.
        self.links.stable(Seq(u64::MAX));
        self.drop_parts();
        self.configuration = Some(configuration.id);
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
            let table = |slot: &Slot| self.state.table_of(*slot, self.origin, &self.kin);
            let tables: Vec<_> = self.members.iter().map(table).collect();
            self.settle(&tables, configuration.id);
        } else {
            self.begin_exchange(configuration.id);
        }
    }

    fn first_kin(&self) -> Slot {
        self.kin.first().copied().unwrap_or(self.settings.me)
    }

    /// Who of those with this daemon's state goes on with it, in a transitional configuration.
    pub(crate) fn parting(&self) -> Option<Parting> {
        let Transition { next, members } = self.transition.as_ref()?;
        let component: BTreeSet<Slot> = members.intersection(&self.kin).copied().collect();
        Some(Parting { hash: transitional_hash(next, component.iter().copied()), component })
    }

    /// Groups with members on daemons that do not come along: their members are told.
    pub(crate) fn mark_lost(&mut self) {
        let Some(Parting { component, .. }) = self.parting() else { return };
        let ids = self.state.endpoints.keys();
        let lost: BTreeSet<Slot> =
            ids.map(|id| id.slot).filter(|slot| !component.contains(slot)).collect();
        let names: Vec<GroupName> = self
            .state
            .groups
            .iter()
            .filter(|(_, group)| lost.iter().any(|slot| group.has_member_of(*slot)))
            .map(|(name, _)| name.clone())
            .collect();
        names.iter().for_each(|name| self.mark(name));
    }

    /// The group loses members: those here are told, unless they were.
    pub(crate) fn mark(&mut self, name: &GroupName) {
        let position = self.here();
        let Some(group) = self.state.groups.get_mut(name) else { return };
        if !group.marked {
            group.marked = true;
            if planted(Bug::NoSignal) {
                return;
            }
            let signals = transitions(self.settings.me, position, name, group);
            self.tell_all(signals);
        }
    }

    pub(crate) fn settle(&mut self, tables: &[Table], configuration: ConfigurationId) {
        let merged = merge(tables, &configuration, &self.settings);
        self.end_superseded(&merged);
        self.state = merged.state;
        for slot in &self.members {
            let name = self.settings.slot_name(*slot);
            let builtin = self.state.endpoints.entry(EndpointId::builtin(*slot));
            builtin.or_insert_with(|| Endpoint::new(name, None));
        }
        self.settled = Some(configuration);
        self.origin = None;
        self.kin = self.members.clone();
        for (endpoint, session) in merged.refused {
            self.tell_owner(endpoint, LinkEvent::SessionRefused { session });
        }
        for due in merged.views {
            self.tell_view(&due.group, Cause::Network, &due.vs_sets);
        }
    }

    /// Endpoints that this component brings and that have attached in another one since: to their
    /// groups here they are lost, though they may be back with the view that follows.
    fn end_superseded(&mut self, merged: &Merged) {
        for id in &merged.superseded {
            let Some(endpoint) = self.state.endpoints.get(id) else { continue };
            for name in endpoint.groups() {
                self.mark(&name);
            }
            if id.slot == self.settings.me {
                self.outbound.remove(id.index);
                self.links.dismiss(id.index, LinkEvent::Detached);
            }
        }
    }

    pub(crate) fn tell_view(&mut self, name: &GroupName, cause: Cause, vs_sets: &[Vec<MemberKey>]) {
        let Some(group) = self.state.groups.get(name) else { return };
        let events = views(self.settings.me, self.here(), name, group, cause, vs_sets);
        self.counters.views += events.len() as u64;
        self.tell_all(events);
    }

    pub(crate) fn tell_owner(&mut self, endpoint: EndpointId, event: LinkEvent) {
        if endpoint.slot == self.settings.me {
            self.links.tell(endpoint.index, event);
        }
    }

    pub(crate) fn tell_all(&mut self, events: Vec<(u32, LinkEvent)>) {
        for (endpoint, event) in events {
            self.links.tell(endpoint, event);
        }
    }

    /// Pauses an endpoint's link while too much of it waits for the ring.
    pub(crate) fn regulate(&mut self, endpoint: u32) {
        let bounds = &self.settings.bounds;
        let waiting = self.outbound.waiting_bytes_of(endpoint);
        self.links.pause(endpoint, |paused| {
            waiting > if paused { bounds.resume_bytes } else { bounds.waiting_bytes }
        });
    }

    pub(crate) fn orders_requests(&self) -> bool {
        self.exchange.is_none() && self.settled.is_some()
    }

    pub(crate) fn here(&self) -> Position {
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
