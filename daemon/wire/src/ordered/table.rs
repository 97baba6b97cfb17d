//! What one daemon brings to a state exchange: its endpoint, sessions and memberships.

use super::{PRIVATE_NAME_BYTES, end, read_flag, read_group, read_name, write_name};
use crate::ids::{
    BootId, ConfigurationId, GroupId, GroupName, PrivateName, RequestNumber, RingNumber, SessionId,
    Slot,
};
use crate::packet::cursor::{ReadError, Reader, Writer};
use bytes::Bytes;
use spread_bugs::{Bug, planted};

/// Most sessions of a table.
const SESSIONS: usize = 1 << 20;
/// Most groups of a table.
const GROUPS: usize = 1 << 20;

/// Names the history that a daemon's groups come from: daemons with the same origin have delivered the
/// same messages and are one vs-set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The configuration whose views stand.
    pub settled: ConfigurationId,
    /// The first configuration installed after it.
    pub branch: ConfigurationId,
    /// First slot of those that went from the one to the other together.
    pub first: Slot,
}

/// A daemon's part of the groups' state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Whose.
    pub slot: Slot,
    /// Where its groups come from; `None` for a daemon that just started.
    pub origin: Option<Origin>,
    /// Last request of its endpoint that was delivered.
    pub last: RequestNumber,
    /// Its sessions, by rising id.
    pub sessions: Vec<TableSession>,
    /// The groups they are members of, in name order.
    pub groups: Vec<TableGroup>,
}

/// A session in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSession {
    /// Its id at its endpoint.
    pub id: SessionId,
    /// Its private name.
    pub name: PrivateName,
    /// Whether it gets membership messages.
    pub membership: bool,
}

/// A group in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableGroup {
    /// Its name.
    pub name: GroupName,
    /// Id of its last view.
    pub id: GroupId,
    /// It lost members, and its next view is due.
    pub marked: bool,
    /// Members among the table's sessions, by rising id.
    pub members: Vec<SessionId>,
}

impl Table {
    /// The table as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.varint(u64::from(self.slot.0));
        writer.u8(u8::from(self.origin.is_some()));
        if let Some(origin) = &self.origin {
            write_configuration(&mut writer, &origin.settled);
            write_configuration(&mut writer, &origin.branch);
            writer.varint(u64::from(origin.first.0));
        }
        writer.varint(self.last.0);
        writer.varint(self.sessions.len() as u64);
        for session in &self.sessions {
            writer.varint(session.id.0);
            write_name(&mut writer, &session.name.0);
            writer.u8(u8::from(session.membership));
        }
        writer.varint(self.groups.len() as u64);
        for group in &self.groups {
            write_name(&mut writer, &group.name.0);
            writer.bytes(&group.id.0);
            writer.u8(u8::from(group.marked && !planted(Bug::MarksNotTold)));
            writer.varint(group.members.len() as u64);
            for member in &group.members {
                writer.varint(member.0);
            }
        }
        writer.0.into()
    }

    /// Reads a table.
    pub fn decode(bytes: Bytes) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        let slot = Slot(reader.u16()?);
        let origin = if read_flag(&mut reader)? {
            let settled = read_configuration(&mut reader)?;
            let branch = read_configuration(&mut reader)?;
            Some(Origin { settled, branch, first: Slot(reader.u16()?) })
        } else {
            None
        };
        let last = RequestNumber(reader.varint()?);
        let count = reader.count(SESSIONS)?;
        let sessions = (0..count).map(|_| read_session(&mut reader)).collect::<Result<_, _>>()?;
        let count = reader.count(GROUPS)?;
        let groups = (0..count).map(|_| read_table_group(&mut reader)).collect::<Result<_, _>>()?;
        end(&reader)?;
        Ok(Self { slot, origin, last, sessions, groups })
    }
}

fn read_session(reader: &mut Reader) -> Result<TableSession, ReadError> {
    let id = SessionId(reader.varint()?);
    let name = PrivateName(read_name(reader, PRIVATE_NAME_BYTES)?);
    Ok(TableSession { id, name, membership: read_flag(reader)? })
}

fn read_table_group(reader: &mut Reader) -> Result<TableGroup, ReadError> {
    let name = read_group(reader)?;
    let mut id = [0; 12];
    id.copy_from_slice(&reader.bytes(12)?);
    let marked = read_flag(reader)?;
    let count = reader.count(SESSIONS)?;
    let members =
        (0..count).map(|_| reader.varint().map(SessionId)).collect::<Result<Vec<_>, _>>()?;
    Ok(TableGroup { name, id: GroupId(id), marked, members })
}

fn write_configuration(writer: &mut Writer, id: &ConfigurationId) {
    writer.varint(u64::from(id.ring.0));
    writer.varint(id.epoch);
    writer.varint(u64::from(id.representative.0));
    writer.u128(id.boot.0);
}

fn read_configuration(reader: &mut Reader) -> Result<ConfigurationId, ReadError> {
    Ok(ConfigurationId {
        ring: RingNumber(reader.u32()?),
        epoch: reader.varint()?,
        representative: Slot(reader.u16()?),
        boot: BootId(reader.u128()?),
    })
}
