//! Packets of a membership change.

use super::cursor::{ReadError, Reader, Writer};
use crate::ids::{BootId, Claim, ConfigurationId, DaemonId, RingNumber, Slot};
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use spread_bugs::{Bug, planted};

/// Most daemons a list names.
const DAEMONS: usize = 1024;
/// Most bytes of a bitmap of received packets.
const BITMAP_BYTES: usize = 8192;

/// "I gather: this is whom I know, and whom I have given up."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Ring number.
    pub ring: RingNumber,
    /// Hash of the configuration file.
    pub hash: u64,
    /// Counts this daemon's gatherings; an older one is stale.
    pub attempt: u64,
    /// Highest epoch of any configuration it knows of.
    pub epoch: u64,
    /// Its own identity.
    pub me: DaemonId,
    /// The configuration it comes from.
    pub old: Option<ConfigurationId>,
    /// Daemons it wants to go on with, itself included.
    pub candidates: Vec<DaemonId>,
    /// Daemons it goes on without.
    pub failed: Vec<(Slot, BootId)>,
    /// Highest claim it knows of for the slots of candidates that have none yet.
    pub claims: Vec<(Slot, Claim)>,
    /// Candidates that have not said anything to it since it gathers.
    pub unreached: Vec<Slot>,
    /// Where it proved candidates to be: worth a try for who does not hear them.
    pub addresses: Vec<(Slot, SocketAddr)>,
}

/// The representative's proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propose {
    /// Id of the configuration to be.
    pub id: ConfigurationId,
    /// Its members by slot.
    pub members: Vec<Proposed>,
}

/// A member of a configuration to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Who it is.
    pub daemon: DaemonId,
    /// The configuration it comes from.
    pub old: Option<ConfigurationId>,
    /// Its attempt that the representative heard: a join of this one or an earlier says nothing new to the others.
    pub attempt: u64,
}

/// What a member has of its old configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Tag of the proposal.
    pub tag: u64,
    /// Its old configuration, if it had one.
    pub old: Option<OldRing>,
}

/// A member's account of its old configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldRing {
    /// Which.
    pub id: ConfigurationId,
    /// It has everything up to here.
    pub aru: u64,
    /// Highest sequence number it has or heard of.
    pub high: u64,
    /// Known to be at every member of the old configuration.
    pub stable: u64,
    /// Bit *i* is `aru + 1 + i`: has it.
    pub bitmap: Bytes,
    /// Slots of attempts it reported complete for and never installed.
    pub obligation: Vec<Slot>,
}

/// The accounts of all members that come from one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Tag of the proposal.
    pub tag: u64,
    /// Who reported what.
    pub reports: Vec<(Slot, OldRing)>,
}

pub(super) fn write_daemon(to: &mut Writer, daemon: &DaemonId) {
    to.varint(daemon.slot.0.into());
    to.varint(daemon.claim.0);
    to.u128(daemon.boot.0);
}

pub(super) fn read_daemon(from: &mut Reader) -> Result<DaemonId, ReadError> {
    Ok(DaemonId {
        slot: Slot(from.u16()?),
        claim: Claim(from.varint()?),
        boot: BootId(from.u128()?),
    })
}

/// An address: 0 for none, else 4 or 6, the address, the port.
pub(super) fn write_address(to: &mut Writer, address: Option<&SocketAddr>) {
    let Some(address) = address else { return to.u8(0) };
    match address.ip() {
        IpAddr::V4(ip) => {
            to.u8(4);
            to.bytes(&ip.octets());
        }
        IpAddr::V6(ip) => {
            to.u8(6);
            to.bytes(&ip.octets());
        }
    }
    to.varint(address.port().into());
}

pub(super) fn read_address(from: &mut Reader) -> Result<Option<SocketAddr>, ReadError> {
    let ip = match from.u8()? {
        0 => return Ok(None),
        4 => {
            let mut octets = [0; 4];
            octets.copy_from_slice(&from.bytes(4)?);
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        6 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&from.bytes(16)?);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return Err(ReadError::Bounds),
    };
    Ok(Some(SocketAddr::new(ip, from.u16()?)))
}

pub(super) fn write_configuration(to: &mut Writer, id: &ConfigurationId) {
    to.varint(id.ring.0.into());
    to.varint(id.epoch);
    to.varint(id.representative.0.into());
    to.u128(id.boot.0);
}

fn read_configuration(from: &mut Reader) -> Result<ConfigurationId, ReadError> {
    Ok(ConfigurationId {
        ring: RingNumber(from.u32()?),
        epoch: from.varint()?,
        representative: Slot(from.u16()?),
        boot: BootId(from.u128()?),
    })
}

fn write_old(to: &mut Writer, old: Option<&ConfigurationId>) {
    to.u8(u8::from(old.is_some()));
    if let Some(id) = old {
        write_configuration(to, id);
    }
}

fn read_old(from: &mut Reader) -> Result<Option<ConfigurationId>, ReadError> {
    if from.u8()? == 0 { Ok(None) } else { Ok(Some(read_configuration(from)?)) }
}

