//! One connection: its state, its unread input, its unsent output.

use crate::settings::Peer;
use bytes::{Bytes, BytesMut};
use spread_wire::frame::Connect;
use spread_wire::ids::SessionId;
use spread_wire::queue::take_first;
use spread_wire::time::Instant;
use std::collections::VecDeque;

/// One struct per state of the handshake; after it a session.
#[derive(Debug)]
pub(crate) enum State {
    /// Waits for the connect request.
    Hello,
    /// Waits for the auth choice; the name is reserved.
    Choice { connect: Connect, user: Bytes },
    /// Waits for user and password.
    Password { connect: Connect, user: Bytes },
    /// Waits for the ordered opening of its session.
    Opening { connect: Connect, session: SessionId },
    /// A session.
    Open { session: SessionId },
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) state: State,
    pub(crate) input: BytesMut,
    /// The handshake has to be over by then.
    pub(crate) deadline: Option<Instant>,
    pub(crate) outbox: Outbox,
}

/// What was handed to the driver for one connection and has not left yet.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Unsent bytes of each message, the oldest first.
    messages: VecDeque<usize>,
    bytes: usize,
    /// Since when the queue is over its bound.
    pub(crate) full_since: Option<Instant>,
    /// It was at twice its bound, and is still over it.
    pub(crate) overfull: bool,
    pub(crate) progress: Instant,
    /// Whether the first message has left in part.
    started: bool,
}

impl Outbox {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages of which nothing has left yet.
    pub(crate) fn whole_messages(&self) -> usize {
        self.messages.len() - usize::from(self.started)
    }

    pub(crate) fn push(&mut self, bytes: usize) {
        self.messages.push_back(bytes);
        self.bytes += bytes;
    }

    pub(crate) fn written(&mut self, now: Instant, mut bytes: usize) {
        self.progress = now;
        self.bytes = self.bytes.saturating_sub(bytes);
        while bytes > 0 {
            let Some(first) = self.messages.front_mut() else { return };
            if bytes < *first {
                *first -= bytes;
                self.started = true;
                return;
            }
            bytes -= *first;
            take_first(&mut self.messages);
            self.started = false;
        }
    }
}
