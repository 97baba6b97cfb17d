//! Sockets of which the kernel tells only what was asked for.
//!
//! Tokio's own sockets are told of everything. A UDP socket becomes writable with each packet that leaves it, a Unix socket with
//! each message that its reader takes: the daemon would wake for each, and find nothing to do.

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket, and whether it is ready for what was asked.
pub(crate) type Watched = AsyncFd<OwnedFd>;

/// Watches a socket that does not block.
#[allow(unsafe_code)]
pub(crate) fn watch(socket: impl Into<OwnedFd>, interest: Interest) -> io::Result<Watched> {
    let socket: OwnedFd = socket.into();
    // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives, and the `AsyncFd` owns it.
    let watched = unsafe { AsyncFd::register_with_interest(socket, interest) };
    watched.map_err(Into::into)
}
