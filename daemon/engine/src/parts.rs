//! Large messages come in parts.
//!
//! A part is a request like others and takes its turn among them; the message stands in the order where its end does. Parts do not outlive the
//! configuration: who comes new has none of them. So all daemons drop them there, and the endpoint begins the message anew.

use crate::engine::Engine;
use bytes::{Bytes, BytesMut};
use spread_bugs::{Bug, planted};
use spread_wire::ids::SessionId;
use spread_wire::link::LinkEvent;

/// Parts of one message have so many bytes at most, more than any setting permits a message. The same at all daemons: they decide alike.
const MESSAGE_BYTES: usize = 144 << 20;

/// Parts of an endpoint's large message whose end did not come yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    session: SessionId,
    count: u32,
    /// Put together as they come: all at once would hold everything up when the end comes.
    bytes: BytesMut,
}

impl Parts {
    /// Takes the next part; one that does not follow is dropped with those before it.
    pub(crate) fn take(&mut self, session: SessionId, index: u32, bytes: &[u8]) {
        if index == 0 {
            *self = Self { session, ..Self::default() };
        }
        let follows = self.session == session && index == self.count;
        if !follows || self.bytes.len() + bytes.len() > MESSAGE_BYTES {
            *self = Self::default();
            return;
        }
        self.count += 1;
        self.bytes.extend_from_slice(bytes);
    }

    /// The parts of the message whose end came, if they are all there.
    pub(crate) fn finish(&mut self, session: SessionId, count: u32) -> Option<Self> {
        let parts = core::mem::take(self);
        let all = parts.session == session && parts.count == count && count > 0;
        all.then_some(parts)
    }

    /// The payload of which this is the rest.
    pub(crate) fn before(mut self, rest: &[u8]) -> Bytes {
        self.bytes.extend_from_slice(rest);
        self.bytes.freeze()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Engine {
    /// A configuration begins: parts that came in the one before are of no use to those who come new.
    pub(crate) fn drop_parts(&mut self) {
        for (id, endpoint) in &mut self.state.endpoints {
            if endpoint.parts.is_empty() {
                continue;
            }
            endpoint.parts = Parts::default();
            if id.slot == self.settings.me && !planted(Bug::PartsLostUntold) {
                self.links.tell(id.index, LinkEvent::PartsLost { last: endpoint.last });
            }
        }
    }
}
