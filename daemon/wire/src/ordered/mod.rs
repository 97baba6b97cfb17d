//! Requests and tables that travel in the total order.
//!
//! One byte of version, kind and whether a number of an endpoint follows, then varints, names with their length, and the message's payload
//! last, so that a delivered payload is a slice of what the ring delivered. The ring names the daemon
//! that submitted a request; without more its endpoint is the one built into that daemon, another
//! one's requests carry its number there.

pub mod table;

use crate::arena::Arena;
use crate::ids::{
    EndpointName, EndpointUid, Epoch, GroupName, PrivateName, RequestNumber, SessionId,
};
use crate::link::{Destinations, Multicast, Request, RequestBody};
use crate::packet::cursor::{ReadError, Reader, Writer};
use crate::service::Service;
use bytes::{BufMut, Bytes, BytesMut};
use spread_bugs::{Bug, planted};

/// Version of the ordered payloads, in the upper three bits of their first byte.
const VERSION: u8 = 2;
/// Where the version begins in the first byte.
const VERSION_BITS: u8 = 5;
/// The kind is in the lower four bits.
const KIND: u8 = 0xf;
/// Longest private name, in bytes.
pub const PRIVATE_NAME_BYTES: usize = 64;
/// Longest endpoint name, in bytes.
pub const ENDPOINT_NAME_BYTES: usize = 19;
/// Longest group name, in bytes.
pub const GROUP_NAME_BYTES: usize = 255;
/// Most destinations of a message.
pub const DESTINATIONS: usize = 100;

/// Requests of at most so many bytes share memory.
const SHARED_BYTES: usize = 4096;

const VOID: u8 = 0;
const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const JOIN: u8 = 3;
const LEAVE: u8 = 4;
const MULTICAST: u8 = 5;
const CHUNK: u8 = 6;
const ATTACH: u8 = 7;
const PART: u8 = 8;
const REST: u8 = 9;
/// Set beside the kind of a request when the number of an endpoint follows that is not built in.
const ATTACHED: u8 = 0x10;
const FORGET: u8 = 14;
const DETACH: u8 = 15;

/// What a daemon's engine puts into the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// A request.
    Request {
        /// Number of its endpoint at the sending daemon.
        endpoint: u32,
        /// What is asked.
        request: Request,
    },
    /// Takes the place of a request that the ring can't carry, so that the numbers go on.
    Void {
        /// Number of its endpoint at the sending daemon.
        endpoint: u32,
        /// The request's number.
        number: RequestNumber,
    },
    /// An endpoint asks to be served by the sending daemon.
    Attach(AttachEndpoint),
    /// The link of an endpoint ended; its sessions wait for it to attach again.
    Detach {
        /// Its number at the sending daemon.
        endpoint: u32,
    },
    /// An endpoint did not attach again for too long.
    Forget {
        /// Which.
        uid: EndpointUid,
        /// Under which epoch it was lost.
        epoch: Epoch,
    },
    /// A part of the sending daemon's table, for the exchange of one configuration.
    Chunk(Chunk),
}

/// An attach in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachEndpoint {
    /// Its number at the sending daemon.
    pub endpoint: u32,
    /// Who attaches.
    pub uid: EndpointUid,
    /// Second half of its private names.
    pub name: EndpointName,
    /// Rises with every attach.
    pub epoch: Epoch,
    /// It was never attached before.
    pub new: bool,
    /// Highest of its requests whose effects it has seen.
    pub applied: RequestNumber,
    /// Lowest request that it can send again.
    pub lowest_held: RequestNumber,
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

