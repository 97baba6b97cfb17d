//! A plain session over a Unix socket, enough to join a group and to see who is in it.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use spread_wire::frame::{
    Incoming, IncomingBody, Layout, auth_choice, connect_request, request_head,
};
use spread_wire::service::bits;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Bytes read in one call.
const READ_BYTES: usize = 128 << 10;

/// A connected session.
pub struct Session {
    stream: UnixStream,
    name: Vec<u8>,
    input: BytesMut,
}

impl Session {
    /// Connects, with membership messages or without.
    pub fn connect(socket: &Path, name: &str, membership: bool) -> Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&connect_request(name.as_bytes(), membership))?;
        let offered = read_counted(&mut stream)?;
        ensure!(offered.starts_with(b"NULL"), "the daemon does not offer NULL");
        stream.write_all(&auth_choice(&["NULL"]))?;
        let mut accepted = [0; 4];
        stream.read_exact(&mut accepted)?;
        ensure!(accepted[0] == 1, "the daemon refuses the session");
        let name = read_counted(&mut stream)?;
        Ok(Self { stream, name, input: BytesMut::new() })
    }

    /// Asks to join.
    pub fn join(&mut self, group: &str) -> Result<()> {
        let groups = [group.as_bytes()];
        let layout = Layout::default();
        let request = request_head(bits::JOIN, &self.name, groups.into_iter(), (0, 0), &layout);
        Ok(self.stream.write_all(&request)?)
    }

    /// Reads on until a view has so many members. What is too short for one is not looked at.
    pub fn wait_members(&mut self, count: usize) -> Result<()> {
        let layout = Layout::default();
        let least = layout.header_bytes() + count * layout.name_bytes;
        loop {
            let frame = self.next()?;
            if frame.len() < least {
                continue;
            }
            let message = Incoming::read(&frame.freeze(), &layout)?;
            if matches!(message.body, IncomingBody::View(_)) && message.groups.len() == count {
                return Ok(());
            }
        }
    }

    /// The next message, whole.
    fn next(&mut self) -> Result<BytesMut> {
        let layout = Layout::default();
        loop {
            if let Some(length) = Incoming::length(&self.input, &layout)?
                && self.input.len() >= length
            {
                return Ok(self.input.split_to(length));
            }
            let have = self.input.len();
            self.input.resize(have + READ_BYTES, 0);
            let read = self.stream.read(&mut self.input[have..]).context("waiting for a view")?;
            self.input.truncate(have + read);
            ensure!(read > 0, "the daemon closed the session");
        }
    }
}

/// Bytes behind their count.
fn read_counted(stream: &mut UnixStream) -> Result<Vec<u8>> {
    let mut count = [0];
    stream.read_exact(&mut count)?;
    ensure!(count[0] < 0x80, "the daemon refuses the session: {}", count[0].cast_signed());
    let mut bytes = vec![0; usize::from(count[0])];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
