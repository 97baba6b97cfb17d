//! What a front has to know at its start.

use crate::access::AccessRule;
use core::net::IpAddr;
use core::time::Duration;
use spread_wire::frame::Layout;
use spread_wire::ids::{EndpointName, EndpointUid};

/// Settings of a front.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// Name of the endpoint.
    pub name: EndpointName,
    /// Its uid.
    pub uid: EndpointUid,
    /// Seed of invented names.
    pub seed: u64,
    /// Width of names and largest message.
    pub layout: Layout,
    /// Most sessions, half-open ones included.
    pub sessions: usize,
    /// Bytes that may wait for one session.
    pub session_queue_bytes: usize,
    /// Bytes of requests that may wait for the order before clients are no longer read.
    pub request_bytes: usize,
    /// A message with a larger payload goes in parts, in bytes.
    pub large_bytes: usize,
    /// Such a part, in bytes.
    pub part_bytes: usize,
    /// What becomes of a slow reader.
    pub slow_reader: SlowReader,
    /// A handshake has to be over after this long.
    pub handshake_timeout: Duration,
    /// Authentication.
    pub authentication: Authentication,
    /// Access rules; the first that matches counts, and without one everything is permitted.
    pub access: Vec<AccessRule>,
    /// Accept only once the session's opening was ordered (endpoints that may share their name).
    pub await_open: bool,
    /// It may attach at another daemon when its own is lost, and so remembers what its sessions were told.
    pub reattaches: bool,
}

/// Messages above this go in parts, unless a setting says otherwise. Below, all of one goes at once: its session may have several on their way.
pub const LARGE_BYTES: usize = 512 << 10;
/// A part of a large message, unless a setting says otherwise: what others send waits for few of them.
pub const PART_BYTES: usize = 64 << 10;

/// What becomes of a session that does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowReader {
    /// It pushes back; ended when its queue stays full for so long.
    Block {
        /// How long.
        timeout: Duration,
    },
    /// The original's way: ended when so many whole messages wait and another comes.
    Disconnect {
        /// How many.
        messages: usize,
    },
}

/// Authentication methods.
#[derive(Clone, Debug)]
pub struct Authentication {
    /// Offered methods, in order: `NULL`, `IP`, `PWORD`.
    pub allowed: Vec<String>,
    /// Methods every session has to pass in addition.
    pub required: Vec<String>,
    /// Rules of the method IP.
    pub addresses: Vec<AddressRule>,
    /// Users of the method PWORD.
    pub passwords: Passwords,
}

impl Default for Authentication {
    fn default() -> Self {
        let passwords = Passwords { check: |_, _, _| false, lines: Vec::new() };
        Self {
            allowed: vec!["NULL".into()],
            required: Vec::new(),
            addresses: Vec::new(),
            passwords,
        }
    }
}

/// Who may connect under the method IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// Connections over the Unix socket.
    Unix,
    /// The loopback network.
    Local,
    /// A network: address and leading bits.
    Network(IpAddr, u8),
}

/// Judges `(lines, user, password)`.
pub type PasswordCheck = fn(&[(String, String)], &[u8], &[u8]) -> bool;

/// Users and hashes, and the function that compares; hashing lives outside.
#[derive(Clone)]
pub struct Passwords {
    /// Whether `(lines, user, password)` is right.
    pub check: PasswordCheck,
    /// User and hash.
    pub lines: Vec<(String, String)>,
}

impl core::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} users", self.lines.len())
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The Unix socket.
    Unix,
    /// TCP.
    Tcp(IpAddr),
}

impl AddressRule {
    /// Whether the rule admits a peer.
    #[must_use]
    pub fn admits(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Self::Unix, Peer::Unix) => true,
            (Self::Local, Peer::Tcp(address)) => address.is_loopback(),
            (Self::Network(network, bits), Peer::Tcp(address)) => within(address, *network, *bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` of both are equal.
pub(crate) fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (a, n, width) = match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let bits = u32::from(bits).min(width);
    bits == 0 || a >> (width - bits) == n >> (width - bits)
}
