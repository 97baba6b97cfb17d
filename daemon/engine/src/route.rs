//! Which local sessions a message goes to.

use crate::groups::{Locals, State};
use spread_wire::ids::{GroupName, PrivateName, SessionId, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions of each endpoint of daemon `me` that get a message to `groups`, each once, by rising id.
pub(crate) fn receivers(state: &mut State, me: Slot, groups: &[GroupName]) -> Locals {
    if let [only] = groups {
        return destination(state, me, only);
    }
    let mut all: BTreeMap<u32, BTreeSet<SessionId>> = BTreeMap::new();
    for group in groups {
        for (endpoint, sessions) in destination(state, me, group).iter() {
            all.entry(*endpoint).or_default().extend(sessions.iter().copied());
        }
    }
    all.into_iter().map(|(endpoint, sessions)| (endpoint, sessions.into_iter().collect())).collect()
}

/// What starts with `#` is a private name, even where somebody joined a group of such a name: clients
/// may do that, and never get a message by it.
fn destination(state: &mut State, me: Slot, name: &GroupName) -> Locals {
    if !name.0.starts_with(b"#") {
        let group = state.groups.get_mut(name);
        return group.map_or_else(|| Arc::from([]), |group| group.locals(me));
    }
    match state.names.get(&PrivateName(name.0.clone())) {
        Some((id, session)) if id.slot == me => {
            Arc::from([(id.index, Arc::from([*session]) as Arc<[SessionId]>)])
        }
        _ => Arc::from([]),
    }
}
