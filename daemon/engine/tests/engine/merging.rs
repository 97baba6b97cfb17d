//! The merge function by tables: what each daemon brings, what comes of it.

use spread_engine::{Bounds, EngineSettings, LOST_RETENTION, Merged, SlotDescription, merge};
use spread_wire::ids::{
    BootId, ConfigurationId, EndpointId, EndpointIdentity, EndpointName, EndpointUid, Epoch,
    GroupId, GroupName, PrivateName, RequestNumber, RingNumber, SessionId, Slot,
};
use spread_wire::ordered::table::{Origin, Table, TableEndpoint, TableGroup, TableSession};

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
    let groups = groups.iter().map(|group| TableGroup {
        name: GroupName::from(group.trim_end_matches('*')),
        id: Some(GroupId([from as u8; 12])),
        marked: group.ends_with('*'),
    });
    let groups: Vec<_> = groups.collect();
    let last = RequestNumber(u64::from(slot) + 5);
    let endpoint = row(0, None, last, name, groups.len());
    Table { slot: Slot(slot), origin, groups, endpoints: vec![endpoint], lost: Vec::new() }
}

/// An endpoint with one session that is in all of the table's groups.
fn row(
    index: u32,
    identity: Option<EndpointIdentity>,
    last: RequestNumber,
    name: &'static str,
    groups: usize,
) -> TableEndpoint {
    let session = TableSession {
        id: SessionId(1),
        name: PrivateName::from(name),
        membership: true,
        groups: (0..groups as u32).map(|place| (place, RequestNumber(2))).collect(),
    };
    TableEndpoint { index, identity, last, sessions: vec![session] }
}

fn identity(epoch: u64) -> Option<EndpointIdentity> {
    let name = EndpointName::from("pod");
    Some(EndpointIdentity { uid: EndpointUid(77), name, epoch: Epoch(epoch) })
}

fn merged(tables: &[Table]) -> Merged {
    let slots = KEYS.map(|vs_key| SlotDescription { name: EndpointName::from("d"), vs_key });
    let settings = EngineSettings {
        me: Slot(0),
        slots: slots.to_vec(),
        bounds: Bounds { lost_endpoints: 2, ..Bounds::default() },
        lost_retention: LOST_RETENTION,
    };
    merge(tables, &configuration(9, 0), &settings)
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
    assert_eq!(forward.state.endpoints[&EndpointId::builtin(Slot(2))].last, RequestNumber(7));
}

#[test]
fn of_two_sessions_with_one_name_the_lower_slot_stays() {
    let merged = merged(&[table(1, 1, "#x", &["g", "h"]), table(0, 0, "#x", &["g"])]);
    assert_eq!(merged.refused, [(EndpointId::builtin(Slot(1)), SessionId(1))]);
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

#[test]
fn an_endpoint_is_where_its_highest_epoch_is() {
    let (mut old, mut new) = (table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"]));
    old.endpoints.push(row(3, identity(4), RequestNumber(7), "#x", 1));
    new.endpoints.push(row(1, identity(5), RequestNumber(7), "#x", 1));
    let merged = merged(&[old, new]);
    let (old, new) =
        (EndpointId { slot: Slot(0), index: 3 }, EndpointId { slot: Slot(1), index: 1 });
    assert_eq!(merged.superseded, [old]);
    assert!(!merged.state.endpoints.contains_key(&old));
    assert_eq!(merged.state.endpoints[&new].last, RequestNumber(7));
    assert!(merged.state.lost.is_empty());
    assert_eq!(views(&merged), [r##"g [["#b", "#x"], ["#a"]]"##]);
}

/// Nobody may take its eighth request for one that was never ordered.
#[test]
fn an_endpoint_of_which_another_component_ordered_more_attaches_anew() {
    let (mut old, mut new) = (table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"]));
    let mut further = row(3, identity(4), RequestNumber(9), "#x", 1);
    further.sessions[0].groups.clear();
    old.endpoints.push(further);
    new.endpoints.push(row(1, identity(5), RequestNumber(7), "#x", 1));
    let merged = merged(&[old, new]);
    let (old, new) =
        (EndpointId { slot: Slot(0), index: 3 }, EndpointId { slot: Slot(1), index: 1 });
    assert_eq!(merged.superseded, [old, new]);
    let lost = &merged.state.lost[&EndpointUid(77)];
    assert_eq!(lost.attach, Some((EndpointUid(77), Epoch(5))));
    assert_eq!((lost.last, lost.groups().len()), (RequestNumber(9), 0));
    assert_eq!(views(&merged), [r##"g [["#b"], ["#a"]]"##]);
}

#[test]
fn a_lost_endpoint_has_its_highest_epoch_and_all_that_was_ordered() {
    let (mut one, mut other) = (table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"]));
    one.lost.push(row(0, identity(4), RequestNumber(8), "#x", 1));
    other.lost.push(row(0, identity(6), RequestNumber(5), "#x", 1));
    let merged = merged(&[one, other]);
    let lost = &merged.state.lost[&EndpointUid(77)];
    assert_eq!(lost.attach, Some((EndpointUid(77), Epoch(6))));
    assert_eq!(lost.last, RequestNumber(8));
}

#[test]
fn an_endpoint_that_is_served_is_not_lost() {
    let (mut lost, mut serves) = (table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"]));
    lost.lost.push(row(0, identity(4), RequestNumber(5), "#x", 1));
    serves.endpoints.push(row(1, identity(4), RequestNumber(9), "#x", 1));
    let merged = merged(&[lost, serves]);
    assert!(merged.state.lost.is_empty());
    assert_eq!(merged.superseded, []);
}

#[test]
fn a_lost_endpoint_is_remembered_with_what_was_ordered_of_it_last() {
    let (mut one, mut other) = (table(0, 0, "#a", &["g"]), table(1, 1, "#b", &["g"]));
    one.lost.push(row(0, identity(4), RequestNumber(5), "#x", 1));
    other.lost.push(row(0, identity(4), RequestNumber(8), "#x", 0));
    let merged = merged(&[one, other]);
    let lost = &merged.state.lost[&EndpointUid(77)];
    assert_eq!((lost.last, lost.groups().len()), (RequestNumber(8), 0));
    assert_eq!(views(&merged), [r##"g [["#b"], ["#a"]]"##]);
}

#[test]
fn no_more_lost_endpoints_are_remembered_than_may_be() {
    let mut table = table(0, 0, "#a", &["g"]);
    for uid in 1..=4 {
        let name = EndpointName::from("pod");
        let identity = EndpointIdentity { uid: EndpointUid(uid), name, epoch: Epoch(1) };
        table.lost.push(row(0, Some(identity), RequestNumber(1), "#x", 1));
    }
    assert_eq!(merged(&[table]).state.lost.len(), 2);
}
