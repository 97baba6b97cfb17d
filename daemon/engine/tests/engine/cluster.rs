//! Engines over a ring that is played by a script: components come and go as told, and every payload
//! is delivered at once to all of a component.

use bytes::Bytes;
use spread_engine::{
    Bounds, Engine, EngineOutput, EngineSettings, LOST_RETENTION, LinkId, SlotDescription,
};
use spread_ring::{Component, Configuration, ConfigurationKind, Delivery};
use spread_wire::ids::{
    BootId, Claim, ConfigurationId, DaemonId, EndpointName, EndpointUid, GroupId, GroupName,
    Position, PrivateName, RequestNumber, RingNumber, Seq, SessionId, Slot,
};
use spread_wire::link::{Cause, LinkEvent, Multicast, Request, RequestBody, View};
use spread_wire::service::{Guarantee, Service};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub struct Node {
    pub engine: Engine,
    boot: BootId,
    backlog: VecDeque<(Guarantee, Bytes)>,
    configuration: Option<Configuration>,
    requests: u64,
    acknowledged: u64,
    names: BTreeMap<SessionId, String>,
    /// What its sessions were told, as text.
    pub told: Vec<String>,
    /// Group ids in the order they were seen.
    pub ids: Vec<GroupId>,
}

#[derive(Default)]
pub struct Cluster {
    pub nodes: BTreeMap<u16, Node>,
    keys: Vec<i64>,
    epoch: u64,
    seq: u64,
    boots: u128,
    /// What every view was, wherever it was seen. An id comes back when a group was empty, so the
    /// place belongs to it, except for changes of the daemons, whose ids are new.
    views: BTreeMap<(GroupName, GroupId, Option<Position>), ViewOnce>,
}

/// Members and vs-sets of a view.
type ViewOnce = (Vec<PrivateName>, Vec<Vec<PrivateName>>);

fn endpoint_name(slot: u16) -> EndpointName {
    EndpointName(format!("d{slot}").into())
}

impl Cluster {
    /// A cluster with these vs-keys, one for each slot; no daemon runs.
    pub fn new(keys: &[i64]) -> Self {
        Self { keys: keys.to_vec(), ..Self::default() }
    }

    pub fn start(&mut self, slot: u16) {
        self.boots += 1;
        let slots = (0..self.keys.len()).map(|index| SlotDescription {
            name: endpoint_name(index as u16),
            vs_key: self.keys[index],
        });
        let bounds = Bounds { chunk_bytes: 50, ..Bounds::default() };
        let slots = slots.collect();
        let lost_retention = LOST_RETENTION;
        let settings = EngineSettings { me: Slot(slot), slots, bounds, lost_retention };
        let mut engine = Engine::new(settings);
        engine.attach_builtin(LinkId(0), EndpointUid(self.boots));
        let node = Node {
            engine,
            boot: BootId(self.boots),
            backlog: VecDeque::new(),
            configuration: None,
            requests: 0,
            acknowledged: 0,
            names: BTreeMap::new(),
            told: Vec::new(),
            ids: Vec::new(),
        };
        self.nodes.insert(slot, node);
    }

    /// Installs one configuration for each component; daemons in none of them crash. `late` payloads
    /// of each component's daemons are delivered in its transitional configurations.
    pub fn regroup(&mut self, components: &[&[u16]], late: usize) {
        let staying: BTreeSet<u16> =
            components.iter().flat_map(|part| part.iter()).copied().collect();
        self.nodes.retain(|slot, _| staying.contains(slot));
        for part in components {
            self.install(part, late);
        }
    }

    fn install(&mut self, part: &[u16], late: usize) {
        self.epoch += 1;
        let first = part[0];
        let id = ConfigurationId {
            ring: RingNumber(1),
            epoch: self.epoch,
            representative: Slot(first),
            boot: self.nodes[&first].boot,
        };
        let mut by_old: BTreeMap<(Option<ConfigurationId>, u16), Vec<u16>> = BTreeMap::new();
        for slot in part {
            let old = self.nodes[slot].configuration.as_ref().map(|old| old.id);
            let alone = if old.is_some() { 0 } else { *slot };
            by_old.entry((old, alone)).or_default().push(*slot);
        }
        let mut parts = Vec::new();
        for ((from, _), members) in by_old {
            let lost = self.transitional(id, &members, late);
            let members = members.into_iter().map(Slot).collect();
            parts.push(Component { from, lost, members });
        }
        parts.sort_by_key(|component| component.members[0]);
        let members = part.iter().map(|slot| self.daemon_id(*slot)).collect();
        let regular =
            Configuration { id, kind: ConfigurationKind::Regular, members, components: parts };
        for slot in part {
            let node = self.node(*slot);
            node.configuration = Some(regular.clone());
            node.engine.installed(&regular);
            self.collect(*slot);
        }
    }

