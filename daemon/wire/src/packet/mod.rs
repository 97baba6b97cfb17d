//! Packets between daemons.
//!
//! The first byte is the version, the second the kind. Packets of one configuration carry its *tag*, a 64-bit
//! hash of its id. Control packets that exceed one packet travel as [`Packet::Part`]s.

mod control;
pub mod cursor;

pub use control::{Join, OldRing, Plan, Propose, Proposed, State};

use crate::ids::{Claim, ConfigurationId, DaemonId, Slot};
use bytes::{BufMut, Bytes};
use core::net::SocketAddr;
use cursor::{ReadError, Reader, Writer};

/// Version of all packets.
pub const VERSION: u8 = 3;

/// Bytes of a data packet's header at most: version, kind, tag, slot, sequence number, visit, how far behind it what is stable is.
pub const DATA_HEADER_BYTES: usize = 2 + 8 + 3 + 10 + 10 + 10;

/// Most ranges of sequence numbers a token asks for.
pub const TOKEN_REQUESTS: usize = 64;

/// A hash of a configuration's id (FNV-1a), for the head of packets.
#[must_use]
pub fn tag(id: &ConfigurationId) -> u64 {
    let mut writer = Writer(Vec::new());
    control::write_configuration(&mut writer, id);
    fnv(&writer.0)
}

/// FNV-1a over bytes.
#[must_use]
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Everything daemons say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Ordered pieces of payloads.
    Data(Data),
    /// The token.
    Token(Token),
    /// "I live, and the last token I saw was that of `visit`."
    Sign {
        /// Configuration.
        tag: u64,
        /// Highest visit seen.
        visit: u64,
    },
    /// Asks the successor for a sign.
    Ping {
        /// Configuration.
        tag: u64,
    },
    /// Wakes a resting token.
    Hurry {
        /// Configuration.
        tag: u64,
    },
    /// "I gather: this is whom I know."
    Join(Join),
    /// "I don't gather: this is my ring." Answers a daemon outside that has to reach all of its members before any of them
    /// gathers for it. The candidates are the members.
    Answer(Join),
    /// The representative's proposal of a configuration.
    Propose(Propose),
    /// A member's answer: what it has of its old configuration.
    State(State),
    /// All answers of one component.
    Plan(Plan),
    /// A member asks for packets of the old configuration.
    Request {
        /// Old configuration.
        tag: u64,
        /// Missing ranges: first and count.
        ranges: Vec<(u64, u32)>,
    },
    /// The member has everything its component has.
    Complete {
        /// The proposal.
        tag: u64,
    },
    /// All members are complete: install.
    Install {
        /// The proposal.
        tag: u64,
    },
    /// The representative looks for daemons outside its ring.
    Probe {
        /// Its configuration.
        tag: u64,
        /// Hash of its configuration file.
        hash: u64,
        /// Ring number.
        ring: u32,
        /// Its claim to its slot.
        claim: Claim,
    },
    /// Proves an address.
    Challenge {
        /// Fresh random number.
        nonce: u64,
    },
    /// Answers a challenge.
    Echo {
        /// The challenge's number.
        nonce: u64,
    },
    /// The member goes; all it sent or holds is stable.
    Leave {
        /// Configuration it leaves.
        tag: u64,
    },
    /// The receiver's slot is taken by a daemon that answers: it has to wait.
    SlotClaimed {
        /// Who has it.
        by: DaemonId,
        /// Where that one is, as far as the sender knows.
        at: Option<SocketAddr>,
    },
    /// Another daemon has the receiver's slot and stays.
    Superseded {
        /// Who stays.
        by: DaemonId,
    },
    /// A piece of a control packet that does not fit one packet.
    Part {
        /// Which packet of this sender.
        message: u32,
        /// Index of this part.
        index: u16,
        /// How many there are.
        count: u16,
        /// The sender's claim to its slot; 0 for one that was never admitted.
        claim: Claim,
        /// The bytes.
        bytes: Bytes,
    },
}

/// A data packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Configuration in whose order it stands.
    pub tag: u64,
    /// Daemon that ordered it (a retransmission comes from another).
    pub originator: Slot,
    /// Its place.
    pub seq: u64,
    /// Visit of the token at which it was ordered.
    pub visit: u64,
    /// Every member has all up to here, as the originator knew when it ordered this: no higher than `seq`.
    pub stable: u64,
    /// Pieces of payloads, see the ring's packing.
    pub body: Bytes,
}

