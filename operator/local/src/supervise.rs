//! The loop: look at the facts, plan, act, look again.

use crate::daemon::Daemon;
use crate::probe::Probe;
use crate::run_dir::RunDir;
use crate::{admin, manifest, show};
use anyhow::{Context, Result};
use spread_operator_api::{RingEncryptionType, SpreadCluster};
use spread_plan::{Access, Action, RingConfig, SlotFact, SlotPlace, Snapshot, plan, slot_name};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// Time between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Longest wait for daemons to leave in order at the end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A daemon that ran so long is not counted as dying in a row.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// After the last change is done so long is watched what it cost.
const SETTLE: Duration = Duration::from_millis(500);

/// A change that does not settle is no longer watched.
const WATCH_TIMEOUT: Duration = Duration::from_secs(20);

/// Ports between two slots.
const PORT_STEP: u32 = 10;

/// The admin endpoint's port above the slot's client port.
const ADMIN_PORT_OFFSET: u16 = 2;

/// One slot.
#[derive(Default)]
struct Slot {
    daemon: Option<Daemon>,
    died: Option<(Instant, u32)>,
}

/// A change that is being measured.
struct Watch {
    probe: Probe,
    began: Instant,
    quiet_since: Option<Instant>,
}

/// The run of one manifest.
pub struct Supervisor {
    file: PathBuf,
    text: Vec<u8>,
    cluster: SpreadCluster,
    program: PathBuf,
    begin: Instant,
    places: Vec<SlotPlace>,
    slots: Vec<Slot>,
    shown: Option<Action>,
    /// Measures what a change costs, from when it began and since when all is quiet.
    watch: Option<Watch>,
    // Last, so that it is dropped after the daemons that use it.
    run_dir: RunDir,
}

impl Supervisor {
    /// Writes what the daemons read; starts none yet.
    pub fn new(
        file: PathBuf,
        cluster: SpreadCluster,
        run_dir: RunDir,
        program: PathBuf,
        base_port: u16,
    ) -> Result<Self> {
        let count = cluster.spec.slots.initial;
        let places = (0..count).map(|slot| place(slot, base_port)).collect::<Result<Vec<_>>>()?;
        let slots = places.iter().map(|_| Slot::default()).collect();
        let text = fs::read(&file)?;
        let begin = Instant::now();
        let supervisor = Self {
            file,
            text,
            cluster,
            program,
            begin,
            places,
            slots,
            shown: None,
            watch: None,
            run_dir,
        };
        supervisor.write_configuration()?;
        Ok(supervisor)
    }

