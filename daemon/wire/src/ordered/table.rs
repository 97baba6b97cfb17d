//! What one daemon brings to a state exchange: its endpoints, their sessions and memberships.

use super::{
    ENDPOINT_NAME_BYTES, PRIVATE_NAME_BYTES, end, read_flag, read_group, read_name, write_name,
};
use crate::ids::{
    BootId, ConfigurationId, EndpointIdentity, EndpointName, EndpointUid, Epoch, GroupId,
    GroupName, PrivateName, RequestNumber, RingNumber, SessionId, Slot,
};
use crate::packet::cursor::{ReadError, Reader, Writer};
use bytes::Bytes;
use spread_bugs::{Bug, planted};

/// Most endpoints of a table.
const ENDPOINTS: usize = 1 << 16;
/// Most sessions of an endpoint in a table.
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
    /// The groups that the sessions below name, in name order.
    pub groups: Vec<TableGroup>,
    /// Its endpoints by rising number, the built-in one first.
    pub endpoints: Vec<TableEndpoint>,
    /// Endpoints that it knows of and that no daemon serves, by rising uid.
    pub lost: Vec<TableEndpoint>,
}

/// An endpoint in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEndpoint {
    /// Its number at the daemon; 0 for those that are lost.
    pub index: u32,
    /// Who it is; `None` for the one that is built in.
    pub identity: Option<EndpointIdentity>,
    /// Its last request that was delivered.
    pub last: RequestNumber,
    /// Its sessions, by rising id.
    pub sessions: Vec<TableSession>,
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
    /// Where it is a member: place in the table's groups, and number of the request to join; in
    /// name order.
    pub groups: Vec<(u32, RequestNumber)>,
}

/// A group in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableGroup {
    /// Its name.
    pub name: GroupName,
    /// Id of its last view; `None` if only lost endpoints name it.
    pub id: Option<GroupId>,
    /// It lost members, and its next view is due.
    pub marked: bool,
}

impl Table {
    /// The table as bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer(Vec::new());
        writer.varint(u64::from(self.slot.0));
        writer.u8(u8::from(self.origin.is_some()));
        if let Some(origin) = &self.origin {
            write_configuration(&mut writer, &origin.settled);
            write_configuration(&mut writer, &origin.branch);
            writer.varint(u64::from(origin.first.0));
        }
        writer.varint(self.groups.len() as u64);
        for group in &self.groups {
            write_name(&mut writer, &group.name.0);
            writer.u8(u8::from(group.id.is_some()));
            if let Some(id) = &group.id {
                writer.bytes(&id.0);
            }
            writer.u8(u8::from(group.marked && !planted(Bug::MarksNotTold)));
        }
        for endpoints in [&self.endpoints, &self.lost] {
            writer.varint(endpoints.len() as u64);
            endpoints.iter().for_each(|endpoint| write_endpoint(&mut writer, endpoint));
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
        let count = reader.count(GROUPS)?;
        let groups: Vec<_> =
            (0..count).map(|_| read_table_group(&mut reader)).collect::<Result<_, _>>()?;
        let mut endpoints = || {
            let count = reader.count(ENDPOINTS)?;
            (0..count)
                .map(|_| read_endpoint(&mut reader, groups.len()))
                .collect::<Result<Vec<_>, ReadError>>()
        };
        let (attached, lost) = (endpoints()?, endpoints()?);
        end(&reader)?;
        Ok(Self { slot, origin, groups, endpoints: attached, lost })
    }
}

fn write_endpoint(writer: &mut Writer, endpoint: &TableEndpoint) {
    writer.varint(u64::from(endpoint.index));
    writer.u8(u8::from(endpoint.identity.is_some()));
    if let Some(identity) = &endpoint.identity {
        writer.u128(identity.uid.0);
        write_name(writer, &identity.name.0);
        writer.varint(identity.epoch.0);
    }
    writer.varint(endpoint.last.0);
    writer.varint(endpoint.sessions.len() as u64);
    for session in &endpoint.sessions {
        writer.varint(session.id.0);
        write_name(writer, &session.name.0);
        writer.u8(u8::from(session.membership));
        writer.varint(session.groups.len() as u64);
        for (group, joined) in &session.groups {
            writer.varint(u64::from(*group));
            writer.varint(joined.0);
        }
    }
}

fn read_endpoint(reader: &mut Reader, groups: usize) -> Result<TableEndpoint, ReadError> {
    let index = reader.u32()?;
    let identity = if read_flag(reader)? {
        Some(EndpointIdentity {
            uid: EndpointUid(reader.u128()?),
            name: EndpointName(read_name(reader, ENDPOINT_NAME_BYTES)?.into()),
            epoch: Epoch(reader.varint()?),
        })
    } else {
        None
    };
    let last = RequestNumber(reader.varint()?);
    let count = reader.count(SESSIONS)?;
    let sessions = (0..count).map(|_| read_session(reader, groups)).collect::<Result<_, _>>()?;
    Ok(TableEndpoint { index, identity, last, sessions })
}

fn read_session(reader: &mut Reader, groups: usize) -> Result<TableSession, ReadError> {
    let id = SessionId(reader.varint()?);
    let name = PrivateName(read_name(reader, PRIVATE_NAME_BYTES)?.into());
    let membership = read_flag(reader)?;
    let count = reader.count(groups)?;
    let group = |reader: &mut Reader| {
        let group = reader.u32()?;
        let joined = RequestNumber(reader.varint()?);
        ((group as usize) < groups).then_some((group, joined)).ok_or(ReadError::Bounds)
    };
    let groups = (0..count).map(|_| group(reader)).collect::<Result<_, _>>()?;
    Ok(TableSession { id, name, membership, groups })
}

fn read_table_group(reader: &mut Reader) -> Result<TableGroup, ReadError> {
    let name = read_group(reader)?;
    let id = if read_flag(reader)? {
        let mut id = [0; 12];
        id.copy_from_slice(&reader.bytes(12)?);
        Some(GroupId(id))
    } else {
        None
    };
    Ok(TableGroup { name, id, marked: read_flag(reader)? })
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
