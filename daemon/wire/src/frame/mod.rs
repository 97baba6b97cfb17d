//! Frames of the client protocol: applications to daemon and back.
//!
//! A daemon always writes little-endian; readers of the other order convert, as the protocol wants it. Nothing here
//! panics on input: what can't be read is a [`FrameError`], and ends at most its own session.

mod client;
mod handshake;
mod header;
mod membership;
mod message;

pub use client::{
    Incoming, IncomingBody, IncomingView, auth_choice, connect_request, hint_of, request_head,
};
pub use handshake::{
    AUTH_CHOICE_BYTES, AUTH_METHOD_BYTES, Connect, NAME_BYTES_MOST, PASSWORD_BYTES, Refusal,
    accept, auth_list, auth_methods, legal_name,
};
pub use header::{HEADER_BYTES, Header, Layout, Request, RequestKind};
pub use membership::{self_leave, transition, view};
pub use message::{delivered_head_bytes, put_delivered_head, reject};

/// Input that is no frame of this protocol. The client is to blame; its session ends, nothing else changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not exactly one service or request bit.
    #[error("the type word has not exactly one service or request bit")]
    Type,
    /// A bit that would forge an internal, membership or reject message.
    #[error("the type word has a bit that clients may not set")]
    Forged,
    /// Only one of the two byte order bits.
    #[error("only one of the two byte order bits is set")]
    ByteOrder,
    /// Number of groups outside 0..=100.
    #[error("the number of groups is out of bounds")]
    Groups,
    /// A negative or too large body.
    #[error("the message is too large")]
    Size,
    /// Bits in the hint that have no meaning.
    #[error("the hint has unknown bits")]
    Hint,
    /// The private name is not that of the session.
    #[error("the private name is not that of the session")]
    Sender,
    /// A request without its group.
    #[error("the request names no group")]
    NoGroup,
}