    /// Runs until Ctrl-C or SIGTERM, then ends everything in order.
    pub async fn run(mut self) -> Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                _ = interrupt.recv() => break Ok(()),
                _ = terminate.recv() => break Ok(()),
                _ = looks.tick() => {}
            }
            if let Err(error) = self.step().await {
                break Err(error);
            }
        };
        self.end().await?;
        outcome
    }

    async fn step(&mut self) -> Result<()> {
        self.follow_edits();
        self.reap()?;
        self.look_at_members().await;
        // Each action changes a fact, so this ends.
        while self.act()? {}
        self.watch_change();
        Ok(())
    }

    /// Begins to measure what a change costs a client of a daemon that is not part of it.
    fn change_begins(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.quiet_since = None;
            return;
        }
        let wanted = self.cluster.spec.replicas.unwrap_or_default() as usize;
        let steady = self.slots.iter().zip(&self.places).take(wanted).find(|(slot, _)| {
            slot.daemon.as_ref().is_some_and(|daemon| daemon.in_ring && !daemon.leaving)
        });
        let Some((_, place)) = steady else { return };
        if let Some(probe) = Probe::start(&place.name, place.port) {
            self.watch = Some(Watch { probe, began: Instant::now(), quiet_since: None });
        }
    }

    /// Says what a change has cost once everything is quiet again.
    fn watch_change(&mut self) {
        let moving = self.slots.iter().any(|slot| match &slot.daemon {
            Some(daemon) => daemon.leaving || !daemon.in_ring,
            None => slot.died.is_some(),
        });
        let Some(watch) = &mut self.watch else { return };
        if moving {
            watch.quiet_since = None;
        }
        let quiet =
            !moving && watch.quiet_since.get_or_insert_with(Instant::now).elapsed() >= SETTLE;
        if (quiet || watch.began.elapsed() >= WATCH_TIMEOUT)
            && let Some(watch) = self.watch.take()
        {
            let slot = watch.probe.slot.clone();
            if let Some(gap) = watch.probe.finish() {
                let gap = gap.as_secs_f64() * 1e3;
                show::event("gap", &format!("a client of {slot} waited {gap:.1} ms at most"));
            }
        }
    }

    /// Takes an edit over when it is valid; else says why not, once, and goes on as before.
    fn follow_edits(&mut self) {
        // An editor that replaces the file leaves a moment without one.
        let Ok(text) = fs::read(&self.file) else { return };
        if text == self.text {
            return;
        }
        self.text = text;
        match manifest::read(&self.file) {
            Ok(cluster) => {
                let wanted = cluster.spec.replicas.unwrap_or_default();
                show::event("edited", &format!("{wanted} daemons are wanted"));
                self.cluster = cluster;
                self.shown = None;
            }
            Err(error) => show::event("refused", &format!("{error:#}")),
        }
    }

    fn reap(&mut self) -> Result<()> {
        let mut died = false;
        for (ordinal, slot) in self.slots.iter_mut().enumerate() {
            let Some(daemon) = &mut slot.daemon else { continue };
            let Some(how) = daemon.ended()? else { continue };
            let name = &self.places[ordinal].name;
            if daemon.leaving {
                show::event("left", &format!("{name}: its slot is spare"));
                slot.died = None;
            } else {
                let before = slot.died.map_or(0, |(_, times)| times);
                let healthy = daemon.started.elapsed() >= HEALTHY_AFTER;
                let times = if healthy { 1 } else { before.saturating_add(1) };
                slot.died = Some((Instant::now(), times));
                let log = self.run_dir.file(&format!("{name}.log"));
                show::event("died", &format!("{name}: {how}; its log: {}", log.display()));
            }
            died |= !daemon.leaving;
            slot.daemon = None;
        }
        if died {
            self.change_begins();
        }
        Ok(())
    }

    async fn look_at_members(&mut self) {
        let running: Vec<String> = self
            .slots
            .iter()
            .zip(&self.places)
            .filter(|(slot, _)| slot.daemon.as_ref().is_some_and(|daemon| !daemon.leaving))
            .map(|(_, place)| place.name.clone())
            .collect();
        for (slot, place) in self.slots.iter_mut().zip(&self.places) {
            let Some(daemon) = &mut slot.daemon else { continue };
            if daemon.leaving || daemon.in_ring {
                continue;
            }
            let Some(members) = admin::members(place.port + ADMIN_PORT_OFFSET).await else {
                continue;
            };
            if running.iter().all(|name| members.contains(name)) {
                daemon.in_ring = true;
                let millis = daemon.started.elapsed().as_millis();
                show::event("joined", &format!("{} is in the ring after {millis} ms", place.name));
            }
        }
    }

    /// Carries out the next action; says whether there may be another one now.
    fn act(&mut self) -> Result<bool> {
        let plan = plan(&self.snapshot());
        match plan.action {
            Action::FillSlot { slot } | Action::Restart { slot } => {
                self.start(slot)?;
                return Ok(true);
            }
            Action::FreeSlot { slot } => {
                self.change_begins();
                if let Some(daemon) = &mut self.slots[slot as usize].daemon {
                    show::event("leaving", &slot_name(slot));
                    daemon.leave();
                }
                return Ok(true);
            }
            // A daemon here reads the object's changes at its next start only: none is outdated.
            Action::WaitToRestart { .. } | Action::Roll { .. } => return Ok(false),
            Action::NewRingNeeded { slots, wanted, next_slots } => {
                if self.shown.as_ref() != Some(&plan.action) {
                    show::new_ring_needed(slots, wanted, next_slots);
                }
            }
            Action::Steady | Action::Invalid(_) => {
                if self.shown.as_ref() != Some(&plan.action) {
                    show::table(&self.places, &self.states());
                }
            }
        }
        self.shown = Some(plan.action);
        Ok(false)
    }

    fn snapshot(&self) -> Snapshot<'_> {
        let millis = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.begin).as_millis()).unwrap_or(u64::MAX)
        };
        let fact = |slot: &Slot| match (&slot.daemon, slot.died) {
            (Some(daemon), _) if daemon.leaving => SlotFact::Leaving,
            (Some(daemon), _) => SlotFact::running(daemon.in_ring),
            (None, Some((at, times))) => SlotFact::Died { at_millis: millis(at), times },
            (None, None) => SlotFact::Vacant,
        };
        Snapshot {
            cluster: &self.cluster,
            now_millis: millis(Instant::now()),
            slots: self.slots.iter().map(fact).collect(),
            eligible_nodes: 1,
        }
    }

    fn states(&self) -> Vec<&'static str> {
        let state = |slot: &Slot| match (&slot.daemon, slot.died) {
            (Some(daemon), _) if daemon.leaving => "leaving",
            (Some(_), _) => "running",
            (None, Some(_)) => "died",
            (None, None) => "spare",
        };
        self.slots.iter().map(state).collect()
    }

    fn start(&mut self, ordinal: u32) -> Result<()> {
        self.change_begins();
        let name = slot_name(ordinal);
        let config = self.run_dir.file(&format!("{name}.conf"));
        let log = self.run_dir.file(&format!("{name}.log"));
        let daemon = Daemon::start(&self.program, &config, &name, &log)?;
        show::event("started", &name);
        self.shown = None;
        self.slots[ordinal as usize].daemon = Some(daemon);
        Ok(())
    }

    /// One file per slot: they differ in the admin endpoint only.
    fn write_configuration(&self) -> Result<()> {
        let encrypted =
            self.cluster.spec.security.ring_encryption.r#type != RingEncryptionType::None;
        let key = encrypted.then(|| self.run_dir.write_key()).transpose()?;
        let key = key.as_ref().map(|path| path.to_str().context("the folder's name is not UTF-8"));
        let key = key.transpose()?;
        let folder = self.run_dir.path().to_str().context("the folder's name is not UTF-8")?;
        for place in &self.places {
            let admin = format!("127.0.0.1:{}", place.port + ADMIN_PORT_OFFSET);
            let config = RingConfig {
                cluster: &self.cluster,
                ring_number: 1,
                places: &self.places,
                key_file: key,
                admin_endpoint: Some(&admin),
                admin_tls_directory: None,
                health_endpoint: None,
                socket_directory: folder,
                access: Access::Everybody,
                json_log: false,
            };
            fs::write(self.run_dir.file(&format!("{}.conf", place.name)), config.render()?)?;
        }
        Ok(())
    }

    /// All daemons leave, the highest slots first; who does not in time is ended.
    async fn end(&mut self) -> Result<()> {
        show::event("ending", "daemons leave in order");
        for daemon in self.slots.iter_mut().rev().filter_map(|slot| slot.daemon.as_mut()) {
            daemon.leave();
        }
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        while Instant::now() < deadline && self.slots.iter().any(|slot| slot.daemon.is_some()) {
            self.reap()?;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        for (slot, place) in self.slots.iter_mut().zip(&self.places) {
            if let Some(daemon) = &mut slot.daemon {
                show::event("killed", &format!("{} did not leave in time", place.name));
                daemon.kill().await?;
            }
        }
        Ok(())
    }
}

fn place(ordinal: u32, base_port: u16) -> Result<SlotPlace> {
    let port = u32::from(base_port) + PORT_STEP * ordinal;
    let port = u16::try_from(port)
        .ok()
        .filter(|port| port.checked_add(ADMIN_PORT_OFFSET).is_some())
        .with_context(|| format!("no port is left for slot {ordinal}: lower --base-port"))?;
    Ok(SlotPlace { name: slot_name(ordinal), host: "127.0.0.1".to_owned(), port })
}
