//! What daemons and fronts want done, done: the part of a driver.

use crate::client::{Read, Stage, choice};
use crate::history::{
    Entry, Event, Moment, ProcessEnd, Seen, SessionEnd, SessionHistory, SessionIndex,
};
use crate::node::{FromClient, LINK};
use crate::oracle;
use crate::world::World;
use core::net::SocketAddr;
use spread_engine::{Daemon, DaemonOutput};
use spread_front::{ConnectionId, FrontOutput};
use spread_ring::{ConfigurationKind, Destination, Output, Phase, Received};
use spread_wire::ids::{PrivateName, SessionId, Slot};
use spread_wire::link::{LinkEvent, Request};
use std::sync::Arc;

impl World {
    /// Does all that a daemon and its front want done.
    pub(crate) fn pump(&mut self, index: usize) {
        if self.nodes[index].paused {
            return;
        }
        while !self.nodes[index].ended {
            let node = &mut self.nodes[index];
            if let Some(output) = node.daemon.as_mut().and_then(Daemon::poll_output) {
                self.daemon_output(index, output);
            } else if let Some(output) = node.front.poll_output() {
                self.front_output(index, output);
            } else if !self.take_link(index)
                && !self.read_clients(index)
                && !self.leave_when_sent(index)
            {
                break;
            }
        }
        self.measure(index);
        if !self.ambushes.is_empty() && !self.nodes[index].ended {
            self.spring_ambush(index);
        }
        if self.network.holds_for(self.nodes[index].site) {
            let phase = self.nodes[index].daemon.as_ref().map(|daemon| daemon.ring_status().phase);
            if matches!(phase, Some(Phase::Form | Phase::Recovery)) {
                self.network.release(self.now, self.nodes[index].site);
            }
        }
        self.nodes[index].plan(self.now);
    }

    /// A daemon that ends in order leaves once its clients' large messages are on their way.
    fn leave_when_sent(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        if !node.leaving || node.left || node.front.sends_large() {
            return false;
        }
        node.left = true;
        let local = node.clock.local(self.now);
        node.daemon().leave(local);
        true
    }

    /// Hands the front the next event, unless a session holds it up.
    fn take_link(&mut self, index: usize) -> bool {
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        if node.link.is_empty() || node.front.congested(local) {
            return false;
        }
        if let Some(event) = node.link.pop_front() {
            if let LinkEvent::View(view) = &event {
                self.history.view_taken(node.uid(), view);
            }
            if let LinkEvent::Message(delivered, receivers) = &event {
                self.history.message_taken(node.uid(), delivered, receivers);
            }
            node.front.link_event(local, &event);
        }
        true
    }

    fn daemon_output(&mut self, index: usize, output: DaemonOutput) {
        match output {
            DaemonOutput::Link { link, event } if link == LINK => {
                self.record_link(index, &event);
                self.nodes[index].link.push_back(event);
            }
            DaemonOutput::Link { link, event } => self.down(index, link, event),
            DaemonOutput::Installed(configuration) => {
                let text = || {
                    let members: Vec<String> =
                        configuration.members.iter().map(|m| format!("d{}", m.slot)).collect();
                    format!(
                        "installs {:?} {} of [{}]",
                        configuration.kind,
                        configuration.id.epoch,
                        members.join(" ")
                    )
                };
                self.note(index, text);
                self.record(index, Entry::Install(configuration.clone()));
                self.nodes[index].installed = Some(configuration);
            }
            DaemonOutput::Ring(output) => self.ring_output(index, output),
        }
    }

    fn ring_output(&mut self, index: usize, output: Output) {
        match output {
            Output::Peers(peers) => self.nodes[index].peers = peers,
            Output::Path { slot, address, .. } => {
                self.nodes[index].paths.insert(slot, address);
            }
            Output::Send { to, packet } => {
                let node = &self.nodes[index];
                let path = |slot: &Slot| node.paths.get(slot).copied();
                let targets: Vec<SocketAddr> = match to {
                    Destination::Everyone => node.peers.iter().filter_map(path).collect(),
                    Destination::Slot(slot) => path(&slot).into_iter().collect(),
                    Destination::Address(address) => vec![address],
                };
                for target in targets {
                    self.transmit(index, target, packet.clone());
                }
            }
            Output::Left => self.end(index, ProcessEnd::Left),
            Output::Superseded { .. } => self.end(index, ProcessEnd::Superseded),
            Output::Trace(trace) => self.note(index, || match trace {
                spread_ring::Trace::Phase { phase, reason } => format!("{phase:?} ({reason:?})"),
                spread_ring::Trace::Refused { slot, why, .. } => {
                    format!("refuses d{slot}: {why:?}")
                }
                spread_ring::Trace::Waiting(occupant) => {
                    format!("waits: its slot has boot {:?}", occupant.daemon.boot)
                }
            }),
            Output::Deliver(_) | Output::Install(_) => {}
        }
    }

