//! What a front (one endpoint) and an engine say to each other over a link.
//!
//! In process the values travel as they are; a link to another process carries the same values as frames
//! ([`frame`] is where they begin). A link carries one copy of a message however many sessions of the endpoint get it: the front
//! fans out by its own sessions' membership at that place of the order.

mod events;
mod fields;
pub mod frame;
mod requests;

pub use fields::ENDPOINT_NAME_BYTES;
pub use requests::ToEngine;

use crate::ids::{
    EndpointName, EndpointUid, Epoch, GroupId, GroupName, Position, PrivateName, RequestNumber,
    SessionId,
};
use crate::service::Service;
use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::Arc;

/// Asks an engine to serve an endpoint. Ordered; the higher epoch wins everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attach {
    /// Who attaches.
    pub uid: EndpointUid,
    /// Second half of its private names.
    pub name: EndpointName,
    /// Rises with every attach of this endpoint.
    pub epoch: Epoch,
    /// Last place of the order it has seen; `None` for an endpoint that was never attached.
    pub position: Option<Position>,
    /// Highest of its requests whose effects it has seen.
    pub applied: RequestNumber,
    /// Lowest request number it still holds (so: can send again); the next one if it holds none.
    pub lowest_held: RequestNumber,
}

/// A numbered request of an endpoint. Delivered is only the number after the last one under the
/// endpoint's current epoch; everything else is dropped by every daemon alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: RequestNumber,
    /// What is asked.
    pub body: RequestBody,
}

/// What an endpoint can have ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// A session begins; answered by [`LinkEvent::SessionOpened`] or [`LinkEvent::SessionRefused`].
    Open {
        /// New session.
        session: SessionId,
        /// Its private name, unique in a component.
        name: PrivateName,
        /// Whether it gets membership messages.
        membership: bool,
    },
    /// A session ends; answered by [`LinkEvent::SessionClosed`], which frees its name.
    Close {
        /// The session.
        session: SessionId,
        /// `true`: the session did not ask for it (broken or dropped): ordered as SAFE.
        broken: bool,
    },
    /// A session joins a group.
    Join {
        /// Who.
        session: SessionId,
        /// Where.
        group: GroupName,
    },
    /// A session leaves a group.
    Leave {
        /// Who.
        session: SessionId,
        /// What.
        group: GroupName,
    },
    /// A session sends a message.
    Multicast {
        /// Who.
        session: SessionId,
        /// The message.
        message: Multicast,
    },
    /// A part of a large message, so that others' requests need not wait for all of it. An endpoint sends the parts of one
    /// message at a time; one that does not follow the part before it is dropped by every daemon alike.
    Part {
        /// Whose message.
        session: SessionId,
        /// Parts of the message before this one.
        index: u32,
        /// What it adds to the payload.
        bytes: Bytes,
    },
    /// The end of a large message: only now it stands in the order. Dropped by every daemon alike unless all its parts came before it in this
    /// configuration; [`LinkEvent::PartsLost`] tells the endpoint.
    Rest {
        /// Who.
        session: SessionId,
        /// How many parts there are before this, at least one.
        parts: u32,
        /// The message, with the rest of its payload.
        message: Multicast,
    },
}

/// Destinations of a message: nearly always one, which then needs no allocation of its own.
pub type Destinations = SmallVec<[GroupName; 1]>;

/// A message as its sender gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multicast {
    /// Service asked for.
    pub service: Service,
    /// The type word's other bits in host order (SELF_DISCARD, unknown ones), without service and
    /// byte order bits.
    pub extra_bits: u32,
    /// The hint field, byte for byte as sent.
    pub hint: [u8; 4],
    /// Destinations as listed, duplicates and private names included; 0 to 100.
    pub groups: Destinations,
    /// The body, shared with the buffer it was read into.
    pub payload: Bytes,
}

