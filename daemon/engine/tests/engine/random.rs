//! Random lives of a cluster: whatever happens, the daemons of a component agree.

use crate::cluster::Cluster;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Open(u16, u64),
    Close(u16, u64),
    Join(u16, u64, u8),
    Leave(u16, u64, u8),
    Send(u16, u64, u8),
    Run(usize),
    Regroup([u8; 4], usize),
    Restart(u16, [u8; 4]),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0..4_u16;
    let session = || 0..3_u64;
    prop_oneof![
        3 => (slot(), session()).prop_map(|(slot, id)| Step::Open(slot, id)),
        1 => (slot(), session()).prop_map(|(slot, id)| Step::Close(slot, id)),
        4 => (slot(), session(), 0..3_u8).prop_map(|(slot, id, group)| Step::Join(slot, id, group)),
        2 => (slot(), session(), 0..3_u8).prop_map(|(slot, id, group)| Step::Leave(slot, id, group)),
        3 => (slot(), session(), 0..3_u8).prop_map(|(slot, id, group)| Step::Send(slot, id, group)),
        4 => (0..12_usize).prop_map(Step::Run),
        2 => (any::<[u8; 4]>(), 0..5_usize).prop_map(|(split, late)| Step::Regroup(split, late)),
        1 => (slot(), any::<[u8; 4]>()).prop_map(|(slot, split)| Step::Restart(slot, split)),
    ]
}

/// The slots by the number each drew, of three.
fn regroup(cluster: &mut Cluster, split: [u8; 4], late: usize) {
    let parts: Vec<Vec<u16>> = (0..3)
        .map(|part| (0..4).filter(|slot| split[usize::from(*slot)] % 3 == part).collect())
        .filter(|part: &Vec<u16>| !part.is_empty())
        .collect();
    let parts: Vec<&[u16]> = parts.iter().map(Vec::as_slice).collect();
    cluster.regroup(&parts, late);
}

fn play(steps: &[Step]) {
    let mut cluster = Cluster::new(&[4, 3, 2, 1]);
    (0..4).for_each(|slot| cluster.start(slot));
    let group = |number: u8| format!("g{number}");
    for step in steps {
        match step {
            Step::Open(slot, id) => cluster.open(*slot, *id, &format!("u{id}")),
            Step::Close(slot, id) => cluster.close(*slot, *id),
            Step::Join(slot, id, number) => cluster.join(*slot, *id, &group(*number)),
            Step::Leave(slot, id, number) => cluster.leave(*slot, *id, &group(*number)),
            Step::Send(slot, id, number) => cluster.send(*slot, *id, &[&group(*number)], "m"),
            Step::Run(count) => cluster.run(*count),
            Step::Regroup(split, late) => regroup(&mut cluster, *split, *late),
            Step::Restart(slot, split) => {
                cluster.start(*slot);
                regroup(&mut cluster, *split, 0);
            }
        }
    }
    cluster.regroup(&[&[0, 1], &[2, 3]], 1);
    cluster.settle();
    cluster.check();
    cluster.regroup(&[&[0, 1, 2, 3]], 0);
    cluster.settle();
    cluster.check();
}

proptest! {
    #[test]
    fn daemons_of_a_component_agree(steps in prop::collection::vec(step(), 0..80)) {
        play(&steps);
    }
}