    fn transmit(&mut self, index: usize, to: SocketAddr, packet: bytes::Bytes) {
        let Some(target) = self.addresses.get(&to) else { return };
        let node = &self.nodes[index];
        if packet.len() > self.plan.settings.packet_bytes {
            let (now, bytes) = (self.now, packet.len());
            return self
                .history
                .find(now, "bounded_queues", || format!("a packet of {bytes} bytes"));
        }
        let way = (node.site, self.nodes[*target].site);
        if self.network.reaches(way.0, way.1) {
            let slot = Slot(node.site.slot as u16);
            let received = Received { from: node.address, slot, boot: node.boot, packet };
            let received = self.pick(way, to, received);
            if let Some(received) = received.and_then(|r| self.network.keep(way, to, r)) {
                self.network.post(self.now, to, received);
            }
        }
    }

    fn front_output(&mut self, index: usize, output: FrontOutput) {
        match output {
            FrontOutput::Request(request) => {
                let mut batch: Vec<Request> = vec![request];
                let mut other = None;
                let node = &mut self.nodes[index];
                while other.is_none()
                    && let Some(output) = node.front.poll_output()
                {
                    match output {
                        FrontOutput::Request(request) => batch.push(request),
                        output => other = Some(output),
                    }
                }
                let local = node.clock.local(self.now);
                match &mut node.daemon {
                    Some(daemon) => daemon.requests(local, LINK, &batch),
                    None => batch.into_iter().for_each(|request| self.ask_daemon(index, request)),
                }
                if let Some(other) = other {
                    self.front_output(index, other);
                }
            }
            FrontOutput::Write { connection, chunk } => self.write(index, connection, &chunk),
            FrontOutput::Close { connection, flush } => self.close(index, connection, flush),
        }
    }

    // --- the clients' ends --------------------------------------------------------------------------

    fn write(&mut self, index: usize, id: ConnectionId, chunk: &bytes::Bytes) {
        let Some(client) = self.nodes[index].pipes.get(&id).map(|pipe| pipe.client) else { return };
        self.trace.mix_bytes(chunk);
        let stalled = self.clients[client].stalled_since.is_some();
        let Some(connection) = self.clients[client].connection.as_mut().filter(|c| c.id == id)
        else {
            // Nobody is there any more: the write fails.
            let node = &mut self.nodes[index];
            node.pipes.remove(&id);
            return node.front.closed(node.clock.local(self.now), id);
        };
        // The accept message begins with 1; the name follows length and version.
        let accepts = connection.stage == Stage::Answer && chunk.first() == Some(&1);
        if accepts {
            connection.session = self.nodes[index].front.session_of(id);
        }
        let left = connection.write(chunk, stalled);
        let node = &mut self.nodes[index];
        node.accepted += u64::from(accepts);
        if accepts {
            let count = node.accepted;
            oracle::name_freed_last::on_accept(self, index, chunk[5..].into(), count);
        }
        let node = &mut self.nodes[index];
        node.front.written(node.clock.local(self.now), id, left);
        self.read(client);
    }

    fn close(&mut self, index: usize, id: ConnectionId, flush: bool) {
        let Some(pipe) = self.nodes[index].pipes.remove(&id) else { return };
        let client = &mut self.clients[pipe.client];
        let Some(connection) = client.connection.as_mut().filter(|c| c.id == id) else { return };
        connection.closing = true;
        if !flush {
            connection.cut_off();
        }
        self.end_session(pipe.client, SessionEnd::Closed);
        self.read(pipe.client);
    }

    /// A client reads what there is, unless it does not read.
    pub(crate) fn read(&mut self, client: usize) {
        loop {
            let stalled = self.clients[client].stalled_since.is_some();
            let Some(connection) = &mut self.clients[client].connection else { return };
            let left = connection.take(stalled);
            let (index, id) = (connection.process, connection.id);
            let read = connection.next();
            let drained = connection.drained();
            if left > 0 && !self.nodes[index].ended {
                let node = &mut self.nodes[index];
                node.front.written(node.clock.local(self.now), id, left);
            }
            match read {
                Some(read) => self.take_read(client, read),
                None if drained => {
                    self.clients[client].connection = None;
                    return;
                }
                None => return,
            }
        }
    }

    fn take_read(&mut self, client: usize, read: Read) {
        let Some(connection) = &mut self.clients[client].connection else { return };
        let (index, id, gone) = (connection.process, connection.id, connection.gone);
        match read {
            Read::Methods => {
                if let Some(pipe) = self.nodes[index].pipes.get_mut(&id) {
                    pipe.waiting.push_back(FromClient::Bytes(choice()));
                }
            }
            Read::Refused(code) => {
                self.clients[client].connection = None;
                self.nodes[index].pipes.remove(&id);
                self.note(index, || format!("refuses c{client}: {code}"));
            }
            Read::Accepted(name) => {
                let silent = connection.silent;
                connection.stage = Stage::Open(self.history.sessions.len());
                self.accepted(client, index, name, !silent);
            }
            Read::Seen(seen) => {
                if let Stage::Open(session) = connection.stage
                    && !gone
                {
                    self.record_seen(client, session, seen);
                }
            }
        }
    }

