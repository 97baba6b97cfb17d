//! Runs from beginning to end: chaos, healing, judgement.

use crate::coverage::Met;
use crate::history::Violation;
use crate::oracle;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::{START, World};
use core::time::Duration;
use spread_bugs::Bug;

/// After the faults the cluster is one ring within this time.
const ONE_RING: Duration = Duration::from_secs(20);
/// After the last request everything is delivered within this time.
const ALL_DELIVERED: Duration = Duration::from_secs(20);
/// Everybody connects, joins and sends once more.
const REUNION: Duration = Duration::from_millis(1000);
/// What still travels then has time to arrive.
const REST: Duration = Duration::from_millis(200);

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash over all events.
    pub hash: u64,
    /// How many events there were.
    pub events: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Kinds of faults that it met.
    pub met: Met,
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// The timeline, if it was kept.
    pub trace: Trace,
}

/// What to run with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Keep a readable timeline.
    pub timeline: bool,
    /// A mistake to plant into the daemons; without the feature `planted-bugs` nothing is planted.
    pub bug: Option<Bug>,
}

/// Runs a seed.
#[must_use]
pub fn seed(seed: u64) -> Outcome {
    seed_with(seed, Options::default())
}

/// Runs a seed with options.
#[must_use]
pub fn seed_with(seed: u64, options: Options) -> Outcome {
    let plan = Plan::of_seed(seed);
    let mut world = begin(plan, options);
    let end = world.plan.end;
    world.run_until(end, |_| false);
    // The last action, calm, falls on the end itself.
    world.run_until(end + Duration::from_millis(1), |_| false);
    oracle::liveness::one_ring(&mut world, ONE_RING);
    let now = world.now();
    let reunion = world.plan.reunion(now);
    world.plan.actions.extend(reunion);
    world.run_until(now + REUNION, |_| false);
    oracle::liveness::all_delivered(&mut world, ALL_DELIVERED);
    let now = world.now();
    world.run_until(now + REST, |_| false);
    judge(world)
}

/// Runs the plan of a scenario.
#[must_use]
pub fn scenario(plan: Plan, options: Options) -> Outcome {
    let mut world = begin(plan, options);
    let end = world.plan.end;
    world.run_until(end, |_| false);
    if world.quiet() {
        world.history.settled = Some(world.history.tick(end));
    }
    judge(world)
}

fn begin(plan: Plan, options: Options) -> World {
    #[cfg(feature = "planted-bugs")]
    spread_bugs::plant(options.bug);
    let mut world = World::new(plan);
    if options.timeline {
        world.trace.keep_lines();
    }
    world
}

fn judge(world: World) -> Outcome {
    let mut violations = world.history.findings.clone();
    violations.extend(oracle::judge(&world.history));
    violations.sort_by_key(|violation| violation.moment);
    Outcome {
        seed: world.plan.seed,
        hash: world.trace.hash(),
        events: world.trace.events(),
        simulated: world.now().since(START),
        met: world.met(),
        violations,
        trace: world.trace,
    }
}

impl Outcome {
    /// The first broken promise and what happened around it.
    #[must_use]
    pub fn report(&self, lines: usize) -> String {
        let Some(first) = self.violations.first() else { return "no violation".into() };
        let at = crate::history::seconds(first.moment.at);
        let mut text =
            format!("promise broken at {}: {}\n  {}\n", at.trim(), first.promise, first.text);
        for other in self.violations.iter().skip(1).take(5) {
            text += &format!("  also {}: {}\n", other.promise, other.text);
        }
        let around = self.trace.around(first.moment, lines);
        if !around.is_empty() {
            text += "what happened around it:\n";
            for line in around {
                text += &format!("  {line}\n");
            }
        }
        text
    }
}
