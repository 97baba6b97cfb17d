//! The six services and the type bits of the client protocol (`client-protocol` section 3.1).

/// What the sender of a message asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Carried as reliable; the word is kept for the receiver to see.
    Unreliable = 0x01,
    /// Arrives; here always at its place in the total order.
    Reliable = 0x02,
    /// In sending order per sender.
    Fifo = 0x04,
    /// Respects causality.
    Causal = 0x08,
    /// One total order for all receivers in all groups.
    Agreed = 0x10,
    /// Agreed, and delivered only once every daemon of the configuration has it.
    Safe = 0x20,
}

impl Service {
    /// The service whose single bit this is; `None` for no or several service bits.
    #[must_use]
    pub fn from_bits(word: u32) -> Option<Self> {
        match word & bits::REGULAR {
            0x01 => Some(Self::Unreliable),
            0x02 => Some(Self::Reliable),
            0x04 => Some(Self::Fifo),
            0x08 => Some(Self::Causal),
            0x10 => Some(Self::Agreed),
            0x20 => Some(Self::Safe),
            _ => None,
        }
    }

    /// How the ring has to carry it.
    #[must_use]
    pub fn guarantee(self) -> Guarantee {
        if self == Self::Safe { Guarantee::Safe } else { Guarantee::Agreed }
    }
}

/// How the ring carries a payload. Everything travels in the one total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// Delivered as soon as nothing ordered before it is missing.
    Agreed,
    /// Delivered once every daemon of the configuration is known to have it.
    Safe,
}

/// Bits of a frame's type word.
pub mod bits {
    /// Mask of the six services.
    pub const REGULAR: u32 = 0x3f;
    /// Do not deliver to the sending session.
    pub const SELF_DISCARD: u32 = 0x40;
    /// View caused by a join.
    pub const CAUSED_BY_JOIN: u32 = 0x100;
    /// View caused by a leave; alone: self leave.
    pub const CAUSED_BY_LEAVE: u32 = 0x200;
    /// View caused by a disconnect.
    pub const CAUSED_BY_DISCONNECT: u32 = 0x400;
    /// View caused by a change of the daemons' configuration.
    pub const CAUSED_BY_NETWORK: u32 = 0x800;
    /// A new view.
    pub const REG_MEMB: u32 = 0x1000;
    /// Transitional signal.
    pub const TRANSITION: u32 = 0x2000;
    /// Request: join a group.
    pub const JOIN: u32 = 0x0001_0000;
    /// Request: leave a group.
    pub const LEAVE: u32 = 0x0002_0000;
    /// Request: disconnect.
    pub const KILL: u32 = 0x0004_0000;
    /// A refused request, back to its sender.
    pub const REJECT: u32 = 0x0040_0000;
    /// Bits that would let a client forge membership, reject or internal messages: never accepted.
    pub const FORBIDDEN: u32 = 0x0078_ff00;
    /// Both set: the writer is little-endian; both clear: big-endian.
    pub const BYTE_ORDER: u32 = 0x8000_0080;
}
