//! The half that tells.

use crate::connect::cut_off;
use crate::error::Error;
use crate::event::{Event, Name};
use bytes::BytesMut;
use spread_wire::frame::{Incoming, Layout};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Room made for one read, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Tells what the daemon delivered. There is one to a session; a session that does not read is pushed back to, and
/// dropped by its daemon in the end.
pub struct Receiver {
    name: Name,
    layout: Layout,
    socket: Box<dyn AsyncRead + Send + Unpin>,
    input: BytesMut,
    closing: Arc<AtomicBool>,
    ended: bool,
    /// Takes no byte beyond the piece that is needed next.
    piecewise: bool,
}

impl Receiver {
    pub(crate) fn new(
        name: Name,
        layout: Layout,
        socket: Box<dyn AsyncRead + Send + Unpin>,
        closing: Arc<AtomicBool>,
        piecewise: bool,
    ) -> Self {
        Self { name, layout, socket, input: BytesMut::new(), closing, ended: false, piecewise }
    }

    /// The session's private name, `#user#daemon`.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The next event; `None` once the session has ended by [`crate::Sender::disconnect`]. Cancel-safe.
    ///
    /// # Errors
    ///
    /// [`Error::Lost`] if the connection broke or the daemon ended the session, [`Error::Malformed`] if the daemon sent
    /// what can't be read. Nothing comes after an error.
    pub async fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if self.ended {
                return Ok(None);
            }
            match self.take_event() {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
            let (room, most) = match self.piecewise {
                true => self.next_piece().map(|piece| (piece, piece as u64))?,
                // All there is room for: a large message has made more.
                false => (READ_BYTES, u64::MAX),
            };
            self.input.reserve(room);
            let mut socket = (&mut *self.socket).take(most);
            let read = socket.read_buf(&mut self.input).await;
            let closing = self.closing.load(Ordering::Acquire);
            match read {
                Ok(0) | Err(_) if closing => self.ended = true,
                Ok(0) => {
                    self.ended = true;
                    return Err(cut_off());
                }
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error.into());
                }
            }
        }
    }

    /// Bytes that are missing of the head, or of what follows it.
    fn next_piece(&self) -> Result<usize, Error> {
        let length = Incoming::length(&self.input, &self.layout)?;
        let head = self.layout.header_bytes();
        Ok(length.unwrap_or(head).max(head) - self.input.len())
    }

    /// The next event if it has arrived whole, without waiting and without reading from the socket.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`], as [`Receiver::next`].
    pub fn take_event(&mut self) -> Result<Option<Event>, Error> {
        let Some(length) = Incoming::length(&self.input, &self.layout)? else { return Ok(None) };
        if self.input.len() < length {
            self.input.reserve(length - self.input.len());
            return Ok(None);
        }
        let frame = self.input.split_to(length).freeze();
        Ok(Some(Incoming::read(&frame, &self.layout)?.into()))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("name", &self.name).finish_non_exhaustive()
    }
}
