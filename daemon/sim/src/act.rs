//! Actions of a plan: faults, and what clients do.

use crate::client::{Connection, Stage, hello, request};
use crate::fault::{Action, Blow, Send, Site};
use crate::history::{Asked, MessageId, ProcessEnd, Request, SessionEnd, SessionIndex};
use crate::node::{FromClient, Pipe};
use crate::world::World;
use bytes::Bytes;
use core::time::Duration;
use spread_front::ConnectionId;
use spread_wire::ids::PrivateName;
use spread_wire::name::Name;
use spread_wire::service::bits;
use std::collections::VecDeque;

/// A blow comes within so many times as long as packets take, after an exchange began: mostly before the token was
/// everywhere.
const AMBUSH_DELAYS: [u64; 4] = [1, 2, 4, 12];
/// Longest user part of a private name.
const NAME_BYTES: usize = 10;

impl World {
    /// Does an action; one that makes no sense now does nothing.
    pub fn act(&mut self, action: &Action) {
        let moment = self.history.tick(self.now);
        self.trace.mix(self.now.0.rotate_left(17) ^ self.next_action as u64);
        if !matches!(action, Action::Send(_) | Action::Expect(_)) {
            self.trace.line(moment, || format!("- {action}"));
        }
        self.note_fault(action);
        match action {
            Action::Start(site) => self.start(*site),
            Action::Crash(site) => self.with(*site, |world, index| {
                world.end(index, ProcessEnd::Crash);
            }),
            Action::Ambush(site, blow) => self.ambushes.push((*site, *blow)),
            Action::Leave(site) => self.with(*site, Self::leave_ring),
            Action::Pause(site) => self.with(*site, |world, index| {
                world.nodes[index].paused = true;
                world.nodes[index].plan(world.now);
            }),
            Action::Resume(site) => self.with(*site, Self::resume),
            Action::Move(site) => self.with(*site, Self::change_address),
            Action::Unlink(site) => self.with(*site, |world, index| {
                world.unlink(index);
            }),
            Action::Attach(site, daemon) => self.with(*site, |world, index| {
                world.attach_only_at(index, *daemon);
            }),
            Action::Partition(components) => self.network.partition(components),
            Action::Cut(from, to) => self.network.cut(*from, *to),
            Action::Hold(site) => self.network.hold(*site),
            Action::HoldPicked(picked) => self.picked.hold(*picked),
            Action::Release(picked) => self.release(*picked),
            Action::Discard(picked) => drop(self.picked.end(*picked)),
            Action::When(site, kind, action) => {
                self.picked.wait(*site, *kind, Action::clone(action));
            }
            Action::Heal => self.network.heal(),
            Action::Loss(thousandths) => self.network.loss = *thousandths,
            Action::Duplicate(thousandths) => self.network.duplicate = *thousandths,
            Action::Reorder(thousandths) => self.network.reorder = *thousandths,
            Action::Delay(least, most) => self.network.delay = (*least, *most),
            Action::Calm => self.calm(),
            Action::Connect { client, site, name, silent } => {
                self.connect(*client, *site, name.as_deref(), *silent);
            }
            Action::Disconnect(client) => self.disconnect(*client),
            Action::Drop(client) => self.drop_socket(*client),
            Action::Join(client, group) => self.join(*client, group),
            Action::Part(client, group) => self.part(*client, group),
            Action::Send(send) => self.send(send),
            Action::Stall(client) => {
                let now = self.now;
                self.clients[*client].stalled_since.get_or_insert(now);
                self.clients[*client].stalls += 1;
            }
            Action::Read(client) => self.read_again(*client),
            Action::Expect(expectation) => self.expect(expectation),
        }
    }

    fn with(&mut self, site: Site, act: impl FnOnce(&mut Self, usize)) {
        if let Some(index) = self.sites.get(&site).copied() {
            act(self, index);
        }
    }

    fn leave_ring(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.runs() && !node.leaving {
            node.leaving = true;
            self.pump(index);
        }
    }

    fn resume(&mut self, index: usize) {
        if !core::mem::take(&mut self.nodes[index].paused) {
            return;
        }
        // Sockets first, as a driver does that wakes up late.
        while let Some(received) = self.nodes[index].socket.pop_front() {
            let node = &mut self.nodes[index];
            if node.ended {
                return;
            }
            let local = node.clock.local(self.now);
            node.daemon().handle_received(local, [received]);
            self.pump(index);
        }
        while let Some((link, what)) = self.nodes[index].inbox.pop_front() {
            self.up(index, link, what);
        }
        if !self.nodes[index].ended {
            self.call_timers(index);
            self.pump(index);
        }
    }

    fn change_address(&mut self, index: usize) {
        let (old, slot) = (self.nodes[index].address, self.nodes[index].site.slot);
        let new = self.new_address(slot);
        self.nodes[index].address = new;
        self.addresses.remove(&old);
        self.addresses.insert(new, index);
        self.rename(slot);
    }

    /// Does what waits for the state exchange that this daemon is in, a moment later.
    pub(crate) fn spring_ambush(&mut self, index: usize) {
        let site = self.nodes[index].site;
        let Some(which) = self.ambushes.iter().position(|(known, _)| *known == site) else {
            return;
        };
        let daemon = &self.nodes[index].daemon;
        if !daemon.as_ref().is_some_and(|daemon| daemon.status().exchanging) {
            return;
        }
        let action = match self.ambushes.swap_remove(which).1 {
            Blow::Crash => Action::Crash(site),
            Blow::Part => {
                let others = (0..self.plan.settings.daemons).map(|slot| Site { slot, twin: false });
                let others = others.filter(|other| *other != site).collect();
                Action::Partition(vec![others, vec![site]])
            }
        };
        let most = self.network.delay.1.as_micros() as u64 * self.random.pick(&AMBUSH_DELAYS);
        let at = self.now + Duration::from_micros(self.random.below(most));
        if at >= self.plan.end {
            // Calm ends all faults: none comes after it.
            return;
        }
        let later = &self.plan.actions[self.next_action..];
        let place = self.next_action + later.partition_point(|(known, _)| *known <= at);
        self.plan.actions.insert(place, (at, action));
    }

