//! Names and numbers: one type for each thing of the vocabulary.

use crate::name::Name;
use core::fmt;

/// Position of a daemon in the configuration file, counted from 0. Its place in every ring and member
/// list; its name outlives pods and rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u16);

/// 128 random bits drawn at each process start. Two boot ids are two daemons, whatever their address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootId(pub u128);

/// Given by the representative at admission; rises with every daemon that takes the slot. Of two daemons
/// in one slot the higher claim stays. Milliseconds of the wall clock, or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim(pub u64);

/// A daemon: slot, boot id and claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DaemonId {
    /// Where it sits.
    pub slot: Slot,
    /// Which of the claimants stays.
    pub claim: Claim,
    /// Which process it is.
    pub boot: BootId,
}

/// Which ring of a `SpreadCluster`: 1, 2, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingNumber(pub u32);

/// Names one installed configuration of a ring, never used twice.
///
/// Order is by ring, then by `epoch`, which rises with every configuration any of its members took part
/// in; so of two configurations that one daemon installed the later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigurationId {
    /// Ring it belongs to.
    pub ring: RingNumber,
    /// Higher than that of every earlier configuration of any member.
    pub epoch: u64,
    /// Representative (first member) that proposed it.
    pub representative: Slot,
    /// Boot id of the representative, so that two proposals never share an id.
    pub boot: BootId,
}

/// Place in the total order of one configuration, counted from 1. Never wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// Where a delivery stands: configuration, sequence number, index within the packet. Comparable between
/// deliveries that one daemon made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Regular configuration in whose order it stands.
    pub configuration: ConfigurationId,
    /// Sequence number of the packet that completed it.
    pub seq: Seq,
    /// Index of the payload within that packet.
    pub index: u32,
}

/// 128 random bits that name an endpoint for its whole life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointUid(pub u128);

/// An endpoint on the ring: the daemon that serves it and its number there, given at its attach and never
/// again to another endpoint by that process. Number 0 is the endpoint built into the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// Serving daemon.
    pub slot: Slot,
    /// Number at that daemon.
    pub index: u32,
}

impl EndpointId {
    /// The endpoint built into a daemon.
    #[must_use]
    pub fn builtin(slot: Slot) -> Self {
        Self { slot, index: 0 }
    }
}

/// Second half of the private names of an endpoint's sessions: the slot's name for a daemon's own client
/// sockets, the pod's name for a sidecar. 1 to 19 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointName(pub Name);

/// Rises with every attach of an endpoint, over all its links and rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// Who an endpoint is that is not built into a daemon, at one of its attaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointIdentity {
    /// The endpoint.
    pub uid: EndpointUid,
    /// Second half of its private names.
    pub name: EndpointName,
    /// Which attach; the highest counts.
    pub epoch: Epoch,
}

/// Number of an endpoint's request, counted from 1 over the endpoint's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNumber(pub u64);

/// One connected application at its endpoint. Never used twice by an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Name of a group, or of a destination as a client wrote it: no NUL, at most the configured length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(pub Name);

/// Private group name of a session, `#user#endpoint`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivateName(pub Name);

impl PrivateName {
    /// `#user#endpoint`.
    #[must_use]
    pub fn new(user: &[u8], endpoint: &EndpointName) -> Self {
        Self([b"#", user, b"#", &endpoint.0[..]].concat().into())
    }
}

/// What clients see of a view's identity: equal at all members, different for consecutive views.
///
/// The first 8 bytes are a hash of the configuration id (ring number included), so ids of two rings do
/// not meet; the last 4 count the views since.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; 12]);

macro_rules! text_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.escape_ascii())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0.escape_ascii())
            }
        }
        impl From<&'static str> for $name {
            fn from(text: &'static str) -> Self {
                Self(text.into())
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    )*};
}
text_debug!(EndpointName, GroupName, PrivateName);

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

impl fmt::Debug for EndpointUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
