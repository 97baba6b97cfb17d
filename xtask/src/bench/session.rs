//! A plain session over a Unix socket, enough to join a group and to see who is in it.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use spread_wire::frame::{
    Incoming, IncomingBody, Layout, auth_choice, connect_request, request_head,
};
use spread_wire::service::bits;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connected session.
pub struct Session {
    stream: UnixStream,
    name: Vec<u8>,
    input: Vec<u8>,
}

impl Session {
    /// Connects with membership messages.
    pub fn connect(socket: &Path, name: &str) -> Result<Self> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(&connect_request(name.as_bytes(), true))?;
        let offered = read_counted(&mut stream)?;
        ensure!(offered.starts_with(b"NULL"), "the daemon does not offer NULL");
        stream.write_all(&auth_choice(&["NULL"]))?;
        let mut accepted = [0; 4];
        stream.read_exact(&mut accepted)?;
        ensure!(accepted[0] == 1, "the daemon refuses the session");
        let name = read_counted(&mut stream)?;
        Ok(Self { stream, name, input: Vec::new() })
    }

    /// Asks to join.
    pub fn join(&mut self, group: &str) -> Result<()> {
        let groups = [group.as_bytes()];
        let layout = Layout::default();
        let request = request_head(bits::JOIN, &self.name, groups.into_iter(), (0, 0), &layout);
        Ok(self.stream.write_all(&request)?)
    }

    /// Reads on until a view has so many members.
    pub fn wait_members(&mut self, count: usize) -> Result<()> {
        loop {
            let message = self.next()?;
            if matches!(message.body, IncomingBody::View(_)) && message.groups.len() == count {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Incoming> {
        let layout = Layout::default();
        loop {
            if let Some(length) = Incoming::length(&self.input, &layout)?
                && self.input.len() >= length
            {
                let frame: Vec<u8> = self.input.drain(..length).collect();
                return Ok(Incoming::read(&Bytes::from(frame), &layout)?);
            }
            let mut buffer = [0; 1 << 14];
            let read = self.stream.read(&mut buffer).context("waiting for a view")?;
            ensure!(read > 0, "the daemon closed the session");
            self.input.extend_from_slice(&buffer[..read]);
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
