//! The decision: exactly one next action.

use crate::snapshot::{SlotFact, Snapshot};
use spread_operator_api::{SlotsStatus, Violation, validate};

/// Wait before the first restart in a row.
const RESTART_BACKOFF_FIRST_MILLIS: u64 = 200;

/// Longest wait before a restart.
const RESTART_BACKOFF_MAX_MILLIS: u64 = 10_000;

/// What to do next, and what is so.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The one next action.
    pub action: Action,
    /// Slots of the ring.
    pub slots: SlotsStatus,
}

/// The one next action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing to do.
    Steady,
    /// The object breaks rules; what runs goes on.
    Invalid(Vec<Violation>),
    /// Start a daemon in a vacant slot.
    FillSlot {
        /// Which one.
        slot: u32,
    },
    /// Start a daemon again that died.
    Restart {
        /// In which slot.
        slot: u32,
    },
    /// Ask a daemon to leave in order.
    FreeSlot {
        /// Which one.
        slot: u32,
    },
    /// Replace a daemon that was made from what the object no longer says.
    Roll {
        /// In which slot.
        slot: u32,
    },
    /// A daemon that died gets its restart later.
    WaitToRestart {
        /// In which slot.
        slot: u32,
        /// When.
        at_millis: u64,
    },
    /// More daemons are wanted than there are slots: all slots are used, the rest needs a new ring.
    NewRingNeeded {
        /// Slots of the ring that runs.
        slots: u32,
        /// Daemons wanted.
        wanted: u32,
        /// Slots that the next ring would have.
        next_slots: u32,
    },
}

/// Decides from the facts. The same facts give the same plan.
pub fn plan(snapshot: &Snapshot<'_>) -> Plan {
    let violations = validate(snapshot.cluster);
    let action = if !violations.is_empty() {
        Action::Invalid(violations)
    } else if snapshot.cluster.spec.paused {
        Action::Steady
    } else {
        next_action(snapshot)
    };
    let slots = count_slots(snapshot);
    Plan { action, slots }
}

/// How long a daemon that died so often in a row is left alone.
pub fn restart_backoff_millis(times: u32) -> u64 {
    let doublings = times.saturating_sub(1).min(16);
    (RESTART_BACKOFF_FIRST_MILLIS << doublings).min(RESTART_BACKOFF_MAX_MILLIS)
}

/// Vacant slots first: a daemon more serves at once. Then what died, then what is too many.
fn next_action(snapshot: &Snapshot<'_>) -> Action {
    let total = snapshot.slot_count();
    let wanted = snapshot.wanted();
    let filled = wanted.min(total);
    if let Some(slot) = (0..filled).find(|&slot| snapshot.slot(slot) == SlotFact::Vacant) {
        return Action::FillSlot { slot };
    }
    let restart = earliest_restart(snapshot, filled);
    if let Some((at_millis, slot)) = restart
        && at_millis <= snapshot.now_millis
    {
        return Action::Restart { slot };
    }
    let surplus = |&slot: &u32| matches!(snapshot.slot(slot), SlotFact::Running { .. });
    if let Some(slot) = (filled..total).rev().find(surplus) {
        return Action::FreeSlot { slot };
    }
    if let Some((at_millis, slot)) = restart {
        return Action::WaitToRestart { slot, at_millis };
    }
    if let Some(slot) = next_to_roll(snapshot, |slot| slot < filled) {
        return Action::Roll { slot };
    }
    if wanted > total {
        return Action::NewRingNeeded {
            slots: total,
            wanted,
            next_slots: next_ring_slots(snapshot, total),
        };
    }
    Action::Steady
}

/// One daemon at a time, the highest slot first, and only while all the others are in the ring. One that
/// serves nobody is replaced whatever the others do: a bad image must not wait for itself.
pub(crate) fn next_to_roll(
    snapshot: &Snapshot<'_>,
    to_be_filled: impl Fn(u32) -> bool,
) -> Option<u32> {
    let mut whole = true;
    let mut broken = None;
    let mut outdated = None;
    let mut under_way = false;
    for slot in 0..snapshot.slot_count() {
        match snapshot.slot(slot) {
            SlotFact::Running { in_ring, ready, outdated: old } => {
                whole &= in_ring || !to_be_filled(slot);
                under_way |= !ready && !old;
                // A probe may lag behind: whoever is in the ring serves.
                if old && !ready && !in_ring {
                    broken = Some(slot);
                } else if old {
                    outdated = Some(slot);
                }
            }
            SlotFact::Leaving => under_way = true,
            SlotFact::Vacant | SlotFact::Died { .. } => whole &= !to_be_filled(slot),
        }
    }
    match (broken, outdated) {
        (Some(slot), _) => Some(slot),
        (None, Some(slot)) if whole && !under_way => Some(slot),
        _ => None,
    }
}

fn earliest_restart(snapshot: &Snapshot<'_>, filled: u32) -> Option<(u64, u32)> {
    (0..filled)
        .filter_map(|slot| match snapshot.slot(slot) {
            SlotFact::Died { at_millis, times } => {
                Some((at_millis.saturating_add(restart_backoff_millis(times)), slot))
            }
            _ => None,
        })
        .min()
}

/// Twice as many, so that the next growth is a spare slot again.
pub(crate) fn next_ring_slots(snapshot: &Snapshot<'_>, total: u32) -> u32 {
    let spec = &snapshot.cluster.spec.slots;
    let needed = snapshot.wanted().saturating_add(spec.min_spare);
    total.saturating_mul(2).max(needed).min(spec.max)
}

fn count_slots(snapshot: &Snapshot<'_>) -> SlotsStatus {
    let total = snapshot.slot_count();
    let wanted = snapshot.wanted().min(total);
    let used = (0..total)
        .filter(|&slot| match snapshot.slot(slot) {
            SlotFact::Vacant => false,
            SlotFact::Died { .. } => slot < wanted,
            SlotFact::Running { .. } | SlotFact::Leaving => true,
        })
        .count();
    let used = u32::try_from(used).unwrap_or(total);
    SlotsStatus { total, used, free: total.saturating_sub(used) }
}
