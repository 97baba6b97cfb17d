//! Frames from an endpoint to an engine.

use super::fields::{
    end, read_endpoint_name, read_flag, read_group, read_message, read_position, read_private,
    read_uid, write_flag, write_message, write_name, write_position, write_uid, writer,
};
use super::frame::{ATTACH, Encoded, Frame, LinkError, REQUEST};
use super::{Attach, Request, RequestBody};
use crate::ids::{Epoch, RequestNumber, SessionId};
use crate::packet::cursor::{ReadError, Reader, Writer};
use bytes::Bytes;

const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const JOIN: u8 = 3;
const LEAVE: u8 = 4;
const MULTICAST: u8 = 5;
const PART: u8 = 6;
const REST: u8 = 7;

/// What an endpoint says over a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToEngine {
    /// Asks to be served; the first thing said.
    Attach(Attach),
    /// A numbered request.
    Request(Request),
}

impl ToEngine {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        match self {
            Self::Attach(attach) => attach.encode(),
            Self::Request(request) => request.encode(),
        }
    }

    /// Reads a frame.
    pub fn decode(frame: Frame) -> Result<Self, LinkError> {
        let kind = frame.kind;
        let mut from = Reader::new(frame.body);
        let read = match kind {
            ATTACH => read_attach(&mut from).map(Self::Attach),
            REQUEST => read_request(&mut from).map(Self::Request),
            _ => return Err(LinkError::UnknownKind(kind)),
        };
        read.map_err(|error| LinkError::Unreadable { kind, error })
    }
}

impl Attach {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut to = writer(96);
        write_uid(&mut to, self.uid);
        write_name(&mut to, &self.name.0);
        to.varint(self.epoch.0);
        write_flag(&mut to, self.position.is_some());
        if let Some(position) = &self.position {
            write_position(&mut to, position);
        }
        to.varint(self.applied.0);
        to.varint(self.lowest_held.0);
        Encoded::new(ATTACH, to.0, Bytes::new())
    }
}

fn read_attach(from: &mut Reader) -> Result<Attach, ReadError> {
    let attach = Attach {
        uid: read_uid(from)?,
        name: read_endpoint_name(from)?,
        epoch: Epoch(from.varint()?),
        position: if read_flag(from)? { Some(read_position(from)?) } else { None },
        applied: RequestNumber(from.varint()?),
        lowest_held: RequestNumber(from.varint()?),
    };
    end(from)?;
    Ok(attach)
}

impl Request {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut to = writer(128);
        to.varint(self.number.0);
        let mut payload = Bytes::new();
        match &self.body {
            RequestBody::Open { session, name, membership } => {
                head(&mut to, OPEN, *session);
                write_flag(&mut to, *membership);
                write_name(&mut to, &name.0);
            }
            RequestBody::Close { session, broken } => {
                head(&mut to, CLOSE, *session);
                write_flag(&mut to, *broken);
            }
            RequestBody::Join { session, group } => {
                head(&mut to, JOIN, *session);
                write_name(&mut to, &group.0);
            }
            RequestBody::Leave { session, group } => {
                head(&mut to, LEAVE, *session);
                write_name(&mut to, &group.0);
            }
            RequestBody::Multicast { session, message } => {
                head(&mut to, MULTICAST, *session);
                write_message(&mut to, message);
                payload = message.payload.clone();
            }
            RequestBody::Part { session, index, bytes } => {
                head(&mut to, PART, *session);
                to.varint(u64::from(*index));
                payload = bytes.clone();
            }
            RequestBody::Rest { session, parts, message } => {
                head(&mut to, REST, *session);
                to.varint(u64::from(*parts));
                write_message(&mut to, message);
                payload = message.payload.clone();
            }
        }
        Encoded::new(REQUEST, to.0, payload)
    }
}

fn head(to: &mut Writer, kind: u8, session: SessionId) {
    to.u8(kind);
    to.varint(session.0);
}

fn read_request(from: &mut Reader) -> Result<Request, ReadError> {
    let number = RequestNumber(from.varint()?);
    let kind = from.u8()?;
    let session = SessionId(from.varint()?);
    let body = match kind {
        OPEN => {
            let membership = read_flag(from)?;
            RequestBody::Open { session, name: read_private(from)?, membership }
        }
        CLOSE => RequestBody::Close { session, broken: read_flag(from)? },
        JOIN => RequestBody::Join { session, group: read_group(from)? },
        LEAVE => RequestBody::Leave { session, group: read_group(from)? },
        MULTICAST => RequestBody::Multicast { session, message: read_message(from)? },
        PART => RequestBody::Part { session, index: from.u32()?, bytes: from.rest() },
        REST => {
            let parts = from.u32()?;
            RequestBody::Rest { session, parts, message: read_message(from)? }
        }
        other => return Err(ReadError::Unknown(other)),
    };
    end(from)?;
    Ok(Request { number, body })
}
