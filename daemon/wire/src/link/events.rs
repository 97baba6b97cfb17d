//! Frames from an engine to an endpoint.

use super::fields::{
    SESSIONS, end, read_flag, read_group, read_group_id, read_message, read_position, read_private,
    read_sessions, read_uid, reason_code, reason_of, write_flag, write_message, write_name,
    write_position, write_sessions, write_uid, writer,
};
use super::frame::{
    ACKNOWLEDGED, APPLIED, ATTACH_REFUSED, ATTACHED, DETACHED, Encoded, Frame, LinkError, MESSAGE,
    PARTS_LOST, PAUSE, SESSION_CLOSED, SESSION_OPENED, SESSION_REFUSED, TRANSITION, VIEW,
};
use super::{Cause, Delivered, LinkEvent, View};
use crate::ids::{Epoch, PrivateName, RequestNumber, SessionId};
use crate::packet::cursor::{ReadError, Reader, Writer};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

const CAUSE_JOIN: u8 = 1;
const CAUSE_LEAVE: u8 = 2;
const CAUSE_DISCONNECT: u8 = 3;
const CAUSE_NETWORK: u8 = 4;

impl LinkEvent {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Encoded {
        let mut to = writer(64);
        let mut payload = Bytes::new();
        let kind = match self {
            Self::Attached { epoch, last, sessions, position } => {
                to.varint(epoch.0);
                to.varint(last.0);
                write_sessions(&mut to, sessions);
                write_position(&mut to, position);
                ATTACHED
            }
            Self::AttachRefused { reason } => {
                to.u8(reason_code(*reason));
                ATTACH_REFUSED
            }
            Self::Detached => DETACHED,
            Self::Applied { number, position } => {
                to.varint(number.0);
                write_position(&mut to, position);
                APPLIED
            }
            Self::Acknowledged { number } => {
                to.varint(number.0);
                ACKNOWLEDGED
            }
            Self::SessionOpened { session, position } => {
                to.varint(session.0);
                write_position(&mut to, position);
                SESSION_OPENED
            }
            Self::SessionRefused { session } => {
                to.varint(session.0);
                SESSION_REFUSED
            }
            Self::SessionClosed { session } => {
                to.varint(session.0);
                SESSION_CLOSED
            }
            Self::Message(delivered, receivers) => {
                write_delivered(&mut to, delivered, receivers);
                payload = delivered.message.payload.clone();
                MESSAGE
            }
            Self::View(view) => {
                write_view(&mut to, view);
                VIEW
            }
            Self::Transition { group, receivers, id, position } => {
                write_name(&mut to, &group.0);
                to.bytes(&id.0);
                write_position(&mut to, position);
                write_sessions(&mut to, receivers);
                TRANSITION
            }
            Self::PartsLost { last } => {
                to.varint(last.0);
                PARTS_LOST
            }
            Self::Pause(pause) => {
                write_flag(&mut to, *pause);
                PAUSE
            }
        };
        Encoded::new(kind, to.0, payload)
    }

    /// Reads a frame.
    pub fn decode(frame: Frame) -> Result<Self, LinkError> {
        let kind = frame.kind;
        let mut from = Reader::new(frame.body);
        let read = match kind {
            ATTACHED => read_attached(&mut from),
            ATTACH_REFUSED => {
                from.u8().and_then(reason_of).map(|reason| Self::AttachRefused { reason })
            }
            DETACHED => Ok(Self::Detached),
            APPLIED => read_applied(&mut from),
            ACKNOWLEDGED => {
                from.varint().map(|number| Self::Acknowledged { number: RequestNumber(number) })
            }
            SESSION_OPENED => read_opened(&mut from),
            SESSION_REFUSED => {
                from.varint().map(|session| Self::SessionRefused { session: SessionId(session) })
            }
            SESSION_CLOSED => {
                from.varint().map(|session| Self::SessionClosed { session: SessionId(session) })
            }
            MESSAGE => read_delivered(&mut from),
            VIEW => read_view(&mut from).map(|view| Self::View(Arc::new(view))),
            TRANSITION => read_transition(&mut from),
            PARTS_LOST => from.varint().map(|last| Self::PartsLost { last: RequestNumber(last) }),
            PAUSE => read_flag(&mut from).map(Self::Pause),
            _ => return Err(LinkError::UnknownKind(kind)),
        };
        let read = read.and_then(|event| end(&from).map(|()| event));
        read.map_err(|error| LinkError::Unreadable { kind, error })
    }
}

fn read_attached(from: &mut Reader) -> Result<LinkEvent, ReadError> {
    let epoch = Epoch(from.varint()?);
    let last = RequestNumber(from.varint()?);
    let sessions = read_sessions(from)?.into();
    Ok(LinkEvent::Attached { epoch, last, sessions, position: read_position(from)? })
}

fn read_applied(from: &mut Reader) -> Result<LinkEvent, ReadError> {
    let number = RequestNumber(from.varint()?);
    Ok(LinkEvent::Applied { number, position: read_position(from)? })
}