    fn transitional(&mut self, id: ConfigurationId, members: &[u16], late: usize) -> Vec<Slot> {
        let Some(old) = self.nodes[&members[0]].configuration.clone() else { return Vec::new() };
        let kind = ConfigurationKind::Transitional;
        let together = members.iter().map(|slot| self.daemon_id(*slot)).collect();
        let transitional = Configuration { id, kind, members: together, components: Vec::new() };
        for slot in members {
            self.node(*slot).engine.installed(&transitional);
            self.collect(*slot);
        }
        for _ in 0..late {
            self.step(members, old.id);
        }
        let gone = |slot: &Slot| !members.contains(&slot.0);
        old.members.iter().map(|member| member.slot).filter(gone).collect()
    }

    fn node(&mut self, slot: u16) -> &mut Node {
        self.nodes.get_mut(&slot).expect("the daemon runs")
    }

    fn daemon_id(&self, slot: u16) -> DaemonId {
        DaemonId { slot: Slot(slot), claim: Claim(1), boot: self.nodes[&slot].boot }
    }

    /// Delivers one payload of some daemon of the component; `false` if none has any.
    fn step(&mut self, members: &[u16], configuration: ConfigurationId) -> bool {
        let turns = 0..members.len();
        let start = self.seq as usize;
        turns.into_iter().any(|turn| {
            self.deliver(members[(start + turn) % members.len()], members, configuration)
        })
    }

    /// Delivers the next payload of a daemon, if it has any.
    fn deliver(&mut self, sender: u16, members: &[u16], configuration: ConfigurationId) -> bool {
        let next = self.node(sender).backlog.pop_front();
        let Some((guarantee, payload)) = next else { return false };
        self.seq += 1;
        let position = Position { configuration, seq: Seq(self.seq), index: 0 };
        let delivery = Delivery { sender: Slot(sender), guarantee, position, payload };
        for slot in members {
            self.node(*slot).engine.delivered(delivery.clone());
            self.collect(*slot);
        }
        true
    }

    fn components(&self) -> BTreeMap<ConfigurationId, Vec<u16>> {
        let mut components: BTreeMap<_, Vec<u16>> = BTreeMap::new();
        for (slot, node) in &self.nodes {
            if let Some(configuration) = &node.configuration {
                components.entry(configuration.id).or_default().push(*slot);
            }
        }
        components
    }

    /// Delivers at most `count` payloads in each component.
    pub fn run(&mut self, count: usize) {
        for (configuration, members) in self.components() {
            for _ in 0..count {
                if !self.step(&members, configuration) {
                    break;
                }
            }
        }
    }

    /// Delivers at most `count` payloads of one daemon to its component.
    pub fn run_from(&mut self, sender: u16, count: usize) {
        for (configuration, members) in self.components() {
            if members.contains(&sender) {
                let _ = (0..count).all(|_| self.deliver(sender, &members, configuration));
            }
        }
    }

    /// Delivers all there is.
    pub fn settle(&mut self) {
        self.run(100_000);
    }

    pub fn request(&mut self, slot: u16, body: RequestBody) {
        let node = self.node(slot);
        node.requests += 1;
        if let RequestBody::Open { session, name, .. } = &body {
            node.names.insert(*session, name.to_string());
        }
        let request = Request { number: RequestNumber(node.requests), body };
        node.engine.request(LinkId(0), &request);
        self.collect(slot);
    }

    fn collect(&mut self, slot: u16) {
        let node = self.nodes.get_mut(&slot).expect("the daemon runs");
        while let Some(submission) = node.engine.peek_submission() {
            node.engine.submission_taken();
            node.backlog.push_back(submission);
        }
        while let Some(EngineOutput::Link { event, .. }) = node.engine.poll_output() {
            node.tell(&event);
            if let LinkEvent::View(view) = event
                && !view.members.is_empty()
            {
                let place = (view.cause != Cause::Network).then_some(view.position);
                let seen = (view.members.clone(), view.vs_sets.clone());
                let first = self.views.entry((view.group.clone(), view.id, place));
                assert_eq!(*first.or_insert_with(|| seen.clone()), seen, "one view, one content");
            }
        }
    }

