//! What another number of daemons would need, by the operator's own planner.

use spread_operator_api::{PlacementType, SpreadCluster, validate};
use spread_plan::{Action, SlotFact, Snapshot, plan, slot_name};
use std::fmt;

/// What would happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Nothing {
        /// Daemons that are wanted already.
        replicas: u32,
    },
    /// Spare slots are filled: one membership change each.
    FillsSlots {
        /// Their names.
        slots: Vec<String>,
        /// Slots that stay free.
        free: u32,
        /// As many should.
        min_spare: u32,
    },
    /// Daemons leave in order.
    FreesSlots {
        /// Their names, in the order in which they leave.
        slots: Vec<String>,
    },
    /// The ring has too few slots.
    NewRing {
        /// Slots of the ring that runs.
        slots: u32,
        /// Slots of the one that is needed.
        next_slots: u32,
    },
    /// A rule forbids it.
    Refused(Vec<String>),
}

impl Verdict {
    /// Whether the ring that runs is enough.
    pub fn fits(&self) -> bool {
        !matches!(self, Self::NewRing { .. } | Self::Refused(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { replicas } => {
                write!(f, "nothing changes: {replicas} daemons are wanted already")
            }
            Self::FillsSlots { slots, free, min_spare } => {
                let slots = slots.join(", ");
                write!(f, "no new ring is needed: fills {slots}; free slots left: {free}")?;
                if free < min_spare {
                    write!(f, " (slots.minSpare is {min_spare}: SlotsAvailable will be False)")?;
                }
                Ok(())
            }
            Self::FreesSlots { slots } => {
                write!(f, "no new ring is needed: frees {}, one after the other", slots.join(", "))
            }
            Self::NewRing { slots, next_slots } => write!(
                f,
                "a new ring is needed: this one has {slots} slots, the next one would have {next_slots}"
            ),
            Self::Refused(rules) => write!(f, "refused: {}", rules.join("; ")),
        }
    }
}

/// Asks the planner what `replicas` daemons would need.
pub fn check(cluster: &SpreadCluster, replicas: u32) -> Verdict {
    if cluster.spec.placement.r#type == PlacementType::PerNode {
        return Verdict::Refused(vec![
            "spec.placement is PerNode: the number of nodes decides; label or unlabel nodes instead".to_owned(),
        ]);
    }
    let before = cluster.spec.replicas.unwrap_or_default();
    let mut wanted = cluster.clone();
    wanted.spec.replicas = Some(replicas);
    let rules: Vec<String> = validate(&wanted)
        .iter()
        .map(ToString::to_string)
        // At the creation only.
        .filter(|rule| !rule.starts_with("spec.slots.initial"))
        .collect();
    if !rules.is_empty() {
        return Verdict::Refused(rules);
    }
    if replicas == before {
        return Verdict::Nothing { replicas };
    }
    // Rules of the creation are not to refuse what the planner is asked about a ring that runs.
    wanted.spec.slots.initial = wanted.spec.slots.initial.max(replicas).min(wanted.spec.slots.max);
    let total = slots(cluster);
    let used = before.min(total);
    let mut facts: Vec<SlotFact> =
        (0..total).map(|slot| if slot < used { running() } else { SlotFact::Vacant }).collect();
    carry_out(&wanted, &mut facts)
}

/// Carries out the planner's actions on paper, until it wants nothing more.
fn carry_out(wanted: &SpreadCluster, facts: &mut [SlotFact]) -> Verdict {
    let (mut filled, mut freed) = (Vec::new(), Vec::new());
    loop {
        let snapshot =
            Snapshot { cluster: wanted, now_millis: 0, slots: facts.to_vec(), eligible_nodes: 0 };
        match plan(&snapshot).action {
            Action::FillSlot { slot } => {
                facts[slot as usize] = running();
                filled.push(slot_name(slot));
            }
            Action::FreeSlot { slot } => {
                facts[slot as usize] = SlotFact::Vacant;
                freed.push(slot_name(slot));
            }
            Action::NewRingNeeded { slots, next_slots, .. } => {
                return Verdict::NewRing { slots, next_slots };
            }
            _ if !freed.is_empty() => return Verdict::FreesSlots { slots: freed },
            _ => {
                let free = facts.iter().filter(|fact| **fact == SlotFact::Vacant).count();
                let free = u32::try_from(free).unwrap_or(u32::MAX);
                let min_spare = wanted.spec.slots.min_spare;
                return Verdict::FillsSlots { slots: filled, free, min_spare };
            }
        }
    }
}

/// Slots of the ring that serves, or of the first one.
fn slots(cluster: &SpreadCluster) -> u32 {
    let reported = cluster.status.as_ref().map(|status| status.slots.total);
    reported.filter(|total| *total > 0).unwrap_or(cluster.spec.slots.initial)
}

/// A daemon as it should be.
fn running() -> SlotFact {
    SlotFact::running(true)
}

#[cfg(test)]
mod scale_tests {
    use super::*;
    use spread_operator_api::{SlotsStatus, SpreadClusterStatus};

    fn cluster() -> SpreadCluster {
        let mut cluster = SpreadCluster::new("orders", Default::default());
        cluster.spec.replicas = Some(3);
        cluster.spec.slots.initial = 5;
        cluster.spec.slots.max = 20;
        let slots = SlotsStatus { total: 5, used: 3, free: 2 };
        cluster.status = Some(SpreadClusterStatus { slots, ..Default::default() });
        cluster
    }

    #[test]
    fn each_size_is_told_what_it_needs() {
        let cases = [
            (3, true, "nothing changes: 3 daemons are wanted already"),
            (4, true, "no new ring is needed: fills d3; free slots left: 1"),
            (
                5,
                true,
                "no new ring is needed: fills d3, d4; free slots left: 0 (slots.minSpare is 1: SlotsAvailable will be False)",
            ),
            (6, false, "a new ring is needed: this one has 5 slots, the next one would have 10"),
            (15, false, "a new ring is needed: this one has 5 slots, the next one would have 16"),
            (1, true, "no new ring is needed: frees d2, d1, one after the other"),
        ];
        for (replicas, fits, text) in cases {
            let verdict = check(&cluster(), replicas);
            assert_eq!(verdict.to_string(), text, "{replicas}");
            assert_eq!(verdict.fits(), fits, "{replicas}");
        }
    }

    #[test]
    fn what_a_rule_forbids_is_refused_with_its_remedy() {
        let text = check(&cluster(), 21).to_string();
        assert!(
            text.contains("refused: spec.replicas") && text.contains("raise slots.max"),
            "{text}"
        );
        assert!(!check(&cluster(), 0).fits());
        let mut per_node = cluster();
        per_node.spec.placement.r#type = PlacementType::PerNode;
        per_node.spec.replicas = None;
        assert!(check(&per_node, 4).to_string().contains("the number of nodes decides"));
    }

    #[test]
    fn a_cluster_without_status_has_the_slots_of_its_first_ring() {
        let mut new = cluster();
        new.status = None;
        assert!(check(&new, 5).fits() && !check(&new, 6).fits());
    }
}
