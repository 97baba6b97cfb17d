//! Requests and tables that travel in the total order.
//!
//! One byte of version and kind, then varints, names with their length, and the message's payload
//! last, so that a delivered payload is a slice of what the ring delivered. The endpoint of a
//! request is the one built into the daemon that submitted it: the ring names that daemon.

pub mod table;

use crate::ids::{GroupName, PrivateName, RequestNumber, SessionId};
use crate::link::{Multicast, Request, RequestBody};
use crate::packet::cursor::{ReadError, Reader, Writer};
use crate::service::Service;
use bytes::Bytes;
use spread_bugs::{Bug, planted};

/// Version of the ordered payloads, in the high half of their first byte.
const VERSION: u8 = 1;
/// Longest private name, in bytes.
pub const PRIVATE_NAME_BYTES: usize = 64;
/// Longest group name, in bytes.
pub const GROUP_NAME_BYTES: usize = 255;
/// Most destinations of a message.
pub const DESTINATIONS: usize = 100;

const VOID: u8 = 0;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const JOIN: u8 = 3;
const LEAVE: u8 = 4;
const MULTICAST: u8 = 5;
const CHUNK: u8 = 6;

/// What a daemon's engine puts into the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// A request of the endpoint built into the sending daemon.
    Request(Request),
    /// Takes the place of a request that the ring can't carry, so that the numbers go on.
    Void(RequestNumber),
    /// A part of the sending daemon's table, for the exchange of one configuration.
    Chunk(Chunk),
}

/// A part of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Hash of the configuration whose exchange it belongs to.
    pub configuration: u64,
    /// No part follows.
    pub last: bool,
    /// The part.
    pub bytes: Bytes,
}

/// A request as an ordered payload.
#[must_use]
pub fn encode_request(request: &Request) -> Bytes {
    let mut writer = Writer::default();
    let number = request.number;
    match &request.body {
        RequestBody::Open { session, name, membership } => {
            head(&mut writer, OPEN, number, *session);
            writer.u8(u8::from(*membership));
            write_name(&mut writer, &name.0);
        }
        RequestBody::Close { session, broken } => {
            head(&mut writer, CLOSE, number, *session);
            writer.u8(u8::from(*broken));
        }
        RequestBody::Join { session, group } => {
            head(&mut writer, JOIN, number, *session);
            write_name(&mut writer, &group.0);
        }
        RequestBody::Leave { session, group } => {
            head(&mut writer, LEAVE, number, *session);
            write_name(&mut writer, &group.0);
        }
        RequestBody::Multicast { session, message } => {
            writer.0.reserve(message.payload.len() + 24 + 33 * message.groups.len());
            head(&mut writer, MULTICAST, number, *session);
            write_message(&mut writer, message);
        }
    }
    writer.0.into()
}

/// A void request as an ordered payload.
#[must_use]
pub fn encode_void(number: RequestNumber) -> Bytes {
    let mut writer = Writer::default();
    writer.u8(VERSION << 4 | VOID);
    writer.varint(number.0);
    writer.0.into()
}

/// A part of a table as an ordered payload.
#[must_use]
pub fn encode_chunk(chunk: &Chunk) -> Bytes {
    let mut writer = Writer::default();
    writer.u8(VERSION << 4 | CHUNK);
    writer.u64(chunk.configuration);
    writer.u8(u8::from(chunk.last));
    writer.bytes(&chunk.bytes);
    writer.0.into()
}

/// Reads an ordered payload; a message's body is shared with it.
pub fn decode(payload: Bytes) -> Result<Ordered, ReadError> {
    let mut reader = Reader::new(payload);
    let first = reader.u8()?;
    if first >> 4 != VERSION {
        return Err(ReadError::Unknown(first));
    }
    let kind = first & 0xf;
    match kind {
        VOID => {
            let number = RequestNumber(reader.varint()?);
            end(&reader)?;
            return Ok(Ordered::Void(number));
        }
        CHUNK => {
            let configuration = reader.u64()?;
            let last = read_flag(&mut reader)?;
            return Ok(Ordered::Chunk(Chunk { configuration, last, bytes: reader.rest() }));
        }
        _ => {}
    }
    let number = RequestNumber(reader.varint()?);
    let session = SessionId(reader.varint()?);
    let body = match kind {
        OPEN => {
            let membership = read_flag(&mut reader)?;
            let name = PrivateName(read_name(&mut reader, PRIVATE_NAME_BYTES)?);
            RequestBody::Open { session, name, membership }
        }
        CLOSE => RequestBody::Close { session, broken: read_flag(&mut reader)? },
        JOIN => RequestBody::Join { session, group: read_group(&mut reader)? },
        LEAVE => RequestBody::Leave { session, group: read_group(&mut reader)? },
        MULTICAST => RequestBody::Multicast { session, message: read_message(&mut reader)? },
        _ => return Err(ReadError::Unknown(first)),
    };
    end(&reader)?;
    Ok(Ordered::Request(Request { number, body }))
}

fn head(writer: &mut Writer, kind: u8, number: RequestNumber, session: SessionId) {
    writer.u8(VERSION << 4 | kind);
    writer.varint(number.0);
    writer.varint(session.0);
}

fn write_message(writer: &mut Writer, message: &Multicast) {
    writer.u8(message.service as u8);
    writer.varint(u64::from(message.extra_bits));
    writer.bytes(&message.hint);
    writer.varint(message.groups.len() as u64);
    for group in &message.groups {
        write_name(writer, &group.0);
    }
    writer.bytes(&message.payload);
}

fn read_message(reader: &mut Reader) -> Result<Multicast, ReadError> {
    let mut service = Service::from_bits(u32::from(reader.u8()?)).ok_or(ReadError::Bounds)?;
    if planted(Bug::CausalAsFifo) && service == Service::Causal {
        service = Service::Fifo;
    }
    let extra_bits = reader.u32()?;
    let mut hint = [0; 4];
    hint.copy_from_slice(&reader.bytes(4)?);
    let count = reader.count(DESTINATIONS)?;
    let groups = (0..count).map(|_| read_group(reader)).collect::<Result<_, _>>()?;
    Ok(Multicast { service, extra_bits, hint, groups, payload: reader.rest() })
}

fn write_name(writer: &mut Writer, name: &[u8]) {
    writer.varint(name.len() as u64);
    writer.bytes(name);
}

fn read_name(reader: &mut Reader, most: usize) -> Result<Bytes, ReadError> {
    let length = reader.count(most)?;
    reader.bytes(length)
}

fn read_group(reader: &mut Reader) -> Result<GroupName, ReadError> {
    Ok(GroupName(read_name(reader, GROUP_NAME_BYTES)?))
}

fn read_flag(reader: &mut Reader) -> Result<bool, ReadError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ReadError::Bounds),
    }
}

fn end(reader: &Reader) -> Result<(), ReadError> {
    if reader.is_empty() { Ok(()) } else { Err(ReadError::Bounds) }
}
