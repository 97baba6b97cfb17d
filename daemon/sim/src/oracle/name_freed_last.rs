//! A private name is free again only once the end of its session was ordered. Judged when a daemon accepts a session.

use crate::history::ProcessIndex;
use crate::world::World;
use spread_wire::ids::PrivateName;
use spread_wire::name::Name;

/// The `count`-th session of a daemon is accepted under this name: no earlier one may have it then.
pub fn on_accept(world: &mut World, process: ProcessIndex, name: Name, count: u64) {
    if world.plan.settings.await_open {
        // The order has judged already.
        return;
    }
    let name = PrivateName(name);
    let Some(daemon) = &world.nodes[process].daemon else { return };
    let owner = daemon.engine().state().names.get(&name);
    if owner.is_some_and(|(_, session)| session.0 < count) {
        let now = world.now();
        world.history.find(now, "name_freed_last", || {
            format!("session {count} is accepted as {name}, which an earlier session still has")
        });
    }
}