    fn accepted(&mut self, client: usize, process: usize, name: PrivateName, membership: bool) {
        let accepted = self.history.tick(self.now);
        let session = self.history.sessions.len();
        self.trace.line(accepted, || format!("c{client} is {name}, session s{session}"));
        let connection = self.clients[client].connection.as_ref();
        let known = connection.and_then(|connection| connection.session);
        self.history.sessions.push(SessionHistory {
            client,
            process,
            at_endpoint: (self.nodes[process].uid(), known.unwrap_or(SessionId(0))),
            name,
            membership,
            accepted,
            end: None,
            events: Vec::new(),
            asked: Vec::new(),
        });
    }

    fn record_seen(&mut self, client: usize, session: SessionIndex, mut seen: Seen) {
        if let Seen::View(view) = &mut seen {
            view.place = self.history.next_place(session);
        }
        if let Seen::Message(message) = &mut seen
            && let Some(id) = message.id
        {
            message.place = self.history.message_place(session, id);
        }
        let moment = self.history.tick(self.now);
        self.trace.line(moment, || format!("c{client} s{session} gets {seen}"));
        self.history.sessions[session].events.push(Event { moment, seen });
    }

    pub(crate) fn end_session(&mut self, client: usize, how: SessionEnd) {
        let Some(connection) = &self.clients[client].connection else { return };
        let Stage::Open(session) = connection.stage else { return };
        let moment = self.history.tick(self.now);
        let known = &mut self.history.sessions[session];
        if known.end.is_none() {
            known.end = Some((moment, how));
            self.trace.line(moment, || format!("c{client} s{session} is over ({how:?})"));
        }
    }

    // --- records ------------------------------------------------------------------------------------

    fn record_link(&mut self, index: usize, event: &LinkEvent) {
        let entry = match event {
            LinkEvent::Message(delivered, receivers) => Entry::Message {
                delivered: Arc::new(delivered.clone()),
                receivers: receivers.clone(),
                lacking: oracle::safe::lacking(self, index, delivered),
            },
            LinkEvent::View(view) => Entry::View(view.clone()),
            LinkEvent::SessionOpened { session, .. } => Entry::Opened(*session),
            LinkEvent::SessionClosed { session } => Entry::Closed(*session),
            LinkEvent::SessionRefused { session } => {
                let session = *session;
                return self.note(index, || format!("refuses session {}", session.0));
            }
            _ => return,
        };
        self.record(index, entry);
    }

    fn record(&mut self, index: usize, entry: Entry) {
        let moment = self.history.tick(self.now);
        self.trace.mix(moment.order ^ (index as u64) << 48);
        self.history.processes[index].entries.push((moment, entry));
    }

    /// A line of the timeline about a daemon.
    pub(crate) fn note(&mut self, index: usize, text: impl FnOnce() -> String) {
        let moment = self.history.tick(self.now);
        let site = self.nodes[index].site;
        self.trace.line(moment, || format!("{site} {}", text()));
    }

    /// A process is gone, and its sockets with it.
    pub(crate) fn end(&mut self, index: usize, how: ProcessEnd) {
        let moment: Moment = self.history.tick(self.now);
        let node = &mut self.nodes[index];
        node.ended = true;
        node.due = None;
        let site = node.site;
        let (address, pipes) = (node.address, core::mem::take(&mut node.pipes));
        self.trace.line(moment, || format!("{site} ends ({how:?})"));
        self.history.processes[index].end = Some((moment, how));
        if self.nodes[index].daemon.is_some() {
            self.addresses.remove(&address);
        }
        self.say_end(index);
        self.end_links(index);
        if self.sites.get(&site) == Some(&index) {
            self.sites.remove(&site);
        }
        for (id, pipe) in pipes {
            let client = &mut self.clients[pipe.client];
            if let Some(connection) = client.connection.as_mut().filter(|c| c.id == id) {
                connection.closing = true;
                connection.cut_off();
                self.end_session(pipe.client, SessionEnd::DaemonEnded);
                self.read(pipe.client);
            }
        }
        if !site.is_endpoint() {
            self.rename(site.slot);
        }
    }

    /// Whether the last configuration that a process installed is the regular one of this id.
    pub(crate) fn in_regular(&self, index: usize, id: &spread_wire::ids::ConfigurationId) -> bool {
        self.nodes[index].installed.as_ref().is_some_and(|installed| {
            installed.kind == ConfigurationKind::Regular && installed.id == *id
        })
    }
}
