//! Recorded sessions of original clients with original daemons, replayed byte for byte against ours.
//!
//! `vectors/README.md` describes the files. Bytes that differ from run to run (`mask`) or are the implementation's choice
//! (`impl`) are not compared; ids of views are compared by their labels.

mod transcripts {
    pub(crate) mod client;
    pub(crate) mod daemons;
    pub(crate) mod overflow;
    pub(crate) mod replay;
    pub(crate) mod vector;
}

use transcripts::daemons::{Family, namespaces};
use transcripts::replay::{replay, tries};

/// One test for each transcript, so that a failure has a name.
macro_rules! replayed {
    ($($test:ident: $vector:literal $how:ident;)*) => {$(
        #[test]
        fn $test() {
            $how($vector);
        }
    )*};
}

fn alone(name: &str) {
    replay(name, Family::V4).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Several daemons in namespaces of their own.
fn together(name: &str) {
    if namespaces() {
        replay(name, Family::V4).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// The transcript records one outcome of a race.
fn raced(name: &str) {
    if namespaces() {
        tries(name, 5);
    }
}

fn overflow(name: &str) {
    transcripts::overflow::replay(name);
}

replayed! {
    v01_connect_tcp_null: "01_connect_tcp_null" alone;
    v02_connect_unix: "02_connect_unix" alone;
    v03_connect_membership_off: "03_connect_membership_off" alone;
    v04_connect_empty_name: "04_connect_empty_name" alone;
    v05_connect_priority: "05_connect_priority" alone;
    v06_name_collision: "06_name_collision" alone;
    v07_illegal_names: "07_illegal_names" alone;
    v08_library_versions: "08_library_versions" alone;
    v10_join_two_clients: "10_join_two_clients" alone;
    v11_service_types: "11_service_types" alone;
    v12_multigroup: "12_multigroup" alone;
    v13_leave: "13_leave" alone;
    v14_disconnect_seen: "14_disconnect_seen" alone;
    v15_socket_close_seen: "15_socket_close_seen" alone;
    v16_max_message: "16_max_message" alone;
    v17_scatter_and_empty: "17_scatter_and_empty" alone;
    v18_private_unicast: "18_private_unicast" alone;
    v19_self_discard: "19_self_discard" alone;
    v20_mess_type: "20_mess_type" alone;
    v21_big_endian_client: "21_big_endian_client" alone;
    v23_open_group: "23_open_group" alone;
    v24_extra_type_bits: "24_extra_type_bits" alone;
    v25_ip_auth: "25_ip_auth" alone;
    v26_reject: "26_reject" alone;
    v27_pword_auth: "27_pword_auth" alone;
    v30_malformed_messages: "30_malformed_messages" alone;
    v31_tolerated_oddities: "31_tolerated_oddities" alone;
    v32_queue_overflow: "32_queue_overflow" overflow;
    v40_two_daemon_join: "40_two_daemon_join" together;
    v41_two_daemon_leave_disconnect: "41_two_daemon_leave_disconnect" together;
    v42_same_name_two_daemons: "42_same_name_two_daemons" together;
    v43_daemon_crash: "43_daemon_crash" together;
    v44_daemon_sigterm: "44_daemon_sigterm" together;
    v45_partition_merge_two: "45_partition_merge_two" together;
    v46_partition_merge_three: "46_partition_merge_three" together;
    v47_three_way_merge: "47_three_way_merge" raced;
    v48_regroup: "48_regroup" together;
    v49_transitional_delivery: "49_transitional_delivery" raced;
    v50_leave_and_join_during_partition: "50_leave_and_join_during_partition" together;
    v51_vs_set_order: "51_vs_set_order" together;
    v52_join_in_transition: "52_join_in_transition" raced;
}

/// Transcripts of several daemons once more with packets for all sent by multicast.
#[test]
fn by_multicast() {
    for name in ["40_two_daemon_join", "46_partition_merge_three", "51_vs_set_order"] {
        if namespaces() {
            let replayed = replay(name, Family::Multicast);
            replayed.unwrap_or_else(|error| panic!("{name} by multicast: {error}"));
        }
    }
}

/// The single-daemon transcripts once more over IPv6.
#[test]
fn over_ipv6() {
    for name in [
        "01_connect_tcp_null",
        "10_join_two_clients",
        "12_multigroup",
        "16_max_message",
        "30_malformed_messages",
    ] {
        replay(name, Family::V6).unwrap_or_else(|error| panic!("{name} over IPv6: {error}"));
    }
}
