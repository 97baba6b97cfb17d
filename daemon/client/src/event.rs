//! What a daemon delivers.

use bytes::Bytes;
use spread_wire::frame::{Incoming, IncomingBody, IncomingView};
use spread_wire::ids::GroupId;
use spread_wire::service::{Service, bits};
use std::fmt;

/// Name of a group or a private name (`#user#daemon`): up to 31 bytes, mostly text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub(crate) Bytes);

impl Name {
    /// A name of these bytes. Names of deliveries come from the daemon; this is for tests and for what was stored.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }

    /// As bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is a session's private name.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.0.first() == Some(&b'#')
    }

    /// User and daemon of a private name.
    #[must_use]
    pub fn parts(&self) -> Option<(&[u8], &[u8])> {
        let rest = self.0.strip_prefix(b"#")?;
        let at = rest.iter().position(|byte| *byte == b'#')?;
        Some((&rest[..at], &rest[at + 1..]))
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Something the daemon delivered, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message(Message),
    /// A new view of a group this session is in.
    View(View),
    /// The view of a group is ending: what comes until the next view may not have reached all its members.
    Transition(Transition),
    /// The own leave of this group took effect.
    SelfLeave(Name),
    /// Access rules of the daemon refused a request.
    Rejected(Rejected),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Private name of the sending session.
    pub sender: Name,
    /// What its sender asked for.
    pub service: Service,
    /// All destinations as the sender listed them.
    pub groups: Vec<Name>,
    /// Application's type.
    pub mess_type: i16,
    /// Body.
    pub payload: Bytes,
}

/// A view: who is in a group from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Group.
    pub group: Name,
    /// Equal at all members, different for consecutive views.
    pub id: GroupId,
    /// Why it came.
    pub cause: Cause,
    /// All members in member order.
    pub members: Vec<Name>,
    /// Members that came along from the receiver's last view and saw the same messages in it, itself included;
    /// for a join, leave or disconnect all but the one named by the cause.
    pub vs_set: Vec<Name>,
    /// All sets of [`Cause::Network`], in the order every member gets them; for the others the one named by the cause.
    pub vs_sets: Vec<Vec<Name>>,
}

/// Why a view came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This member joined.
    Join(Name),
    /// This member left.
    Leave(Name),
    /// This member's session ended.
    Disconnect(Name),
    /// Daemons were lost, or came together.
    Network,
}

/// A transitional signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Group.
    pub group: Name,
    /// Id of the view that is ending.
    pub id: GroupId,
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What was asked.
    pub asked: Asked,
    /// Groups it was asked for.
    pub groups: Vec<Name>,
    /// Body of a refused message.
    pub payload: Bytes,
}

/// What access rules refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A join.
    Join,
    /// A leave.
    Leave,
    /// A message.
    Multicast(Service),
}

impl From<Incoming> for Event {
    fn from(incoming: Incoming) -> Self {
        let Incoming { word, name, groups, mess_type, body } = incoming;
        let name = Name(name);
        let groups: Vec<Name> = groups.into_iter().map(Name).collect();
        match body {
            IncomingBody::Message(payload) => Self::Message(Message {
                sender: name,
                service: Service::from_bits(word).unwrap_or(Service::Agreed),
                groups,
                mess_type,
                payload,
            }),
            IncomingBody::View(view) => Self::View(self::view(word, name, groups, view)),
            IncomingBody::Transition(id) => Self::Transition(Transition { group: name, id }),
            IncomingBody::SelfLeave => Self::SelfLeave(name),
            IncomingBody::Reject(asked, payload) => {
                Self::Rejected(Rejected { asked: self::asked(asked), groups, payload })
            }
        }
    }
}

fn asked(word: u32) -> Asked {
    match Service::from_bits(word) {
        Some(service) => Asked::Multicast(service),
        None if word & (bits::CAUSED_BY_LEAVE | bits::LEAVE) != 0 => Asked::Leave,
        None => Asked::Join,
    }
}

fn view(word: u32, group: Name, members: Vec<Name>, view: IncomingView) -> View {
    let vs_sets: Vec<Vec<Name>> =
        view.vs_sets.into_iter().map(|set| set.into_iter().map(Name).collect()).collect();
    let named = vs_sets.first().and_then(|set| set.first()).cloned();
    let named = named.unwrap_or(Name(Bytes::new()));
    let cause = match word {
        word if word & bits::CAUSED_BY_JOIN != 0 => Cause::Join(named),
        word if word & bits::CAUSED_BY_LEAVE != 0 => Cause::Leave(named),
        word if word & bits::CAUSED_BY_DISCONNECT != 0 => Cause::Disconnect(named),
        _ => Cause::Network,
    };
    let vs_set = match &cause {
        Cause::Network => vs_sets.get(view.own).cloned().unwrap_or_default(),
        Cause::Join(named) | Cause::Leave(named) | Cause::Disconnect(named) => {
            members.iter().filter(|member| *member != named).cloned().collect()
        }
    };
    View { group, id: view.id, cause, members, vs_set, vs_sets }
}
