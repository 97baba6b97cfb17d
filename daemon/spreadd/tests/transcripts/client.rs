//! A client's connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// After daemon events everything is allowed to take a while.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) enum Client {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Client {
    pub(crate) fn unix(path: &Path) -> std::io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    pub(crate) fn tcp(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    fn io(&mut self, wait: Duration) -> std::io::Result<&mut dyn ReadWrite> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(wait))?;
                Ok(stream)
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(wait))?;
                Ok(stream)
            }
        }
    }

    /// A closed peer is no error here: what follows tells.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Ok(io) = self.io(PATIENCE) {
            let _ = io.write_all(bytes);
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn receive(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let (mut got, deadline) = (vec![0; count], Instant::now() + PATIENCE);
        let mut length = 0;
        while length < count {
            if Instant::now() > deadline {
                return Err(format!(
                    "{length} of {count} bytes came: {:02x?}",
                    &got[..length.min(64)]
                ));
            }
            let io = self.io(Duration::from_millis(200)).map_err(|error| error.to_string())?;
            match io.read(&mut got[length..]) {
                Ok(0) => return Err(format!("the stream ended after {length} of {count} bytes")),
                Ok(read) => length += read,
                Err(error) if waits(&error) => {}
                Err(error) => return Err(format!("{error} after {length} of {count} bytes")),
            }
        }
        Ok(got)
    }

    /// Everything up to the end of the stream.
    pub(crate) fn receive_all(&mut self) -> Result<Vec<u8>, String> {
        let (mut all, deadline, mut buffer) =
            (Vec::new(), Instant::now() + PATIENCE, vec![0; 1 << 16]);
        loop {
            if Instant::now() > deadline {
                return Err("the stream does not end".into());
            }
            let io = self.io(Duration::from_millis(200)).map_err(|error| error.to_string())?;
            match io.read(&mut buffer) {
                Ok(0) => return Ok(all),
                Ok(read) => all.extend_from_slice(&buffer[..read]),
                Err(error) if waits(&error) => {}
                // A daemon that closes with input unread resets a TCP stream: an end all the same.
                Err(_) => return Ok(all),
            }
        }
    }

    /// Nothing comes for a while.
    pub(crate) fn quiet(&mut self) -> Result<(), String> {
        let mut byte = [0; 512];
        let io = self.io(Duration::from_millis(120)).map_err(|error| error.to_string())?;
        match io.read(&mut byte) {
            Err(error) if waits(&error) => Ok(()),
            Ok(0) => Err("the stream ended where all should be quiet".into()),
            Ok(read) => Err(format!(
                "{read} bytes came where all should be quiet: {:02x?}",
                &byte[..read.min(96)]
            )),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn close(&mut self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

fn waits(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
