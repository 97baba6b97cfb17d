//! What can go wrong, and whose fault it is.

use spread_wire::frame::{FrameError, Refusal};
use std::io;

/// An error of a client. After any but [`Error::IllegalGroup`], [`Error::TooManyGroups`] and [`Error::TooLarge`], which
/// change nothing, the session is over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's: this is no address.
    #[error(
        "`{address}` is no address of a daemon: {why} (4803@host, 4803, or the path of a socket)"
    )]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Nobody answers there.
    #[error("no daemon answers at {address}: {source}")]
    Connect {
        /// Where.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The daemon refused the session.
    #[error("the daemon refuses the session: {}", refusal_text(*.0))]
    Refused(Refusal),
    /// The daemon refused the session with a code that this library does not know.
    #[error("the daemon refuses the session with the unknown code {0}")]
    UnknownRefusal(i8),
    /// The daemon offers no authentication method that this client was told to use.
    #[error("the daemon offers only the authentication methods `{offered}`")]
    NoMethod {
        /// What it offers.
        offered: String,
    },
    /// The caller's: a group name needs 1 to 31 characters from `$` to `~`.
    #[error("`{0}` is no name of a group: 1 to 31 characters from `$` to `~` are allowed")]
    IllegalGroup(String),
    /// The caller's: a message goes to at most 100 groups.
    #[error("a message goes to at most 100 groups, not to {0}")]
    TooManyGroups(usize),
    /// The caller's: header, groups and body are larger than the limit set with `Connector::message_bytes`.
    #[error("a message of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Header, groups and body.
        bytes: usize,
        /// What the connector was told.
        limit: usize,
    },
    /// The daemon sent something that is no message of the protocol.
    #[error("the daemon sent what can't be read: {0}")]
    Malformed(#[from] FrameError),
    /// The connection broke, or the daemon closed it: it ended, or dropped a session that did not read.
    #[error("the connection to the daemon is lost: {0}")]
    Lost(#[from] io::Error),
    /// The session was disconnected before.
    #[error("the session is closed")]
    Closed,
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Quota => "it has as many sessions as it takes",
        Refusal::IllegalName => {
            "the name is not allowed (1 to 10 characters from `$` to `~`, no `#`)"
        }
        Refusal::NotUnique => "another session of this daemon has the name: take another one",
        Refusal::Version => "it does not serve this version of the protocol",
        Refusal::Auth => "it does not let this client in: authentication failed or is not allowed",
    }
}
