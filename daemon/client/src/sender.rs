//! The half that asks.

use crate::error::Error;
use crate::event::Name;
use bytes::Bytes;
use spread_wire::frame::{Layout, request_head};
use spread_wire::service::{Service, bits};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// Most groups of a message.
const GROUPS: usize = 100;
/// Requests written in one call.
const REQUESTS_PER_WRITE: usize = 64;

/// Asks the daemon for things. Clones share one session; what one clone asks is ordered as it asked it.
///
/// When all clones are dropped the session's sending side is closed, which ends it.
#[derive(Clone, Debug)]
pub struct Sender {
    name: Name,
    layout: Layout,
    requests: mpsc::Sender<Bytes>,
    closing: Arc<AtomicBool>,
}

impl Sender {
    pub(crate) fn new(name: Name, layout: Layout, requests: mpsc::Sender<Bytes>) -> Self {
        Self { name, layout, requests, closing: Arc::default() }
    }

    pub(crate) fn closing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.closing)
    }

    /// The session's private name, `#user#daemon`: others can send to it as to a group.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Joins a group; the view with this session in it says when. To join again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::IllegalGroup`] for a name the protocol does not allow, [`Error::Closed`] after the session's end.
    pub async fn join(&self, group: &str) -> Result<(), Error> {
        self.about_group(bits::JOIN, group).await
    }

    /// Leaves a group; [`crate::Event::SelfLeave`] says when. To leave what was not joined changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Sender::join`].
    pub async fn leave(&self, group: &str) -> Result<(), Error> {
        self.about_group(bits::LEAVE, group).await
    }

    async fn about_group(&self, word: u32, group: &str) -> Result<(), Error> {
        let legal = group.bytes().all(|byte| (b'$'..=b'~').contains(&byte));
        if group.is_empty() || group.len() >= self.layout.name_bytes || !legal {
            return Err(Error::IllegalGroup(group.to_owned()));
        }
        self.request(word, &[group], 0, &[]).await
    }

    /// Sends a message to all members of the groups, each once, and to sessions named by their private names.
    /// Waits while the daemon pushes back.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyGroups`], [`Error::TooLarge`]: nothing was sent. [`Error::Closed`] after the session's end.
    pub async fn multicast(
        &self,
        service: Service,
        groups: &[impl AsRef<[u8]>],
        mess_type: i16,
        payload: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        self.request(service as u32, groups, mess_type, payload.as_ref()).await
    }

    /// Like [`Sender::multicast`], but this session does not get the message itself.
    ///
    /// # Errors
    ///
    /// As [`Sender::multicast`].
    pub async fn multicast_to_others(
        &self,
        service: Service,
        groups: &[impl AsRef<[u8]>],
        mess_type: i16,
        payload: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let word = service as u32 | bits::SELF_DISCARD;
        self.request(word, groups, mess_type, payload.as_ref()).await
    }

    /// Ends the session in order: everything asked before is ordered first. The [`crate::Receiver`] ends with `None`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if it has ended already.
    pub async fn disconnect(self) -> Result<(), Error> {
        let name = self.name.clone();
        self.closing.store(true, Ordering::Release);
        self.request(bits::KILL, &[name], 0, &[]).await
    }

    async fn request(
        &self,
        word: u32,
        groups: &[impl AsRef<[u8]>],
        mess_type: i16,
        payload: &[u8],
    ) -> Result<(), Error> {
        if groups.len() > GROUPS {
            return Err(Error::TooManyGroups(groups.len()));
        }
        let layout = &self.layout;
        let bytes = layout.header_bytes() + groups.len() * layout.name_bytes + payload.len();
        if bytes > layout.message_bytes {
            return Err(Error::TooLarge { bytes, limit: layout.message_bytes });
        }
        let names = groups.iter().map(AsRef::as_ref);
        let mut frame =
            request_head(word, self.name.as_bytes(), names, (mess_type, payload.len()), layout);
        frame.extend_from_slice(payload);
        self.requests.send(frame.into()).await.map_err(|_| Error::Closed)
    }
}

/// Writes requests until all senders are gone, then closes the sending side.
pub(crate) async fn write_all<W: AsyncWrite + Unpin>(
    mut socket: W,
    mut waiting: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(REQUESTS_PER_WRITE);
    while waiting.recv_many(&mut batch, REQUESTS_PER_WRITE).await > 0 {
        let mut rest: VecDeque<Bytes> = batch.drain(..).collect();
        while !rest.is_empty() {
            let slices: Vec<IoSlice<'_>> = rest.iter().map(|bytes| IoSlice::new(bytes)).collect();
            let mut written = socket.write_vectored(&slices).await?;
            while let Some(first) = rest.front_mut() {
                if written < first.len() {
                    let _ = first.split_to(written);
                    break;
                }
                written -= first.len();
                rest.pop_front();
            }
        }
    }
    socket.shutdown().await
}
