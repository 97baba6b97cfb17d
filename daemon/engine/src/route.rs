//! Which local sessions a message goes to.

use crate::groups::State;
use spread_wire::ids::{GroupName, PrivateName, SessionId, Slot};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sessions of daemon `me` that get a message to `groups`, each once, by rising id.
pub(crate) fn receivers(state: &mut State, me: Slot, groups: &[GroupName]) -> Arc<[SessionId]> {
    if let [only] = groups {
        return destination(state, me, only);
    }
    let mut all = BTreeSet::new();
    for group in groups {
        all.extend(destination(state, me, group).iter().copied());
    }
    all.into_iter().collect()
}

/// What starts with `#` is a private name, even where somebody joined a group of such a name: clients
/// may do that, and never get a message by it.
fn destination(state: &mut State, me: Slot, name: &GroupName) -> Arc<[SessionId]> {
    if !name.0.starts_with(b"#") {
        let group = state.groups.get_mut(name);
        return group.map_or_else(|| Arc::from([]), |group| group.local_sessions(me));
    }
    match state.names.get(&PrivateName(name.0.clone())) {
        Some((slot, session)) if *slot == me => Arc::from([*session]),
        _ => Arc::from([]),
    }
}
