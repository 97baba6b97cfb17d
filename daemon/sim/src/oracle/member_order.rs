//! Members are listed by daemon, in the order of the configuration, then by endpoint and private name; each vs-set
//! likewise. Where an endpoint in a process of its own is served no client can tell: of those only the order among
//! their own sessions is judged.

use super::Judgement;
use crate::history::{History, Seen};
use spread_wire::name::Name;

/// Judges.
pub fn check(history: &History, judgement: &mut Judgement) {
    for (number, session) in history.sessions.iter().enumerate() {
        for event in &session.events {
            let Seen::View(view) = &event.seen else { continue };
            let mut lists = view.vs_sets.iter().chain([&view.members]);
            if let Some(list) = lists.find(|list| !sorted(list)) {
                judgement.broken(event.moment, || {
                    format!("s{number} gets members in the order {list:?}")
                });
            }
        }
    }
}

fn sorted(list: &[Name]) -> bool {
    let builtin = list.iter().filter_map(|name| Some((slot(name)?, name)));
    let together = |name: &Name| list.iter().filter(|n| endpoint(n) == endpoint(name)).is_sorted();
    builtin.is_sorted() && list.iter().all(together)
}

fn endpoint(name: &Name) -> &[u8] {
    name.rsplit(|byte| *byte == b'#').next().unwrap_or_default()
}

/// The slot of a daemon's own endpoint.
fn slot(name: &Name) -> Option<usize> {
    let number = endpoint(name).strip_prefix(b"d")?;
    core::str::from_utf8(number).ok()?.parse().ok()
}
