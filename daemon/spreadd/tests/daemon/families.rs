//! A host that is a name may stand for addresses of either family.

use super::http::get;
use super::ring::Ring;
use super::session::Session;
use std::net::{TcpListener, UdpSocket};

/// A port that is free for TCP and UDP of both families.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("[::]:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        if UdpSocket::bind(("::", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn a_daemon_whose_host_is_a_name_is_reached_over_both_families() {
    let ring = Ring::new(1);
    let port = free_port();
    let text = format!(
        "RingEncryption = off\nAdminEndpoint = \"{}:8803\"\nUnixSocketDirectory = \"{}\"\n\
         Spread_Segment localhost:{port} {{ d0 localhost }}\n",
        ring.address(0),
        ring.path("").display()
    );
    let daemon = ring.start_from(0, &text);
    daemon.wait_members(1);
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let mut session = Session::connect(&address, "alice").expect("a session");
        session.assert_works();
        let status = get(&daemon.admin(), "/status").expect("an answer").body;
        assert!(!status.contains("::ffff"), "{status}");
        drop(session);
        daemon.wait("the name is free again", |daemon| daemon.status()["session_count"] == 0);
    }
}