/// What an engine tells an endpoint, in the total order.
#[allow(
    clippy::large_enum_variant,
    reason = "most events are messages: a box costs each an allocation"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The endpoint is served from here on. Requests after `last` have to be sent (again).
    Attached {
        /// Under which epoch.
        epoch: Epoch,
        /// Last of its requests that was delivered.
        last: RequestNumber,
        /// Its sessions that are open, by rising id.
        sessions: Arc<[SessionId]>,
        /// Where the attach was delivered.
        position: Position,
    },
    /// The engine can't judge this attach, or will not serve it; nothing was changed.
    AttachRefused {
        /// Why.
        reason: RefusedAttach,
    },
    /// This link is over, without any effect on sessions: a higher epoch attached elsewhere, or components met and the
    /// other one had ordered requests of the endpoint that this one had not. Unless it did attach elsewhere, it attaches
    /// anew.
    Detached,
    /// The effects of requests up to this number were told before this. Only over links to other
    /// processes, where the acknowledgement comes later.
    Applied {
        /// Highest such number.
        number: RequestNumber,
        /// Where it was delivered.
        position: Position,
    },
    /// Requests up to this number are in the order for good: the endpoint may forget them.
    Acknowledged {
        /// Highest such number.
        number: RequestNumber,
    },
    /// The session's opening was delivered.
    SessionOpened {
        /// Which.
        session: SessionId,
        /// Where.
        position: Position,
    },
    /// The session could not be opened, or has to end: its name belongs to another endpoint's session.
    SessionRefused {
        /// Which.
        session: SessionId,
    },
    /// The session's end was delivered; its name is free.
    SessionClosed {
        /// Which.
        session: SessionId,
    },
    /// A message, and the sessions of this endpoint that get it, each once, in rising order. The
    /// sender is among them even if it asked for SELF_DISCARD: that is for the front to apply.
    Message(Delivered, Arc<[SessionId]>),
    /// A view of a group in which this endpoint has, or just had, members.
    View(Arc<View>),
    /// Transitional signal of a group in which this endpoint has members.
    Transition {
        /// The group.
        group: GroupName,
        /// Sessions of this endpoint that get it: its members with the membership flag.
        receivers: Arc<[SessionId]>,
        /// Id of the view that is ending.
        id: GroupId,
        /// Where.
        position: Position,
    },
    /// Parts of a large message were dropped, since the configuration changed: requests up to `last` were applied before. A message of which
    /// there were parts among them, and not the end, has to be begun anew.
    PartsLost {
        /// Last of the endpoint's requests that was delivered.
        last: RequestNumber,
    },
    /// The engine's queue for this endpoint's requests is full (`true`) or has room again (`false`).
    Pause(bool),
}

/// Why an attach was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedAttach {
    /// This component knows a higher epoch.
    Superseded,
    /// This component does not know the endpoint, or has forgotten it: try another daemon.
    Unknown,
    /// The engine is not in a regular configuration yet: try again.
    NotReady,
    /// The name is that of a daemon's slot, empty or too long.
    Name,
}

/// A delivered message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Where it stands in the order.
    pub position: Position,
    /// The sender's private name at that place.
    pub sender: PrivateName,
    /// Endpoint and session that sent it, for SELF_DISCARD.
    pub sender_session: (EndpointUid, SessionId),
    /// The request's number at an endpoint in another process, which may have it ordered in several components; `None`:
    /// the sender's endpoint is built into its daemon.
    pub number: Option<RequestNumber>,
    /// The message as it was sent.
    pub message: Multicast,
}

/// Why a group has a new view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This member joined.
    Join(PrivateName),
    /// This member left.
    Leave(PrivateName),
    /// This member's session ended.
    Disconnect(PrivateName),
    /// The daemons' configuration changed.
    Network,
}

/// A view of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it stands in the order.
    pub position: Position,
    /// The group.
    pub group: GroupName,
    /// Its id, equal at all members.
    pub id: GroupId,
    /// Why it came.
    pub cause: Cause,
    /// All members in member order.
    pub members: Vec<PrivateName>,
    /// For [`Cause::Network`]: the vs-sets, in the order every receiver gets them. Empty for the others,
    /// whose one set is the member named in the cause.
    pub vs_sets: Vec<Vec<PrivateName>>,
    /// Sessions of the receiving endpoint that get the view, each with the index of its own vs-set
    /// (0 where there is one): members of the new view with the membership flag and, for a leave,
    /// the leaver if it has the flag.
    pub receivers: Vec<(SessionId, u32)>,
}