/// A request of the endpoint with this number at the sending daemon, as an ordered payload. Small ones share memory.
#[must_use]
pub fn encode_request(endpoint: u32, request: &Request, arena: &mut Arena) -> Bytes {
    let number = request.number;
    let bytes = most_bytes(&request.body);
    let mut large = BytesMut::new();
    let to = if bytes > SHARED_BYTES {
        large.reserve(bytes);
        &mut large
    } else {
        arena.room(bytes)
    };
    let mut writer = Writer(to);
    let head = |writer: &mut Writer<&mut BytesMut>,
                kind: u8,
                number: RequestNumber,
                session: SessionId| {
        from_endpoint(writer, kind, endpoint);
        writer.varint(number.0);
        writer.varint(session.0);
    };
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
            head(&mut writer, MULTICAST, number, *session);
            write_message(&mut writer, message);
        }
        RequestBody::Part { session, index, bytes } => {
            head(&mut writer, PART, number, *session);
            writer.varint(u64::from(*index));
            writer.bytes(bytes);
        }
        RequestBody::Rest { session, parts, message } => {
            head(&mut writer, REST, number, *session);
            writer.varint(u64::from(*parts));
            write_message(&mut writer, message);
        }
    }
    writer.0.split().freeze()
}

/// No request of this kind takes more bytes.
fn most_bytes(body: &RequestBody) -> usize {
    /// Everything but names and payloads: four varints, and what a message has besides.
    const FIXED: usize = 1 + 5 + 4 * 10 + 16;
    let names = |message: &Multicast| -> usize {
        message.groups.iter().map(|group| group.0.len() + 2).sum()
    };
    FIXED
        + match body {
            RequestBody::Open { name, .. } => name.0.len(),
            RequestBody::Close { .. } => 0,
            RequestBody::Join { group, .. } | RequestBody::Leave { group, .. } => group.0.len(),
            RequestBody::Multicast { message, .. } | RequestBody::Rest { message, .. } => {
                names(message) + message.payload.len()
            }
            RequestBody::Part { bytes, .. } => bytes.len(),
        }
}

/// A void request as an ordered payload.
#[must_use]
pub fn encode_void(endpoint: u32, number: RequestNumber) -> Bytes {
    let mut writer = Writer(Vec::new());
    from_endpoint(&mut writer, VOID, endpoint);
    writer.varint(number.0);
    writer.0.into()
}

/// An attach as an ordered payload.
#[must_use]
pub fn encode_attach(attach: &AttachEndpoint) -> Bytes {
    let mut writer = Writer(Vec::new());
    writer.u8(VERSION << VERSION_BITS | ATTACH);
    writer.varint(u64::from(attach.endpoint));
    writer.u128(attach.uid.0);
    write_name(&mut writer, &attach.name.0);
    writer.varint(attach.epoch.0);
    writer.u8(u8::from(attach.new));
    writer.varint(attach.applied.0);
    writer.varint(attach.lowest_held.0);
    writer.0.into()
}

/// The end of an endpoint's link as an ordered payload.
#[must_use]
pub fn encode_detach(endpoint: u32) -> Bytes {
    let mut writer = Writer(Vec::new());
    writer.u8(VERSION << VERSION_BITS | DETACH);
    writer.varint(u64::from(endpoint));
    writer.0.into()
}

/// The end of a lost endpoint as an ordered payload.
#[must_use]
pub fn encode_forget(uid: EndpointUid, epoch: Epoch) -> Bytes {
    let mut writer = Writer(Vec::new());
    writer.u8(VERSION << VERSION_BITS | FORGET);
    writer.u128(uid.0);
    writer.varint(epoch.0);
    writer.0.into()
}

/// A part of a table as an ordered payload.
#[must_use]
pub fn encode_chunk(chunk: &Chunk) -> Bytes {
    let mut writer = Writer(Vec::new());
    writer.u8(VERSION << VERSION_BITS | CHUNK);
    writer.u64(chunk.configuration);
    writer.u8(u8::from(chunk.last));
    writer.bytes(&chunk.bytes);
    writer.0.into()
}

