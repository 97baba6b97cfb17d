//! What a run does and when. A seed becomes a plan, a scenario file is one.

use crate::fault::{Action, Blow, Send, Site};
use crate::random::Random;
use crate::settings::Settings;
use crate::world::START;
use core::time::Duration;
use spread_wire::service::Service;
use spread_wire::time::Instant;

/// Everything that is decided before a run begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed, or a scenario's own number.
    pub seed: u64,
    /// Settings of the cluster.
    pub settings: Settings,
    /// Model clients.
    pub clients: usize,
    /// What happens, in order of time.
    pub actions: Vec<(Instant, Action)>,
    /// When the actions are over.
    pub end: Instant,
    /// Groups of the workload.
    pub groups: Vec<String>,
    /// Endpoints in processes of their own.
    pub endpoints: usize,
}

/// What a seed's workload and faults are like.
struct Character {
    faults: u64,
    chaos: Duration,
    sends: u64,
    largest: usize,
    membership: u64,
    kinds: Vec<u8>,
}

const SERVICES: [Service; 8] = [
    Service::Unreliable,
    Service::Reliable,
    Service::Fifo,
    Service::Causal,
    Service::Agreed,
    Service::Agreed,
    Service::Safe,
    Service::Safe,
];
/// How many kinds of faults there are to choose from.
const FAULT_KINDS: u8 = 20;
/// Clients are connected and in their groups by then.
const CALM_START: Duration = Duration::from_millis(400);

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let mut settings = Settings::random(&mut random);
        if Random::new(seed, 6).chance(250) {
            settings.spare_slots = 12;
        }
        settings.part_large(&mut Random::new(seed, 7));
        let character = Character::random(&mut random);
        let daemons = settings.daemons;
        let clients = random.between(daemons as u64, daemons as u64 * 2 + 2) as usize;
        let groups = (0..random.between(1, 4)).map(|n| format!("g{n}")).collect();
        let end = START + CALM_START + character.chaos;
        let mut plan =
            Self { seed, settings, clients, actions: Vec::new(), end, groups, endpoints: 0 };
        plan.start(&mut random);
        plan.workload(&mut random, &character);
        plan.faults(&mut random, &character);
        plan.endpoints(&mut Random::new(seed, 5));
        // Actions are done in the order of this list, so nothing may be later than the last one: what would end after the
        // end, calm ends.
        plan.actions.retain(|(at, _)| *at < end);
        plan.actions.sort_by_key(|(at, _)| *at);
        plan.push(end, Action::Calm);
        plan
    }

    fn push(&mut self, at: Instant, action: Action) {
        self.actions.push((at, action));
    }

    fn site(&self, random: &mut Random) -> Site {
        Site { slot: random.index(self.settings.daemons), twin: false }
    }

    /// Daemons start, mostly at once; clients connect and join.
    fn start(&mut self, random: &mut Random) {
        for slot in 0..self.settings.daemons {
            let late = if random.chance(200) { random.between(0, 1500) } else { 0 };
            let site = Site { slot, twin: false };
            self.push(START + Duration::from_millis(late), Action::Start(site));
        }
        for client in 0..self.clients {
            let at = START + Duration::from_millis(random.between(1, 300));
            let site = if client < self.settings.daemons {
                Site { slot: client, twin: false }
            } else {
                self.site(random)
            };
            self.connect(random, at, client, site);
        }
    }

    fn connect(&mut self, random: &mut Random, at: Instant, client: usize, site: Site) {
        let silent = random.chance(150);
        // A name of its own for most sessions; some take the name that they had before.
        let name = random.chance(850).then(|| format!("c{client}.{}", random.below(100_000)));
        self.push(at, Action::Connect { client, site, name, silent });
        let at = at + Duration::from_millis(random.between(1, 30));
        for group in self.groups.clone() {
            if random.chance(700) {
                self.push(at, Action::Join(client, group));
            }
        }
    }

    /// In some runs many clients are at endpoints in processes of their own, which lose their daemons and links.
    fn endpoints(&mut self, random: &mut Random) {
        if !random.chance(300) {
            return;
        }
        self.endpoints = random.between(1, 3) as usize;
        for (_, action) in &mut self.actions {
            if let Action::Connect { site, .. } = action
                && !site.twin
                && random.chance(600)
            {
                *site = Site::endpoint(random.index(self.endpoints));
            }
        }
        for number in 0..self.endpoints {
            let at = START + Duration::from_millis(random.between(0, 100));
            self.push(at, Action::Start(Site::endpoint(number)));
        }
        let span = self.end.since(START).as_micros() as u64;
        for _ in 0..random.pick(&[0, 1, 2, 6]) {
            let at = START + Duration::from_micros(random.between(300_000, span));
            self.push(at, Action::Unlink(Site::endpoint(random.index(self.endpoints))));
        }
    }

    fn group(&self, random: &mut Random) -> String {
        self.groups[random.index(self.groups.len())].clone()
    }

    fn workload(&mut self, random: &mut Random, character: &Character) {
        let span = character.chaos.as_micros() as u64 + 200_000;
        for _ in 0..character.sends {
            let at = START + Duration::from_micros(200_000 + random.below(span));
            let (client, burst) = (random.index(self.clients), random.pick(&[1, 1, 2, 5, 20]));
            for _ in 0..burst {
                let send = self.one_send(random, client, character.largest);
                self.push(at, Action::Send(send));
            }
        }
        for _ in 0..character.membership {
            let at = START + Duration::from_micros(200_000 + random.below(span));
            let client = random.index(self.clients);
            match random.below(11) {
                10 => self.come_again(random, at, client),
                0 => self.push(at, Action::Disconnect(client)),
                1 => self.push(at, Action::Drop(client)),
                2..=4 => {
                    let site = self.site(random);
                    self.connect(random, at, client, site);
                }
                5..=7 => {
                    let group = self.group(random);
                    self.push(at, Action::Join(client, group));
                }
                _ => {
                    let group = self.group(random);
                    self.push(at, Action::Part(client, group));
                }
            }
        }
    }

    /// A client's socket breaks, and the client is there again at once, under its old name.
    fn come_again(&mut self, random: &mut Random, at: Instant, client: usize) {
        let (site, name) = (self.site(random), Some(format!("c{client}.again")));
        let broken = at + Duration::from_millis(random.between(5, 60));
        let back = broken + Duration::from_micros(random.below(2000));
        self.push(at, Action::Drop(client));
        self.push(at, Action::Connect { client, site, name: name.clone(), silent: false });
        self.push(broken, Action::Drop(client));
        self.push(back, Action::Connect { client, site, name, silent: false });
    }

    fn one_send(&self, random: &mut Random, client: usize, largest: usize) -> Send {
        let mut groups = vec![self.group(random)];
        if random.chance(150) {
            groups.push(self.group(random));
        }
        if random.chance(50) {
            groups = vec![format!("#c{}#d{}", random.index(self.clients), random.index(8))];
        }
        let bytes =
            if random.chance(150) { random.index(largest) } else { random.index(200.min(largest)) };
        Send {
            client,
            service: random.pick(&SERVICES),
            discard: random.chance(100),
            groups,
            bytes,
            text: String::new(),
        }
    }

    fn faults(&mut self, random: &mut Random, character: &Character) {
        let span = character.chaos.as_micros() as u64;
        for _ in 0..character.faults {
            let at = START + CALM_START + Duration::from_micros(random.below(span));
            let kind = random.pick(&character.kinds);
            self.fault(random, at, kind);
        }
    }

    /// A fault, and often its end.
    fn fault(&mut self, random: &mut Random, at: Instant, kind: u8) {
        let site = self.site(random);
        let later = at + Duration::from_millis(random.pick(&[5, 30, 100, 300, 600, 1200]));
        match kind {
            0 | 1 => {
                self.push(at, Action::Crash(site));
                self.push(later, Action::Start(site));
                self.reconnect(random, later, site);
            }
            2 => {
                self.push(at, Action::Leave(site));
                self.push(later, Action::Start(site));
                self.reconnect(random, later, site);
            }
            3 => {
                self.push(at, Action::Pause(site));
                self.push(later, Action::Resume(site));
            }
            4..=6 => {
                let components = self.components(random);
                self.push(at, Action::Partition(components));
                self.push(later, Action::Heal);
            }
            7 => {
                let other = self.site(random);
                self.push(at, Action::Cut(site, other));
                self.push(later, Action::Heal);
            }
            8 => {
                self.push(at, Action::Loss(random.pick(&[10, 50, 200, 400])));
                self.push(later, Action::Loss(random.pick(&[0, 0, 20])));
            }
            9 => self.push(at, Action::Duplicate(random.pick(&[0, 50, 300]))),
            10 => self.push(at, Action::Reorder(random.pick(&[0, 50, 300]))),
            11 => self.push(at, Action::Move(site)),
            12 => {
                let client = random.index(self.clients);
                self.push(at, Action::Stall(client));
                for _ in 0..random.between(0, 8) {
                    let (sender, when) = (random.index(self.clients), random.below(60));
                    let send = self.one_send(random, sender, 2_000);
                    let send = Send { bytes: random.index(20_000), ..send };
                    self.push(at + Duration::from_millis(when), Action::Send(send));
                }
                self.push(later, Action::Read(client));
            }
            13 => self.twin(random, at, later, site),
            14 => self.die_sending(random, at, later, site),
            15..=17 => self.ambush(random, at, later, site),
            18 => {
                // What it sends in its last moment is on the way for too long.
                let last = at + Duration::from_micros(random.below(4_000));
                self.burst(random, at);
                self.push(last, Action::Hold(site));
                self.push(last + Duration::from_millis(random.between(300, 900)), Action::Heal);
            }
            _ => {
                let least = random.pick(&[20, 100, 500, 2000]);
                let most = least * random.between(1, 5);
                let (least, most) = (Duration::from_micros(least), Duration::from_micros(most));
                self.push(at, Action::Delay(least, most));
            }
        }
    }

    /// An unreachable daemon's replacement starts while it still runs; later the two meet.
    fn twin(&mut self, random: &mut Random, at: Instant, later: Instant, site: Site) {
        let twin = Site { twin: true, ..site };
        if random.chance(700) {
            let others = (0..self.settings.daemons).map(|slot| Site { slot, twin: false });
            let side = others.filter(|other| *other != site).chain([twin]).collect();
            self.push(at, Action::Partition(vec![side, vec![site]]));
            self.push(later, Action::Heal);
        }
        self.push(at + Duration::from_millis(random.between(0, 400)), Action::Start(twin));
        let connects = at + Duration::from_millis(random.between(0, 800));
        let client = random.index(self.clients);
        self.connect(random, connects, client, twin);
    }

    /// A daemon dies while everybody sends and packets are lost, or come late: some of its last packets nobody has, some
    /// come after the survivors have said what they have.
    fn die_sending(&mut self, random: &mut Random, at: Instant, later: Instant, site: Site) {
        let late = random.chance(500);
        let share = random.pick(&[200, 400, 600]);
        self.push(at, if late { Action::Reorder(share) } else { Action::Loss(share) });
        self.burst(random, at);
        let crash = at + Duration::from_micros(random.between(200, 6_000));
        self.push(crash, Action::Crash(site));
        // Back at once, it is missed at once: an unknown boot id at the address of a member.
        let soon = crash + Duration::from_micros(random.between(100, 3_000));
        let back = if random.chance(500) { soon } else { later + Duration::from_millis(8) };
        self.push(back, Action::Start(site));
        let calm = at + Duration::from_millis(8);
        self.push(calm, if late { Action::Reorder(0) } else { Action::Loss(0) });
        self.reconnect(random, back, site);
    }

    /// Everybody sends within a few milliseconds.
    fn burst(&mut self, random: &mut Random, at: Instant) {
        for client in 0..self.clients {
            for _ in 0..random.between(1, 6) {
                let send = self.one_send(random, client, 2_000);
                let when = at + Duration::from_micros(random.below(4_000));
                self.push(when, Action::Send(send));
            }
        }
    }

    /// Two components meet, and while they exchange their groups one daemon is cut off again, or dies.
    fn ambush(&mut self, random: &mut Random, at: Instant, later: Instant, site: Site) {
        let components = self.components(random);
        self.push(at, Action::Partition(components));
        self.push(later, Action::Heal);
        let blow = if random.chance(700) { Blow::Part } else { Blow::Crash };
        self.push(later, Action::Ambush(site, blow));
        // The two meet at some time in a quarter of a second.
        for step in 0..15 {
            for client in (0..self.clients).filter(|_| random.chance(500)).collect::<Vec<_>>() {
                let send = self.one_send(random, client, 200);
                self.push(later + Duration::from_millis(step * 20), Action::Send(send));
            }
        }
        // Often it comes back before it is a ring of its own.
        let most = random.pick(&[700, 1200]);
        let healed = later + Duration::from_millis(random.between(300, most));
        self.push(healed, Action::Heal);
        self.push(healed, Action::Start(site));
    }

    fn reconnect(&mut self, random: &mut Random, at: Instant, site: Site) {
        for _ in 0..2 {
            let at = at + Duration::from_millis(random.between(0, 100));
            let client = random.index(self.clients);
            self.connect(random, at, client, site);
        }
    }

    fn components(&self, random: &mut Random) -> Vec<Vec<Site>> {
        let count = random.between(2, 3) as usize;
        let mut components = vec![Vec::new(); count];
        for slot in 0..self.settings.daemons {
            components[random.index(count)].push(Site { slot, twin: false });
        }
        components
    }

    /// After the faults: everybody connects again, joins and sends.
    #[must_use]
    pub fn reunion(&self, now: Instant) -> Vec<(Instant, Action)> {
        let mut random = Random::new(self.seed, 4);
        let mut actions = Vec::new();
        for client in 0..self.clients {
            let slot = client % self.settings.daemons;
            let site = Site { slot, twin: false };
            let name = Some(format!("z{client}"));
            actions.push((now, Action::Connect { client, site, name, silent: false }));
            let later = now + Duration::from_millis(300);
            actions.push((later, Action::Join(client, self.group(&mut random))));
            let last = now + Duration::from_millis(500);
            let send = self.one_send(&mut random, client, 400);
            actions.push((last, Action::Send(send)));
        }
        actions.sort_by_key(|(at, _)| *at);
        actions
    }
}

impl Character {
    fn random(random: &mut Random) -> Self {
        // Each seed has a few kinds of faults, so that some seeds look closely at one thing.
        let kinds = (0..random.between(1, 6)).map(|_| random.below(u64::from(FAULT_KINDS)) as u8);
        let kinds = kinds.collect();
        let chaos = Duration::from_millis(random.pick(&[400, 1000, 2000, 3000]));
        Self {
            faults: random.pick(&[0, 1, 2, 4, 8, 16]),
            chaos,
            sends: random.pick(&[20, 60, 120]),
            largest: random.pick(&[200, 2_000, 20_000]),
            membership: random.pick(&[0, 5, 20, 40]),
            kinds,
        }
    }
}

impl core::fmt::Display for Plan {
    /// The actions as a scenario file.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "daemons {}\nclients {}", self.settings.daemons, self.clients)?;
        writeln!(f, "endpoints {}", self.endpoints)?;
        for line in crate::scenario::show_settings(&self.settings) {
            writeln!(f, "{line}")?;
        }
        for (at, action) in &self.actions {
            writeln!(f, "at {}us {action}", at.since(START).as_micros())?;
        }
        Ok(())
    }
}