fn list<T>(
    from: &mut Reader,
    most: usize,
    read: impl Fn(&mut Reader) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let count = from.count(most)?;
    (0..count).map(|_| read(from)).collect()
}

impl Join {
    pub(super) fn write(&self, to: &mut Writer) {
        to.varint(self.ring.0.into());
        to.u64(self.hash);
        to.varint(self.attempt);
        to.varint(self.epoch);
        write_daemon(to, &self.me);
        write_old(to, self.old.as_ref());
        to.varint(self.candidates.len() as u64);
        for daemon in &self.candidates {
            write_daemon(to, daemon);
        }
        to.varint(self.failed.len() as u64);
        for (slot, boot) in &self.failed {
            to.varint(slot.0.into());
            to.u128(boot.0);
        }
        to.varint(self.claims.len() as u64);
        for (slot, claim) in &self.claims {
            to.varint(slot.0.into());
            to.varint(claim.0);
        }
        to.varint(self.unreached.len() as u64);
        for slot in &self.unreached {
            to.varint(slot.0.into());
        }
        to.varint(self.addresses.len() as u64);
        for (slot, address) in &self.addresses {
            to.varint(slot.0.into());
            write_address(to, Some(address));
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, ReadError> {
        Ok(Self {
            ring: RingNumber(from.u32()?),
            hash: from.u64()?,
            attempt: from.varint()?,
            epoch: from.varint()?,
            me: read_daemon(from)?,
            old: read_old(from)?,
            candidates: list(from, DAEMONS, read_daemon)?,
            failed: list(from, DAEMONS, |from| Ok((Slot(from.u16()?), BootId(from.u128()?))))?,
            claims: list(from, DAEMONS, |from| Ok((Slot(from.u16()?), Claim(from.varint()?))))?,
            unreached: list(from, DAEMONS, |from| Ok(Slot(from.u16()?)))?,
            addresses: list(from, DAEMONS, |from| {
                let slot = Slot(from.u16()?);
                Ok((slot, read_address(from)?.ok_or(ReadError::Bounds)?))
            })?,
        })
    }
}

impl Proposed {
    /// Whether this is that daemon.
    #[must_use]
    pub fn is(&self, slot: Slot, boot: BootId) -> bool {
        self.daemon.slot == slot && self.daemon.boot == boot
    }
}

impl Propose {
    pub(super) fn write(&self, to: &mut Writer) {
        write_configuration(to, &self.id);
        to.varint(self.members.len() as u64);
        for member in &self.members {
            write_daemon(to, &member.daemon);
            write_old(to, member.old.as_ref());
            to.varint(member.attempt);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, ReadError> {
        let id = read_configuration(from)?;
        let members = list(from, DAEMONS, |from| {
            let (daemon, old) = (read_daemon(from)?, read_old(from)?);
            Ok(Proposed { daemon, old, attempt: from.varint()? })
        })?;
        if !members.is_sorted_by(|a, b| a.daemon.slot < b.daemon.slot) {
            return Err(ReadError::Bounds);
        }
        Ok(Self { id, members })
    }
}

impl OldRing {
    fn write(&self, to: &mut Writer) {
        write_configuration(to, &self.id);
        to.varint(self.aru);
        to.varint(self.high);
        to.varint(self.stable);
        to.varint(self.bitmap.len() as u64);
        to.bytes(&self.bitmap);
        to.varint(self.obligation.len() as u64);
        for slot in &self.obligation {
            to.varint(slot.0.into());
        }
    }

    fn read(from: &mut Reader) -> Result<Self, ReadError> {
        let id = read_configuration(from)?;
        let (aru, high, stable) = (from.varint()?, from.varint()?, from.varint()?);
        let count = from.count(BITMAP_BYTES)?;
        let bitmap = from.bytes(count)?;
        if high < aru || high - aru > count as u64 * 8 || stable > aru {
            return Err(ReadError::Bounds);
        }
        let obligation = list(from, DAEMONS, |from| Ok(Slot(from.u16()?)))?;
        Ok(Self { id, aru, high, stable, bitmap, obligation })
    }

    /// Whether the reporter has this packet.
    #[must_use]
    pub fn has(&self, seq: u64) -> bool {
        if seq <= self.aru {
            return true;
        }
        let bit = (seq - self.aru - u64::from(!planted(Bug::ReportOffByOne))) as usize;
        self.bitmap.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }
}

impl State {
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.tag);
        to.u8(u8::from(self.old.is_some()));
        if let Some(old) = &self.old {
            old.write(to);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, ReadError> {
        let tag = from.u64()?;
        let old = if from.u8()? == 0 { None } else { Some(OldRing::read(from)?) };
        Ok(Self { tag, old })
    }
}

impl Plan {
    pub(super) fn write(&self, to: &mut Writer) {
        to.u64(self.tag);
        to.varint(self.reports.len() as u64);
        for (slot, report) in &self.reports {
            to.varint(slot.0.into());
            report.write(to);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, ReadError> {
        let tag = from.u64()?;
        let reports = list(from, DAEMONS, |from| Ok((Slot(from.u16()?), OldRing::read(from)?)))?;
        Ok(Self { tag, reports })
    }
}