/// The token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Configuration.
    pub tag: u64,
    /// Whom it is for: an address may come to be another member's. With the tag this names the boot id.
    pub to: Slot,
    /// Rises with every pass from daemon to daemon.
    pub visit: u64,
    /// Highest sequence number given out.
    pub seq: u64,
    /// All received up to.
    pub aru: u64,
    /// Who lowered `aru` last.
    pub aru_owner: Option<Slot>,
    /// Packets sent in the last round by all.
    pub sent: u32,
    /// Passes since anything was left to do.
    pub quiet: u32,
    /// Who sent last: there the token rests.
    pub last_sender: Slot,
    /// Asks the receiver for a sign.
    pub wants_sign: bool,
    /// Missing ranges: who misses them, first, count.
    pub requests: Vec<(Slot, u64, u32)>,
}

const DATA: u8 = 1;
const TOKEN: u8 = 2;
const SIGN: u8 = 3;
const PING: u8 = 4;
const HURRY: u8 = 5;
const JOIN: u8 = 6;
const PROPOSE: u8 = 7;
const STATE: u8 = 8;
const PLAN: u8 = 9;
const REQUEST: u8 = 10;
const COMPLETE: u8 = 11;
const INSTALL: u8 = 12;
const PROBE: u8 = 13;
const CHALLENGE: u8 = 14;
const ECHO: u8 = 15;
const LEAVE: u8 = 16;
const SLOT_CLAIMED: u8 = 17;
const SUPERSEDED: u8 = 18;
const PART: u8 = 19;
const ANSWER: u8 = 20;

impl Data {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let bytes = Vec::with_capacity(DATA_HEADER_BYTES + self.body.len());
        let mut to = self.header(bytes);
        to.bytes(&self.body);
        to.0.into()
    }

    /// Writes what is before the body to `to`.
    #[must_use]
    pub fn header<B: BufMut>(&self, to: B) -> Writer<B> {
        let mut to = Writer(to);
        to.u8(VERSION);
        to.u8(DATA);
        to.u64(self.tag);
        to.varint(self.originator.0.into());
        to.varint(self.seq);
        to.varint(self.visit);
        to.varint(self.seq.saturating_sub(self.stable));
        to
    }

    /// What [`Self::header`] wrote, and the body.
    fn read(from: &mut Reader) -> Result<Self, ReadError> {
        let (tag, originator) = (from.u64()?, Slot(from.u16()?));
        let (seq, visit) = (from.varint()?, from.varint()?);
        let stable = seq.checked_sub(from.varint()?).ok_or(ReadError::Bounds)?;
        Ok(Self { tag, originator, seq, visit, stable, body: from.rest() })
    }
}

