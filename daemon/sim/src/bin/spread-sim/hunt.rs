//! Many seeds at the same time, with progress.

use core::time::Duration;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use spread_sim::coverage::Coverage;
use spread_sim::run::{self, Options, Outcome};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Without a terminal a line is printed this often.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Which seeds to run and how.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// First seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// Threads; 0 for one per processor.
    pub jobs: usize,
    /// How each is run.
    pub options: Options,
    /// Stop once a promise is broken.
    pub stop_at_first: bool,
    /// Show progress.
    pub show: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Hunted {
    /// Seeds without a violation.
    pub clean: u64,
    /// The lowest seed with one.
    pub bad: Option<Outcome>,
    /// Wall time.
    pub seconds: f64,
    /// All seeds with one, and the promise that was broken first.
    pub all_bad: BTreeMap<u64, &'static str>,
    /// Kinds of faults that were met.
    pub coverage: Coverage,
    /// Simulated time, all seeds together.
    pub simulated: Duration,
    /// Events, all seeds together.
    pub events: u64,
}

/// Runs the seeds.
pub fn hunt(plan: &Hunt) -> Hunted {
    let start = Instant::now();
    let jobs = match plan.jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    };
    let bar = progress(plan);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let hunted = Mutex::new(Hunted::default());
    let told = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= plan.seeds || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let outcome = run::seed_with(plan.first + index, plan.options);
                    if take(&hunted, outcome) && plan.stop_at_first {
                        stop.store(true, Ordering::Relaxed);
                    }
                    bar.inc(1);
                    tell(plan, &hunted, &told, start);
                }
            });
        }
    });
    bar.finish_and_clear();
    let mut hunted = hunted.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    hunted.seconds = start.elapsed().as_secs_f64();
    hunted
}

/// Counts an outcome; returns whether it is a bad one.
fn take(hunted: &Mutex<Hunted>, outcome: Outcome) -> bool {
    let mut hunted = hunted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    hunted.simulated += outcome.simulated;
    hunted.events += outcome.events;
    hunted.coverage.count(&outcome.met);
    let Some(first) = outcome.violations.first() else {
        hunted.clean += 1;
        return false;
    };
    hunted.all_bad.insert(outcome.seed, first.promise);
    if hunted.bad.as_ref().is_none_or(|bad| outcome.seed < bad.seed) {
        hunted.bad = Some(outcome);
    }
    true
}

fn progress(plan: &Hunt) -> ProgressBar {
    let target = if plan.show && std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left");
    ProgressBar::with_draw_target(Some(plan.seeds), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A plain line now and then where no terminal is.
fn tell(plan: &Hunt, hunted: &Mutex<Hunted>, told: &Mutex<Instant>, start: Instant) {
    if !plan.show || std::io::stderr().is_terminal() {
        return;
    }
    let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if told.elapsed() >= LINE_INTERVAL {
        *told = Instant::now();
        let hunted = hunted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (clean, bad) = (hunted.clean, hunted.all_bad.len());
        let bad = if bad > 0 { format!(", {bad} with a broken promise") } else { String::new() };
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{clean}/{} seeds clean{bad} after {seconds:.0} s", plan.seeds);
    }
}
