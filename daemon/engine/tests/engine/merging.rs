//! The merge function by tables: what each daemon brings, what comes of it.

use spread_engine::{Merged, SlotDescription, merge};
use spread_wire::ids::{
    BootId, ConfigurationId, EndpointName, GroupId, GroupName, PrivateName, RequestNumber,
    RingNumber, SessionId, Slot,
};
use spread_wire::ordered::table::{Origin, Table, TableGroup, TableSession};

const KEYS: [i64; 4] = [30, 20, 10, 40];

fn configuration(epoch: u64, representative: u16) -> ConfigurationId {
    let (ring, representative) = (RingNumber(1), Slot(representative));
    ConfigurationId { ring, epoch, representative, boot: BootId(1) }
}

/// A daemon that comes from the configuration which slot `from` led, with one session in each of
/// `groups`; a `*` marks a group that lost members.
fn table(slot: u16, from: u16, name: &'static str, groups: &[&'static str]) -> Table {
    let settled = configuration(1, from);
    let origin = Some(Origin { settled, branch: configuration(9, 0), first: Slot(from) });
    let session =
        TableSession { id: SessionId(1), name: PrivateName::from(name), membership: true };
    let groups = groups.iter().map(|group| TableGroup {
        name: GroupName::from(group.trim_end_matches('*')),
        id: GroupId([from as u8; 12]),
        marked: group.ends_with('*'),
        members: vec![SessionId(1)],
    });
    let (slot, last) = (Slot(slot), RequestNumber(u64::from(slot) + 5));
    Table { slot, origin, last, sessions: vec![session], groups: groups.collect() }
}

fn merged(tables: &[Table]) -> Merged {
    let slots = KEYS.map(|vs_key| SlotDescription { name: EndpointName::from("d"), vs_key });
    merge(tables, &configuration(9, 0), &slots)
}

fn views(merged: &Merged) -> Vec<String> {
    let names = |view: &spread_engine::MergedView| -> Vec<Vec<String>> {
        let sets = view.vs_sets.iter();
        sets.map(|set| set.iter().map(|key| key.name.to_string()).collect()).collect()
    };
    merged.views.iter().map(|view| format!("{} {:?}", view.group, names(view))).collect()
}

#[test]
fn views_by_table() {
    let cases: &[(&str, &[Table], &[&str])] = &[
        ("nobody lost, one origin", &[table(0, 0, "#a", &["g"]), table(1, 0, "#b", &["g"])], &[]),
        (
            "members lost",
            &[table(0, 0, "#a", &["g*", "h"]), table(1, 0, "#b", &["g*", "h"])],
            &[r##"g [["#a", "#b"]]"##],
        ),
        (
            "two origins, the lower key first",
            &[table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"])],
            &[r##"g [["#b"], ["#a"]]"##],
        ),
        (
            "groups in name order, those of one origin untouched",
            &[
                table(0, 0, "#a", &["a", "m", "z"]),
                table(2, 2, "#c", &["m", "z"]),
                table(3, 2, "#d", &["only", "z"]),
            ],
            &[r##"m [["#c"], ["#a"]]"##, r##"z [["#c", "#d"], ["#a"]]"##],
        ),
    ];
    for (what, tables, expected) in cases {
        assert_eq!(views(&merged(tables)), *expected, "{what}");
    }
}

#[test]
fn tables_may_come_in_any_order() {
    let mut tables = [
        table(0, 0, "#a", &["g", "h"]),
        table(1, 1, "#b", &["g*"]),
        table(2, 2, "#c", &["g", "h"]),
    ];
    let forward = merged(&tables);
    tables.reverse();
    assert_eq!(merged(&tables), forward);
    assert_eq!(forward.state.endpoints[&Slot(2)].last, RequestNumber(7));
}

#[test]
fn of_two_sessions_with_one_name_the_lower_slot_stays() {
    let merged = merged(&[table(1, 1, "#x", &["g", "h"]), table(0, 0, "#x", &["g"])]);
    assert_eq!(merged.refused, [(Slot(1), SessionId(1))]);
    assert_eq!(views(&merged), [r##"g [["#x"]]"##]);
    assert!(!merged.state.groups.contains_key(&GroupName::from("h")));
}

#[test]
fn a_changed_group_has_a_new_id_and_another_keeps_its_own() {
    let merged = merged(&[table(0, 0, "#a", &["g", "h"]), table(1, 1, "#b", &["g"])]);
    assert_eq!(merged.state.groups[&GroupName::from("h")].id, GroupId([0; 12]));
    let id = merged.state.groups[&GroupName::from("g")].id;
    assert_ne!(id, GroupId([0; 12]));
    assert_eq!(id.0[8..], [0, 0, 0, 1]);
}