fn read_opened(from: &mut Reader) -> Result<LinkEvent, ReadError> {
    let session = SessionId(from.varint()?);
    Ok(LinkEvent::SessionOpened { session, position: read_position(from)? })
}

fn read_transition(from: &mut Reader) -> Result<LinkEvent, ReadError> {
    let (group, id) = (read_group(from)?, read_group_id(from)?);
    let position = read_position(from)?;
    Ok(LinkEvent::Transition { group, receivers: read_sessions(from)?.into(), id, position })
}

fn write_delivered(to: &mut Writer, delivered: &Delivered, receivers: &[SessionId]) {
    write_position(to, &delivered.position);
    write_name(to, &delivered.sender.0);
    let (endpoint, session) = delivered.sender_session;
    write_uid(to, endpoint);
    to.varint(session.0);
    // Requests count from 1.
    to.varint(delivered.number.map_or(0, |number| number.0));
    write_sessions(to, receivers);
    write_message(to, &delivered.message);
}

fn read_delivered(from: &mut Reader) -> Result<LinkEvent, ReadError> {
    let position = read_position(from)?;
    let sender = read_private(from)?;
    let sender_session = (read_uid(from)?, SessionId(from.varint()?));
    let number = Some(RequestNumber(from.varint()?)).filter(|number| number.0 > 0);
    let receivers = read_sessions(from)?;
    let message = read_message(from)?;
    let delivered = Delivered { position, sender, sender_session, number, message };
    Ok(LinkEvent::Message(delivered, receivers.into()))
}

fn write_view(to: &mut Writer, view: &View) {
    write_position(to, &view.position);
    write_name(to, &view.group.0);
    to.bytes(&view.id.0);
    let (cause, name) = match &view.cause {
        Cause::Join(name) => (CAUSE_JOIN, Some(name)),
        Cause::Leave(name) => (CAUSE_LEAVE, Some(name)),
        Cause::Disconnect(name) => (CAUSE_DISCONNECT, Some(name)),
        Cause::Network => (CAUSE_NETWORK, None),
    };
    to.u8(cause);
    if let Some(name) = name {
        write_name(to, &name.0);
    }
    to.varint(view.members.len() as u64);
    for member in &view.members {
        write_name(to, &member.0);
    }
    // The sets share out the members: their names are not written again.
    let places: BTreeMap<&PrivateName, u64> = view.members.iter().zip(1..).collect();
    to.varint(view.vs_sets.len() as u64);
    for set in &view.vs_sets {
        to.varint(set.len() as u64);
        for name in set {
            match places.get(name) {
                Some(place) => to.varint(*place),
                None => {
                    to.varint(0);
                    write_name(to, &name.0);
                }
            }
        }
    }
    to.varint(view.receivers.len() as u64);
    for (session, set) in &view.receivers {
        to.varint(session.0);
        to.varint(u64::from(*set));
    }
}

fn read_view(from: &mut Reader) -> Result<View, ReadError> {
    let position = read_position(from)?;
    let (group, id) = (read_group(from)?, read_group_id(from)?);
    let cause = match from.u8()? {
        CAUSE_JOIN => Cause::Join(read_private(from)?),
        CAUSE_LEAVE => Cause::Leave(read_private(from)?),
        CAUSE_DISCONNECT => Cause::Disconnect(read_private(from)?),
        CAUSE_NETWORK => Cause::Network,
        other => return Err(ReadError::Unknown(other)),
    };
    let count = from.count(SESSIONS)?;
    let members = (0..count).map(|_| read_private(from)).collect::<Result<Vec<_>, _>>()?;
    let vs_sets = read_sets(from, &members)?;
    let count = from.count(SESSIONS)?;
    let receivers = (0..count)
        .map(|_| Ok((SessionId(from.varint()?), from.u32()?)))
        .collect::<Result<Vec<_>, ReadError>>()?;
    // Each receiver names its own set.
    let sets = vs_sets.len().max(1);
    if receivers.iter().any(|(_, set)| *set as usize >= sets) {
        return Err(ReadError::Bounds);
    }
    Ok(View { position, group, id, cause, members, vs_sets, receivers })
}

fn read_sets(
    from: &mut Reader,
    members: &[PrivateName],
) -> Result<Vec<Vec<PrivateName>>, ReadError> {
    let count = from.count(SESSIONS)?;
    let mut sets = Vec::new();
    let mut left = members.len();
    for _ in 0..count {
        // The sets share out the members, so a short frame does not become a large view.
        let names = from.count(left)?;
        left -= names;
        let mut set = Vec::new();
        for _ in 0..names {
            let place = usize::try_from(from.varint()?).map_err(|_| ReadError::Bounds)?;
            set.push(match place.checked_sub(1) {
                None => read_private(from)?,
                Some(index) => members.get(index).cloned().ok_or(ReadError::Bounds)?,
            });
        }
        sets.push(set);
    }
    Ok(sets)
}