impl Packet {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut to = Writer(Vec::with_capacity(128));
        to.u8(VERSION);
        match self {
            Self::Data(data) => return data.encode(),
            Self::Token(token) => write_token(&mut to, token),
            Self::Sign { tag, visit } => {
                to.u8(SIGN);
                to.u64(*tag);
                to.varint(*visit);
            }
            Self::Ping { tag } => tagged(&mut to, PING, *tag),
            Self::Hurry { tag } => tagged(&mut to, HURRY, *tag),
            Self::Join(join) => {
                to.u8(JOIN);
                join.write(&mut to);
            }
            Self::Answer(answer) => {
                to.u8(ANSWER);
                answer.write(&mut to);
            }
            Self::Propose(propose) => {
                to.u8(PROPOSE);
                propose.write(&mut to);
            }
            Self::State(state) => {
                to.u8(STATE);
                state.write(&mut to);
            }
            Self::Plan(plan) => {
                to.u8(PLAN);
                plan.write(&mut to);
            }
            Self::Request { tag, ranges } => {
                tagged(&mut to, REQUEST, *tag);
                to.varint(ranges.len() as u64);
                for (first, count) in ranges {
                    to.varint(*first);
                    to.varint(u64::from(*count));
                }
            }
            Self::Complete { tag } => tagged(&mut to, COMPLETE, *tag),
            Self::Install { tag } => tagged(&mut to, INSTALL, *tag),
            Self::Probe { tag, hash, ring, claim } => {
                tagged(&mut to, PROBE, *tag);
                to.u64(*hash);
                to.varint(u64::from(*ring));
                to.varint(claim.0);
            }
            Self::Challenge { nonce } => tagged(&mut to, CHALLENGE, *nonce),
            Self::Echo { nonce } => tagged(&mut to, ECHO, *nonce),
            Self::Leave { tag } => tagged(&mut to, LEAVE, *tag),
            Self::SlotClaimed { by, at } => {
                to.u8(SLOT_CLAIMED);
                control::write_daemon(&mut to, by);
                control::write_address(&mut to, at.as_ref());
            }
            Self::Superseded { by } => {
                to.u8(SUPERSEDED);
                control::write_daemon(&mut to, by);
            }
            Self::Part { message, index, count, claim, bytes } => {
                to.u8(PART);
                to.varint(u64::from(*message));
                to.varint(u64::from(*index));
                to.varint(u64::from(*count));
                to.varint(claim.0);
                to.bytes(bytes);
            }
        }
        to.0.into()
    }

    /// Reads a packet.
    pub fn decode(packet: Bytes) -> Result<Self, ReadError> {
        let mut from = Reader::new(packet);
        let version = from.u8()?;
        if version != VERSION {
            return Err(ReadError::Unknown(version));
        }
        let kind = from.u8()?;
        Ok(match kind {
            DATA => Self::Data(Data::read(&mut from)?),
            TOKEN => Self::Token(read_token(&mut from)?),
            SIGN => Self::Sign { tag: from.u64()?, visit: from.varint()? },
            PING => Self::Ping { tag: from.u64()? },
            HURRY => Self::Hurry { tag: from.u64()? },
            JOIN => Self::Join(Join::read(&mut from)?),
            ANSWER => Self::Answer(Join::read(&mut from)?),
            PROPOSE => Self::Propose(Propose::read(&mut from)?),
            STATE => Self::State(State::read(&mut from)?),
            PLAN => Self::Plan(Plan::read(&mut from)?),
            REQUEST => Self::Request { tag: from.u64()?, ranges: read_ranges(&mut from)? },
            COMPLETE => Self::Complete { tag: from.u64()? },
            INSTALL => Self::Install { tag: from.u64()? },
            PROBE => Self::Probe {
                tag: from.u64()?,
                hash: from.u64()?,
                ring: from.u32()?,
                claim: Claim(from.varint()?),
            },
            CHALLENGE => Self::Challenge { nonce: from.u64()? },
            ECHO => Self::Echo { nonce: from.u64()? },
            LEAVE => Self::Leave { tag: from.u64()? },
            SLOT_CLAIMED => Self::SlotClaimed {
                by: control::read_daemon(&mut from)?,
                at: control::read_address(&mut from)?,
            },
            SUPERSEDED => Self::Superseded { by: control::read_daemon(&mut from)? },
            PART => Self::Part {
                message: from.u32()?,
                index: from.u16()?,
                count: from.u16()?,
                claim: Claim(from.varint()?),
                bytes: from.rest(),
            },
            other => return Err(ReadError::Unknown(other)),
        })
    }
}

fn tagged(to: &mut Writer, kind: u8, number: u64) {
    to.u8(kind);
    to.u64(number);
}

fn read_ranges(from: &mut Reader) -> Result<Vec<(u64, u32)>, ReadError> {
    let count = from.count(TOKEN_REQUESTS)?;
    (0..count).map(|_| Ok((from.varint()?, from.u32()?))).collect()
}

fn write_token(to: &mut Writer, token: &Token) {
    to.u8(TOKEN);
    to.u64(token.tag);
    to.varint(token.to.0.into());
    to.varint(token.visit);
    to.varint(token.seq);
    to.varint(token.aru);
    to.varint(token.aru_owner.map_or(0, |slot| u64::from(slot.0) + 1));
    to.varint(u64::from(token.sent));
    to.varint(u64::from(token.quiet));
    to.varint(token.last_sender.0.into());
    to.u8(u8::from(token.wants_sign));
    to.varint(token.requests.len() as u64);
    for (slot, first, count) in &token.requests {
        to.varint(slot.0.into());
        to.varint(*first);
        to.varint(u64::from(*count));
    }
}

fn read_token(from: &mut Reader) -> Result<Token, ReadError> {
    Ok(Token {
        tag: from.u64()?,
        to: Slot(from.u16()?),
        visit: from.varint()?,
        seq: from.varint()?,
        aru: from.varint()?,
        aru_owner: match from.varint()? {
            0 => None,
            slot => Some(Slot(u16::try_from(slot - 1).map_err(|_| ReadError::Bounds)?)),
        },
        sent: from.u32()?,
        quiet: from.u32()?,
        last_sender: Slot(from.u16()?),
        wants_sign: from.u8()? != 0,
        requests: {
            let count = from.count(TOKEN_REQUESTS)?;
            (0..count)
                .map(|_| Ok((Slot(from.u16()?), from.varint()?, from.u32()?)))
                .collect::<Result<_, ReadError>>()?
        },
    })
}