    pub fn open(&mut self, slot: u16, session: u64, user: &str) {
        let name = PrivateName::new(user.as_bytes(), &endpoint_name(slot));
        let session = SessionId(session);
        self.request(slot, RequestBody::Open { session, name, membership: true });
    }

    pub fn join(&mut self, slot: u16, session: u64, group: &str) {
        let group = GroupName(group.to_owned().into());
        self.request(slot, RequestBody::Join { session: SessionId(session), group });
    }

    pub fn leave(&mut self, slot: u16, session: u64, group: &str) {
        let group = GroupName(group.to_owned().into());
        self.request(slot, RequestBody::Leave { session: SessionId(session), group });
    }

    pub fn close(&mut self, slot: u16, session: u64) {
        self.request(slot, RequestBody::Close { session: SessionId(session), broken: false });
    }

    pub fn send(&mut self, slot: u16, session: u64, groups: &[&str], text: &str) {
        let groups = groups.iter().map(|group| GroupName(group.to_string().into())).collect();
        let message = Multicast {
            service: Service::Safe,
            extra_bits: 0,
            hint: [0; 4],
            groups,
            payload: text.to_owned().into(),
        };
        self.request(slot, RequestBody::Multicast { session: SessionId(session), message });
    }

    /// A part of a session's large message.
    pub fn part(&mut self, slot: u16, session: u64, index: u32, text: &str) {
        let (session, bytes) = (SessionId(session), text.to_owned().into());
        self.request(slot, RequestBody::Part { session, index, bytes });
    }

    /// The end of one to a group.
    pub fn rest(&mut self, slot: u16, session: u64, (group, parts): (&str, u32), text: &str) {
        let message = Multicast {
            service: Service::Safe,
            extra_bits: 0,
            hint: [0; 4],
            groups: [GroupName(group.to_owned().into())].into(),
            payload: text.to_owned().into(),
        };
        self.request(slot, RequestBody::Rest { session: SessionId(session), parts, message });
    }

    /// What the slot's sessions were told since the last call.
    pub fn told(&mut self, slot: u16) -> Vec<String> {
        std::mem::take(&mut self.node(slot).told)
    }

    /// All daemons of a component have one state, and each got all its requests ordered.
    pub fn check(&self) {
        for members in self.components().values() {
            let first = &self.nodes[&members[0]];
            for slot in members {
                let node = &self.nodes[slot];
                assert!(!node.engine.status().exchanging, "slot {slot} still exchanges");
                assert_eq!(node.engine.state(), first.engine.state(), "slot {slot}");
                assert_eq!(node.acknowledged, node.requests, "slot {slot}");
            }
        }
    }
}

impl Node {
    fn tell(&mut self, event: &LinkEvent) {
        let line = match event {
            LinkEvent::Acknowledged { number } => {
                assert!(number.0 > self.acknowledged, "each request is ordered once");
                self.acknowledged = number.0;
                return;
            }
            LinkEvent::Message(delivered, receivers) => {
                let text = delivered.message.payload.escape_ascii();
                format!("{} from {} to {}", text, delivered.sender, self.users(receivers))
            }
            LinkEvent::View(view) => self.view(view),
            LinkEvent::Transition { group, receivers, id, .. } => {
                assert!(self.ids.contains(id), "a transition closes a view that was seen");
                format!("{group}: transition {} to {}", index(*id), self.users(receivers))
            }
            LinkEvent::PartsLost { last } => format!("parts lost after {}", last.0),
            LinkEvent::SessionRefused { session } => format!("refused {}", session.0),
            _ => return,
        };
        self.told.push(line);
    }

    fn view(&mut self, view: &View) -> String {
        if self.ids.last() != Some(&view.id) {
            self.ids.push(view.id);
        }
        let cause = match &view.cause {
            Cause::Join(who) => format!("join {who}"),
            Cause::Leave(who) => format!("leave {who}"),
            Cause::Disconnect(who) => format!("end {who}"),
            Cause::Network => "network".to_owned(),
        };
        let mut line = format!("{}: {cause} {} {:?}", view.group, index(view.id), view.members);
        if !view.vs_sets.is_empty() {
            line.push_str(&format!(" sets {:?}", view.vs_sets));
        }
        for (session, set) in &view.receivers {
            line.push_str(&format!(" {}@{set}", self.names[session]));
        }
        line
    }

    fn users(&self, receivers: &[SessionId]) -> String {
        receivers.iter().map(|id| self.names[id].as_str()).collect::<Vec<_>>().join(" ")
    }
}

fn index(id: GroupId) -> u32 {
    id.0[8..].iter().fold(0, |index, byte| index << 8 | u32::from(*byte))
}
