//! A client's socket, TCP or Unix, and what waits to be written to it.

use crate::watched::{Watched, watch};
use bytes::{Buf as _, Bytes};
use spread_wire::queue::take_first;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use tokio::io::Interest;
use tokio::sync::Notify;

/// Bytes read in one call.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// Chunks written in one call.
const CHUNKS: usize = 64;
/// Bytes written to one client before others have their turn: somebody who reads fast could go on taking a large message else.
pub(crate) const WRITE_BYTES: usize = 256 << 10;

/// Whether connections are read.
#[derive(Debug)]
pub(crate) struct Gate {
    open: Cell<bool>,
    opened: Notify,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self { open: Cell::new(true), opened: Notify::new() }
    }

    /// Opens or closes it. `resumed`: for some connection it opened though it was open for others.
    pub(crate) fn set(&self, open: bool, resumed: bool) {
        if (!self.open.replace(open) || resumed) && open {
            self.opened.notify_waiters();
        }
    }
}

/// Shared between the tasks of one connection and the front.
pub(crate) struct Connection {
    socket: Watched,
    queue: RefCell<VecDeque<Bytes>>,
    /// Wakes the writer.
    pub(crate) more: Notify,
    /// Wakes the reader.
    resume: Notify,
    /// While the daemon stops: bytes that were there at that moment and are still to be read.
    due: Cell<Option<usize>>,
    closing: Cell<bool>,
    pub(crate) closed: Notify,
}

impl Connection {
    /// Of a socket that does not block.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            socket: watch(socket, Interest::READABLE)?,
            queue: RefCell::default(),
            more: Notify::new(),
            resume: Notify::new(),
            due: Cell::new(None),
            closing: Cell::new(false),
            closed: Notify::new(),
        }))
    }

    pub(crate) fn push(&self, chunk: Bytes) {
        self.queue.borrow_mut().push_back(chunk);
    }

    /// Reads what the client has sent up to now, and nothing after it.
    pub(crate) fn stop_reading(&self) {
        let arrived = rustix::io::ioctl_fionread(self.socket.get_ref());
        self.due.set(Some(arrived.map_or(0, |bytes| usize::try_from(bytes).unwrap_or(0))));
        self.resume.notify_one();
    }

    /// Whether what was there at [`Self::stop_reading`] is still to be read.
    pub(crate) fn is_due(&self) -> bool {
        self.due.get().is_some_and(|bytes| bytes > 0)
    }

    /// Closes after what waits was written, or at once.
    pub(crate) fn close(&self, flush: bool) {
        if !flush {
            self.queue.borrow_mut().clear();
        }
        self.closing.set(true);
        self.more.notify_one();
        self.resume.notify_one();
        self.closed.notify_waiters();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.queue.borrow().is_empty()
    }

    /// Reads what has arrived and hands it over, while the gate is open and `may` says so; `Ok(0)` is the end. One buffer serves all connections:
    /// most wait for most of the time, and need none then.
    pub(crate) async fn read(
        &self,
        gate: &Gate,
        buffer: &RefCell<Box<[u8]>>,
        may: impl Fn() -> bool,
        take: impl FnOnce(&[u8]),
    ) -> io::Result<usize> {
        loop {
            while self.due.get() == Some(0) && !self.closing.get() {
                self.resume.notified().await;
            }
            if self.closing.get() {
                return Ok(0);
            }
            let mut ready = tokio::select! {
                ready = self.socket.readable() => ready?,
                () = self.resume.notified() => continue,
            };
            if !gate.open.get() || !may() {
                // Only those that have something to read wait here, and need to be woken.
                tokio::select! {
                    () = gate.opened.notified() => {}
                    () = self.resume.notified() => {}
                }
                continue;
            }
            let mut buffer = buffer.borrow_mut();
            let read = ready.try_io(|socket| Ok(rustix::io::read(socket, &mut buffer[..])?));
            match read {
                Err(_would_block) => {}
                Ok(read) => {
                    let read = read?;
                    if read < buffer.len() {
                        // All there was: what comes later is an event of its own.
                        ready.clear_ready();
                    }
                    self.due.set(self.due.get().map(|due| due.saturating_sub(read)));
                    take(&buffer[..read]);
                    return Ok(read);
                }
            }
        }
    }

    /// Writes what the kernel takes now, somewhat above [`WRITE_BYTES`] at most; returns how many bytes that was.
    pub(crate) fn write(&self) -> io::Result<usize> {
        let mut queue = self.queue.borrow_mut();
        let mut total = 0;
        while !queue.is_empty() && total < WRITE_BYTES {
            let mut slices = [IoSlice::new(&[]); CHUNKS];
            let (mut count, mut room) = (0, WRITE_BYTES);
            for (to, chunk) in slices.iter_mut().zip(queue.iter()) {
                *to = IoSlice::new(&chunk[..chunk.len().min(room)]);
                (count, room) = (count + 1, room - to.len());
                if room == 0 {
                    break;
                }
            }
            let written = rustix::io::writev(self.socket.get_ref(), &slices[..count]);
            let mut written = match written.map_err(io::Error::from) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            total += written;
            while written > 0 {
                let Some(first) = queue.front_mut() else { break };
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                take_first(&mut queue);
            }
        }
        Ok(total)
    }

    /// Waits until the kernel may take more. Only meanwhile it is asked to say so.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        let socket = self.socket.get_ref().try_clone()?;
        watch(socket, Interest::WRITABLE)?.writable().await.map(drop)
    }
}