    /// All faults end.
    fn calm(&mut self) {
        self.ambushes.clear();
        self.network.calm();
        for slot in 0..self.plan.settings.daemons {
            let (first, twin) = (Site { slot, twin: false }, Site { slot, twin: true });
            // Of two in one slot the operator takes the older one away, if they have not settled it themselves.
            if self.sites.contains_key(&first) && self.sites.contains_key(&twin) {
                self.with(first, |world, index| world.end(index, ProcessEnd::Crash));
            }
            for site in [first, twin] {
                self.with(site, Self::resume);
            }
            if !self.sites.contains_key(&twin) {
                self.start(first);
            }
        }
        for number in 0..self.plan.endpoints {
            self.start(Site::endpoint(number));
        }
        for client in 0..self.clients.len() {
            self.read_again(client);
        }
    }

    fn connect(&mut self, client: usize, site: Site, name: Option<&str>, silent: bool) {
        if self.clients[client].connection.is_some() {
            return;
        }
        let other = Site { twin: !site.twin, ..site };
        let known = self.sites.get(&site).or_else(|| self.sites.get(&other));
        let Some(index) = known.copied() else { return };
        self.connections += 1;
        let id = ConnectionId(self.connections);
        let known = &mut self.clients[client];
        known.connections += 1;
        known.connection = Some(Connection::new(index, id, silent));
        let mut name = name.map_or_else(|| format!("c{client}"), str::to_owned);
        name.truncate(NAME_BYTES);
        let waiting =
            VecDeque::from([FromClient::Connect, FromClient::Bytes(hello(&name, silent))]);
        self.nodes[index].pipes.insert(id, Pipe { client, waiting });
        self.pump(index);
    }

    fn session(&self, client: usize) -> Option<(SessionIndex, PrivateName)> {
        let connection = self.clients.get(client)?.connection.as_ref()?;
        let Stage::Open(session) = connection.stage else { return None };
        let open = !connection.gone && !connection.closing;
        open.then(|| (session, self.history.sessions[session].name.clone()))
    }

    /// Writes to the daemon; now and then the bytes come in two parts.
    fn write_request(&mut self, client: usize, bytes: Bytes) {
        let Some(connection) = &self.clients[client].connection else { return };
        let (index, id) = (connection.process, connection.id);
        if self.random.chance(100) {
            let at = self.random.index(bytes.len());
            self.client_wrote(index, id, FromClient::Bytes(bytes.slice(..at)));
            return self.client_wrote(index, id, FromClient::Bytes(bytes.slice(at..)));
        }
        self.client_wrote(index, id, FromClient::Bytes(bytes));
    }

    fn disconnect(&mut self, client: usize) {
        let Some((_, name)) = self.session(client) else { return };
        self.end_session(client, SessionEnd::Asked);
        if let Some(connection) = &mut self.clients[client].connection {
            connection.gone = true;
        }
        let own = name.0.clone();
        self.write_request(client, request(bits::KILL, &name, &[own], &[]));
    }

    fn drop_socket(&mut self, client: usize) {
        let Some(connection) = &self.clients[client].connection else { return };
        let (index, id) = (connection.process, connection.id);
        self.end_session(client, SessionEnd::Dropped);
        self.clients[client].connection = None;
        self.client_wrote(index, id, FromClient::End);
    }

    fn ask(&mut self, session: SessionIndex, request: Request) {
        let moment = self.history.tick(self.now);
        let known = &mut self.history.sessions[session];
        let (seen, client) = (known.events.len(), known.client);
        self.trace.line(moment, || format!("c{client} s{session} asks to {request}"));
        known.asked.push(Asked { moment, seen, request });
    }

    fn join(&mut self, client: usize, group: &str) {
        let Some((session, name)) = self.session(client) else { return };
        let group = Name::from(group.as_bytes());
        self.ask(session, Request::Join(group.clone()));
        self.write_request(client, request(bits::JOIN, &name, &[group], &[]));
    }

    fn part(&mut self, client: usize, group: &str) {
        let Some((session, name)) = self.session(client) else { return };
        let group = Name::from(group.as_bytes());
        self.ask(session, Request::Leave(group.clone()));
        self.write_request(client, request(bits::LEAVE, &name, &[group], &[]));
    }

    fn send(&mut self, send: &Send) {
        let Some((session, name)) = self.session(send.client) else { return };
        let number = self.history.sessions[session].asked.len() as u32;
        let id = MessageId { session: session as u32, number };
        let payload = id.payload(&send.text, send.bytes);
        let groups: Vec<Name> =
            send.groups.iter().map(|group| Name::from(group.as_bytes())).collect();
        let discard = if send.discard { bits::SELF_DISCARD } else { 0 };
        let word = send.service as u32 | discard;
        let bytes = request(word, &name, &groups, &payload);
        let (service, discard) = (send.service, send.discard);
        self.ask(session, Request::Send { service, groups, discard, payload });
        self.write_request(send.client, bytes);
    }

    fn read_again(&mut self, client: usize) {
        if self.clients[client].stalled_since.take().is_none() {
            return;
        }
        self.read(client);
        if let Some(connection) = &self.clients[client].connection {
            let index = connection.process;
            self.pump(index);
        }
    }
}
