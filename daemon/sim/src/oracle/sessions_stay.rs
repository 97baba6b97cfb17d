//! A session that keeps to the protocol is ended by nobody: only by itself, its daemon's end, its own slowness, or a name
//! that another one has. Measured now and then while the run goes on.

use crate::history::ProcessIndex;
use crate::world::World;
use spread_front::SlowReader;

/// Looks at what one daemon's front counted.
pub fn measure(world: &mut World, index: ProcessIndex) {
    let node = &world.nodes[index];
    let counters = node.front.counters();
    let never_stalled = world.clients.iter().all(|client| client.stalls == 0);
    let blocks = matches!(world.plan.settings.slow_reader, SlowReader::Block { .. });
    let wrong = if counters.malformed > 0 {
        "a session was ended for a request that was well formed"
    } else if counters.slow_readers > 0 && never_stalled && blocks {
        "a session was ended as a slow reader, and all clients read"
    } else {
        return;
    };
    let (now, site) = (world.now(), node.site);
    world.history.find(now, "sessions_stay", || format!("{site}: {wrong}"));
}
