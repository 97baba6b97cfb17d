//! After healing there is one ring within a bounded time, and everything that living clients asked for is ordered.

use crate::history::Moment;
use crate::world::World;
use core::time::Duration;

/// A ring that stands so long has noticed everything that happened before: crashes, and addresses that are no more.
const STEADY: Duration = Duration::from_millis(700);

/// Waits until all daemons are one ring, and stay so.
pub fn one_ring(world: &mut World, most: Duration) {
    let end = world.now() + most;
    loop {
        if !world.run_until(end, |world| world.formed(&world.running())) {
            let states = world.states();
            let now = world.now();
            return world
                .history
                .find(now, "liveness", || format!("no one ring after {most:?}, {states}"));
        }
        let now = world.now();
        if !world.run_until(now + STEADY, |world| !world.formed(&world.running())) {
            break;
        }
    }
    let now = world.now();
    let healed: Moment = world.history.tick(now);
    world.history.healed = Some(healed);
}

/// Waits until nothing is on its way; from then on the history counts as complete.
pub fn all_delivered(world: &mut World, most: Duration) {
    let end = world.now() + most;
    let done = world.run_until(end, |world| world.quiet() && world.formed(&world.running()));
    let now = world.now();
    if !done {
        let states = world.states();
        return world
            .history
            .find(now, "liveness", || format!("not quiet after {most:?}, {states}"));
    }
    let settled: Moment = world.history.tick(now);
    world.history.settled = Some(settled);
}
