//! Which local sessions a message goes to.

use crate::groups::{Locals, State};
use spread_wire::ids::{GroupName, PrivateName, SessionId, Slot};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sessions of each endpoint of daemon `me` that get a message to `groups`, each once, by rising id.
pub(crate) fn receivers<'a>(
    state: &'a mut State,
    me: Slot,
    groups: &[GroupName],
) -> Cow<'a, Locals> {
    if let [only] = groups {
        return destination(state, me, only);
    }
    let mut all: BTreeMap<u32, BTreeSet<SessionId>> = BTreeMap::new();
    for group in groups {
        for (endpoint, sessions) in destination(state, me, group).iter() {
            all.entry(*endpoint).or_default().extend(sessions.iter().copied());
        }
    }
    let sessions = all.into_iter().map(|(endpoint, all)| (endpoint, all.into_iter().collect()));
    Cow::Owned(sessions.collect())
}

/// What starts with `#` is a private name, even where somebody joined a group of such a name: clients
/// may do that, and never get a message by it.
fn destination<'a>(state: &'a mut State, me: Slot, name: &GroupName) -> Cow<'a, Locals> {
    if !name.0.starts_with(b"#") {
        return match state.groups.get_mut(name) {
            Some(group) => Cow::Borrowed(group.locals(me)),
            None => Cow::Owned(Arc::from([])),
        };
    }
    Cow::Owned(match state.names.get(&PrivateName(name.0.clone())) {
        Some((id, session)) if id.slot == me => {
            Arc::from([(id.index, Arc::from([*session]) as Arc<[SessionId]>)])
        }
        _ => Arc::from([]),
    })
}
