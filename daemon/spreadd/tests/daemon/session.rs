//! A client of the original's protocol, written from its description alone.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(crate) const AGREED: u32 = 0x10;
pub(crate) const SAFE: u32 = 0x20;
pub(crate) const JOIN: u32 = 0x1_0000;
pub(crate) const REG_MEMB: u32 = 0x1000;
pub(crate) const TRANSITION: u32 = 0x2000;
const LITTLE: u32 = 0x8000_0080;
/// Ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A message as the daemon sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Type word without the byte order bits.
    pub(crate) kind: u32,
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn is_view(&self) -> bool {
        self.kind & REG_MEMB != 0
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A session that wants membership messages.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    pub(crate) private: String,
}

/// A connection before the handshake.
pub(crate) fn open(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Session {
    /// The negative code is the daemon's refusal.
    pub(crate) fn connect(address: &str, user: &str) -> Result<Self, i8> {
        Self::greet(open(address).expect("a connection"), user)
    }

    /// Over the Unix socket: what is sent has arrived.
    pub(crate) fn connect_unix(path: &Path, user: &str) -> Result<Self, i8> {
        let stream = UnixStream::connect(path).expect("a connection");
        // Reading, writing, timeouts and shutdown are the same calls for both kinds.
        let stream = TcpStream::from(OwnedFd::from(stream));
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Self::greet(stream, user)
    }

    fn greet(mut stream: TcpStream, user: &str) -> Result<Self, i8> {
        let mut request = vec![4, 4, 0, 1, user.len() as u8];
        request.extend_from_slice(user.as_bytes());
        stream.write_all(&request).expect("the request goes out");
        let methods = answer(&mut stream)?;
        receive(&mut stream, methods.unsigned_abs().into()).expect("the methods");
        stream.write_all(&choice("NULL")).expect("the choice goes out");
        answer(&mut stream)?;
        let head = receive(&mut stream, 4).expect("version and length");
        let name = receive(&mut stream, head[3].into()).expect("the private name");
        Ok(Self { stream, private: String::from_utf8(name).expect("letters") })
    }

    pub(crate) fn join(&mut self, group: &str) {
        let frame = frame(JOIN, &self.private, &[group], b"");
        self.raw(&frame);
    }

    pub(crate) fn send(&mut self, service: u32, group: &str, body: &[u8]) {
        let frame = frame(service, &self.private, &[group], body);
        self.raw(&frame);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// `None`: the stream ended.
    pub(crate) fn next(&mut self) -> Option<Message> {
        let head = receive(&mut self.stream, 48)?;
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four"));
        let names = receive(&mut self.stream, 32 * word(36) as usize)?;
        let body = receive(&mut self.stream, word(44) as usize)?;
        let groups = names.chunks(32).map(text).collect();
        Some(Message { kind: word(0) & !LITTLE, name: text(&head[4..36]), groups, body })
    }

    pub(crate) fn receive(&mut self) -> Message {
        self.next().expect("a message, not the end of the stream")
    }

    /// Up to the first message that fits; that one is the last.
    pub(crate) fn receive_until(&mut self, fits: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut all = Vec::new();
        loop {
            all.push(self.receive());
            if all.last().is_some_and(&fits) {
                return all;
            }
        }
    }

    /// Up to the view of exactly these users' sessions (`alice@d0`).
    pub(crate) fn wait_view(&mut self, members: &[&Self]) -> Message {
        let mut names: Vec<String> = members.iter().map(|one| one.private.clone()).collect();
        names.push(self.private.clone());
        names.sort();
        let fits = |message: &Message| {
            let mut found = message.groups.clone();
            found.sort();
            message.is_view() && found == names
        };
        self.receive_until(fits).pop().expect("the view")
    }

    /// A message to itself comes back: the session works.
    pub(crate) fn assert_works(&mut self) {
        let private = self.private.clone();
        self.send(SAFE, &private, b"still here?");
        self.receive_until(|message| message.body == b"still here?");
    }

    pub(crate) fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A little-endian message.
pub(crate) fn frame(kind: u32, private: &str, groups: &[&str], body: &[u8]) -> Vec<u8> {
    let counts = (groups.len() as u32, LITTLE, body.len() as u32);
    frame_of(kind | LITTLE, private, counts, groups, body)
}

/// A message with any header: `counts` are number of groups, hint and length.
pub(crate) fn frame_of(
    word: u32,
    private: &str,
    counts: (u32, u32, u32),
    groups: &[&str],
    body: &[u8],
) -> Vec<u8> {
    let padded = |name: &str| {
        let mut field = name.as_bytes().to_vec();
        field.resize(32, 0);
        field
    };
    let mut bytes = word.to_le_bytes().to_vec();
    bytes.extend(padded(private));
    for count in [counts.0, counts.1, counts.2] {
        bytes.extend(count.to_le_bytes());
    }
    groups.iter().for_each(|group| bytes.extend(padded(group)));
    bytes.extend_from_slice(body);
    bytes
}

/// The 90 bytes that choose one authentication method.
pub(crate) fn choice(method: &str) -> Vec<u8> {
    let mut bytes = method.as_bytes().to_vec();
    bytes.resize(90, 0);
    bytes
}

fn answer(stream: &mut TcpStream) -> Result<i8, i8> {
    let code = receive(stream, 1).expect("an answer")[0] as i8;
    if code < 0 { Err(code) } else { Ok(code) }
}

/// So many bytes, or `None` where the stream ends. Silence for as long as patience lasts is a failure.
pub(crate) fn receive(stream: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    match stream.read_exact(&mut bytes) {
        Ok(()) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            panic!("nothing came in {PATIENCE:?}")
        }
        Err(_) => None,
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
