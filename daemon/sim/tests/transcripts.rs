//! Recorded sessions of the original's clients, replayed against whole daemons on a virtual network.
//!
//! Not here: 32 (needs a kernel's buffers), 49 (sends in the middle of a change of the daemons), 48 (a
//! ring that loses one daemon and gains another installs two configurations, the recording has one).

#[path = "transcripts/replay.rs"]
mod replay;
#[path = "transcripts/world.rs"]
mod world;

macro_rules! transcripts {
    ($($name:ident = $file:literal,)*) => {
        $(#[test]
        fn $name() {
            replay::replay($file);
        })*
    };
}

transcripts! {
    t01_connect_tcp_null = "01_connect_tcp_null",
    t02_connect_unix = "02_connect_unix",
    t03_connect_membership_off = "03_connect_membership_off",
    t04_connect_empty_name = "04_connect_empty_name",
    t05_connect_priority = "05_connect_priority",
    t06_name_collision = "06_name_collision",
    t07_illegal_names = "07_illegal_names",
    t08_library_versions = "08_library_versions",
    t10_join_two_clients = "10_join_two_clients",
    t11_service_types = "11_service_types",
    t12_multigroup = "12_multigroup",
    t13_leave = "13_leave",
    t14_disconnect_seen = "14_disconnect_seen",
    t15_socket_close_seen = "15_socket_close_seen",
    t16_max_message = "16_max_message",
    t17_scatter_and_empty = "17_scatter_and_empty",
    t18_private_unicast = "18_private_unicast",
    t19_self_discard = "19_self_discard",
    t20_mess_type = "20_mess_type",
    t21_big_endian_client = "21_big_endian_client",
    t23_open_group = "23_open_group",
    t24_extra_type_bits = "24_extra_type_bits",
    t25_ip_auth = "25_ip_auth",
    t26_reject = "26_reject",
    t27_pword_auth = "27_pword_auth",
    t30_malformed_messages = "30_malformed_messages",
    t31_tolerated_oddities = "31_tolerated_oddities",
    t40_two_daemon_join = "40_two_daemon_join",
    t41_two_daemon_leave_disconnect = "41_two_daemon_leave_disconnect",
    t42_same_name_two_daemons = "42_same_name_two_daemons",
    t43_daemon_crash = "43_daemon_crash",
    t44_daemon_sigterm = "44_daemon_sigterm",
    t45_partition_merge_two = "45_partition_merge_two",
    t46_partition_merge_three = "46_partition_merge_three",
    t47_three_way_merge = "47_three_way_merge",
    t50_leave_and_join_during_partition = "50_leave_and_join_during_partition",
    t51_vs_set_order = "51_vs_set_order",
    t52_join_in_transition = "52_join_in_transition",
}
