//! Fields that frames of both directions have.

use super::frame::HEADER_BYTES;
use super::{Multicast, RefusedAttach};
use crate::ids::{
    BootId, ConfigurationId, EndpointName, EndpointUid, GroupId, GroupName, Position, PrivateName,
    RingNumber, Seq, SessionId, Slot,
};
use crate::ordered::{GROUP_NAME_BYTES, PRIVATE_NAME_BYTES};
use crate::packet::cursor::{ReadError, Reader, Writer};
use crate::service::Service;

/// Longest name of an endpoint, in bytes.
pub const ENDPOINT_NAME_BYTES: usize = 19;
/// Most destinations of a message.
const DESTINATIONS: usize = crate::ordered::DESTINATIONS;
/// Most sessions that one delivery goes to, and most members of a view.
pub(super) const SESSIONS: usize = 1 << 20;

/// A writer with room for the header.
pub(super) fn writer(body_bytes: usize) -> Writer {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + body_bytes);
    bytes.resize(HEADER_BYTES, 0);
    Writer(bytes)
}

pub(super) fn write_name(to: &mut Writer, name: &[u8]) {
    to.varint(name.len() as u64);
    to.bytes(name);
}

fn read_name(from: &mut Reader, most: usize) -> Result<&[u8], ReadError> {
    let length = from.count(most)?;
    from.slice(length)
}

pub(super) fn read_group(from: &mut Reader) -> Result<GroupName, ReadError> {
    read_name(from, GROUP_NAME_BYTES).map(|name| GroupName(name.into()))
}

pub(super) fn read_private(from: &mut Reader) -> Result<PrivateName, ReadError> {
    read_name(from, PRIVATE_NAME_BYTES).map(|name| PrivateName(name.into()))
}

pub(super) fn read_endpoint_name(from: &mut Reader) -> Result<EndpointName, ReadError> {
    let name = read_name(from, ENDPOINT_NAME_BYTES)?;
    if name.is_empty() { Err(ReadError::Bounds) } else { Ok(EndpointName(name.into())) }
}

pub(super) fn write_flag(to: &mut Writer, flag: bool) {
    to.u8(u8::from(flag));
}

pub(super) fn read_flag(from: &mut Reader) -> Result<bool, ReadError> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ReadError::Bounds),
    }
}

pub(super) fn write_position(to: &mut Writer, position: &Position) {
    let id = &position.configuration;
    to.varint(id.ring.0.into());
    to.varint(id.epoch);
    to.varint(id.representative.0.into());
    to.u128(id.boot.0);
    to.varint(position.seq.0);
    to.varint(position.index.into());
}

pub(super) fn read_position(from: &mut Reader) -> Result<Position, ReadError> {
    let configuration = ConfigurationId {
        ring: RingNumber(from.u32()?),
        epoch: from.varint()?,
        representative: Slot(from.u16()?),
        boot: BootId(from.u128()?),
    };
    Ok(Position { configuration, seq: Seq(from.varint()?), index: from.u32()? })
}

pub(super) fn write_uid(to: &mut Writer, uid: EndpointUid) {
    to.u128(uid.0);
}

pub(super) fn read_uid(from: &mut Reader) -> Result<EndpointUid, ReadError> {
    from.u128().map(EndpointUid)
}

pub(super) fn read_group_id(from: &mut Reader) -> Result<GroupId, ReadError> {
    let mut id = [0; 12];
    id.copy_from_slice(&from.bytes(12)?);
    Ok(GroupId(id))
}

/// Sessions as differences: the ids of one endpoint are near each other.
pub(super) fn write_sessions(to: &mut Writer, sessions: &[SessionId]) {
    to.varint(sessions.len() as u64);
    let mut last = 0_u64;
    for session in sessions {
        to.varint(session.0.wrapping_sub(last));
        last = session.0;
    }
}

/// Each once, in rising order, or it is refused.
pub(super) fn read_sessions(from: &mut Reader) -> Result<Vec<SessionId>, ReadError> {
    let count = from.count(SESSIONS)?;
    let mut sessions: Vec<SessionId> = Vec::new();
    for _ in 0..count {
        let step = from.varint()?;
        let id = match sessions.last() {
            Some(last) if step > 0 => last.0.checked_add(step).ok_or(ReadError::Bounds)?,
            Some(_) => return Err(ReadError::Bounds),
            None => step,
        };
        sessions.push(SessionId(id));
    }
    Ok(sessions)
}

/// A message without its payload, which stands last in a frame.
pub(super) fn write_message(to: &mut Writer, message: &Multicast) {
    to.u8(message.service as u8);
    to.varint(u64::from(message.extra_bits));
    to.bytes(&message.hint);
    to.varint(message.groups.len() as u64);
    for group in &message.groups {
        write_name(to, &group.0);
    }
}

/// What is left of the frame is the payload.
pub(super) fn read_message(from: &mut Reader) -> Result<Multicast, ReadError> {
    let service = Service::from_bits(u32::from(from.u8()?)).ok_or(ReadError::Bounds)?;
    let extra_bits = from.u32()?;
    let hint = from.array()?;
    let count = from.count(DESTINATIONS)?;
    let groups = (0..count).map(|_| read_group(from)).collect::<Result<_, _>>()?;
    Ok(Multicast { service, extra_bits, hint, groups, payload: from.rest() })
}

pub(super) fn reason_code(reason: RefusedAttach) -> u8 {
    match reason {
        RefusedAttach::Superseded => 1,
        RefusedAttach::Unknown => 2,
        RefusedAttach::NotReady => 3,
        RefusedAttach::Name => 4,
    }
}

pub(super) fn reason_of(code: u8) -> Result<RefusedAttach, ReadError> {
    match code {
        1 => Ok(RefusedAttach::Superseded),
        2 => Ok(RefusedAttach::Unknown),
        3 => Ok(RefusedAttach::NotReady),
        4 => Ok(RefusedAttach::Name),
        other => Err(ReadError::Unknown(other)),
    }
}

pub(super) fn end(from: &Reader) -> Result<(), ReadError> {
    if from.is_empty() { Ok(()) } else { Err(ReadError::Bounds) }
}
