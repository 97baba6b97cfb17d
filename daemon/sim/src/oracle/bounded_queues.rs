//! Every queue stays within its bound. Measured now and then while the run goes on.

use crate::history::ProcessIndex;
use crate::world::World;
use core::time::Duration;
use spread_front::SlowReader;
use spread_ring::Phase;

/// One request may come on top of a bound: the one that made the queue full.
const ONE_REQUEST_BYTES: usize = 24_000;
/// A session that has not read for so long pushes back.
const PUSHES_BACK: Duration = Duration::from_millis(900);

/// Packets on their way at once, at most: more only come of daemons that answer each other without end.
const STORM_PACKETS: usize = 100_000;

/// Whether there are more packets on their way than can ever settle.
pub fn storm(world: &mut World) -> bool {
    let packets = world.network.under_way();
    let storm = packets > STORM_PACKETS;
    if storm {
        let now = world.now();
        world.history.find(now, "bounded_queues", || format!("{packets} packets on their way"));
    }
    storm
}

/// Measures the queues of one daemon.
pub fn measure(world: &mut World, index: ProcessIndex) {
    let node = &world.nodes[index];
    if node.ended {
        return;
    }
    let settings = &world.plan.settings;
    let Some(daemon) = &node.daemon else { return };
    let ring = daemon.ring_status();
    let backlog = daemon.ring_counters().backlog_bytes as usize;
    let waiting = daemon.status().waiting_bytes / (1 + node.links.len());
    let windows = &settings.windows;
    let gap = ring.seq - ring.aru;
    let unstable = ring.seq - ring.stable;
    // The bound holds for what the token says; packets of its last round may still be on their way to this daemon.
    // Each daemon may always send one packet, whatever the window says.
    let round = u64::from(windows.window_packets) + settings.daemons as u64;
    let bound = u64::from(windows.gap_packets);
    let (gap_most, unstable_most) = (bound + round, bound + 2 * round);
    let waiting_most =
        settings.bounds.waiting_bytes.max(2 * settings.request_bytes) + ONE_REQUEST_BYTES;
    let wrong = if backlog > windows.backlog_bytes.max(ONE_REQUEST_BYTES) {
        Some(format!("{backlog} bytes in the ring's backlog"))
    } else if waiting > waiting_most {
        Some(format!("{waiting} bytes of requests wait for the ring, {waiting_most} may"))
    } else if ring.phase == Phase::Operational && gap > gap_most {
        Some(format!("{gap} packets ahead of what was received, {gap_most} may be"))
    } else if ring.phase == Phase::Operational && unstable > unstable_most {
        Some(format!("{unstable} packets are not stable, {unstable_most} may be"))
    } else {
        sessions(world, index)
    };
    if let Some(wrong) = wrong {
        let (now, site) = (world.now(), node.site);
        world.history.find(now, "bounded_queues", || format!("{site}: {wrong}"));
    }
}

/// A session that reads now and then holds the order up rather than let its queue grow.
fn sessions(world: &World, index: ProcessIndex) -> Option<String> {
    let settings = &world.plan.settings;
    let SlowReader::Block { .. } = settings.slow_reader else { return None };
    let recent = |client: &crate::client::Client| {
        client.stalled_since.is_none_or(|since| world.now().since(since) < PUSHES_BACK)
    };
    if world.clients.iter().all(|client| client.stalled_since.is_none())
        || !world.clients.iter().all(recent)
    {
        return None;
    }
    let most = settings.session_queue_bytes + ONE_REQUEST_BYTES;
    let sessions = world.nodes[index].front.status().sessions;
    let over = sessions.iter().find(|session| session.queued_bytes > most)?;
    Some(format!("{} bytes wait for {}, {most} may", over.queued_bytes, over.name))
}