/// Reads an ordered payload; a message's body is shared with it.
pub fn decode(payload: Bytes) -> Result<Ordered, ReadError> {
    let mut reader = Reader::new(payload);
    let first = reader.u8()?;
    if first >> VERSION_BITS != VERSION {
        return Err(ReadError::Unknown(first));
    }
    let kind = first & KIND;
    match kind {
        CHUNK => {
            let configuration = reader.u64()?;
            let last = read_flag(&mut reader)?;
            return Ok(Ordered::Chunk(Chunk { configuration, last, bytes: reader.rest() }));
        }
        ATTACH => return read_attach(&mut reader),
        DETACH => {
            let endpoint = reader.u32()?;
            end(&reader)?;
            return Ok(Ordered::Detach { endpoint });
        }
        FORGET => {
            let (uid, epoch) = (EndpointUid(reader.u128()?), Epoch(reader.varint()?));
            end(&reader)?;
            return Ok(Ordered::Forget { uid, epoch });
        }
        _ => {}
    }
    let endpoint = if first & ATTACHED == 0 { 0 } else { reader.u32()? };
    let number = RequestNumber(reader.varint()?);
    if kind == VOID {
        end(&reader)?;
        return Ok(Ordered::Void { endpoint, number });
    }
    let session = SessionId(reader.varint()?);
    let body = match kind {
        OPEN => {
            let membership = read_flag(&mut reader)?;
            let name = PrivateName(read_name(&mut reader, PRIVATE_NAME_BYTES)?.into());
            RequestBody::Open { session, name, membership }
        }
        CLOSE => RequestBody::Close { session, broken: read_flag(&mut reader)? },
        JOIN => RequestBody::Join { session, group: read_group(&mut reader)? },
        LEAVE => RequestBody::Leave { session, group: read_group(&mut reader)? },
        MULTICAST => RequestBody::Multicast { session, message: read_message(&mut reader)? },
        PART => RequestBody::Part { session, index: reader.u32()?, bytes: reader.rest() },
        REST => {
            let parts = reader.u32()?;
            RequestBody::Rest { session, parts, message: read_message(&mut reader)? }
        }
        _ => return Err(ReadError::Unknown(first)),
    };
    end(&reader)?;
    Ok(Ordered::Request { endpoint, request: Request { number, body } })
}

fn read_attach(reader: &mut Reader) -> Result<Ordered, ReadError> {
    let attach = AttachEndpoint {
        endpoint: reader.u32()?,
        uid: EndpointUid(reader.u128()?),
        name: EndpointName(read_name(reader, ENDPOINT_NAME_BYTES)?.into()),
        epoch: Epoch(reader.varint()?),
        new: read_flag(reader)?,
        applied: RequestNumber(reader.varint()?),
        lowest_held: RequestNumber(reader.varint()?),
    };
    end(reader)?;
    Ok(Ordered::Attach(attach))
}

/// The first byte of a request, and the number of its endpoint unless that is built in.
fn from_endpoint<B: BufMut>(writer: &mut Writer<B>, kind: u8, endpoint: u32) {
    if endpoint == 0 {
        writer.u8(VERSION << VERSION_BITS | kind);
    } else {
        writer.u8(VERSION << VERSION_BITS | ATTACHED | kind);
        writer.varint(u64::from(endpoint));
    }
}

fn write_message<B: BufMut>(writer: &mut Writer<B>, message: &Multicast) {
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
    let hint = reader.array()?;
    let count = reader.count(DESTINATIONS)?;
    let groups = if count == 1 {
        Destinations::from_buf([read_group(reader)?])
    } else {
        (0..count).map(|_| read_group(reader)).collect::<Result<_, _>>()?
    };
    Ok(Multicast { service, extra_bits, hint, groups, payload: reader.rest() })
}

fn write_name<B: BufMut>(writer: &mut Writer<B>, name: &[u8]) {
    writer.varint(name.len() as u64);
    writer.bytes(name);
}

fn read_name(reader: &mut Reader, most: usize) -> Result<&[u8], ReadError> {
    let length = reader.count(most)?;
    reader.slice(length)
}

fn read_group(reader: &mut Reader) -> Result<GroupName, ReadError> {
    Ok(GroupName(read_name(reader, GROUP_NAME_BYTES)?.into()))
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
