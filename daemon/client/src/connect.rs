//! The handshake (`client-protocol` section 2).

use crate::address::Address;
use crate::error::Error;
use crate::event::Name;
use crate::receiver::Receiver;
use crate::sender::{Sender, write_all};
use bytes::Bytes;
use spread_wire::frame::{Layout, PASSWORD_BYTES, Refusal, auth_choice, connect_request};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;

/// Requests that wait for the socket, in messages: beyond them a [`Sender`] waits.
const WAITING_REQUESTS: usize = 64;

/// How to connect.
#[derive(Clone, Debug)]
pub struct Connector {
    name: String,
    membership: bool,
    password: Option<(String, String)>,
    layout: Layout,
    piecewise: bool,
}

impl Connector {
    /// A session that wants membership messages, with this private name: up to 10 characters from `$` to `~`, unique at its
    /// daemon. Longer names are cut, for an empty one the daemon invents one.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let layout = Layout { message_bytes: 144_000, ..Layout::default() };
        Self { name: name.into(), membership: true, password: None, layout, piecewise: false }
    }

    /// Whether the session gets views and transitional signals; it does unless told otherwise.
    #[must_use]
    pub fn membership(mut self, wanted: bool) -> Self {
        self.membership = wanted;
        self
    }

    /// Logs in with the method PWORD. The password travels in clear text: use it on trusted networks only.
    #[must_use]
    pub fn password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.password = Some((user.into(), password.into()));
        self
    }

    /// Largest message to send in bytes, header and groups included; 144,000 unless the daemons are configured for more.
    #[must_use]
    pub fn message_bytes(mut self, limit: usize) -> Self {
        self.layout.message_bytes = limit;
        self
    }

    /// Width of a name field in bytes, for daemons that are configured for longer names; 32 for all others.
    #[must_use]
    pub fn name_bytes(mut self, width: usize) -> Self {
        self.layout.name_bytes = width.max(2);
        self
    }

    /// Reads the head of each message and the rest with a call each, as the original's library does, rather than all that is
    /// there at once. It is slower, and for comparisons.
    #[must_use]
    pub fn piecewise(mut self, piecewise: bool) -> Self {
        self.piecewise = piecewise;
        self
    }

    /// Connects. Dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Address`], [`Error::Connect`], [`Error::Refused`], [`Error::NoMethod`], or [`Error::Lost`] in the middle
    /// of the handshake. Nothing has changed at the daemon then.
    pub async fn connect(&self, address: &str) -> Result<(Sender, Receiver), Error> {
        let address: Address = address.parse()?;
        let failed = |source| Error::Connect { address: address.to_string(), source };
        match &address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                let (read, write) = stream.into_split();
                self.shake_hands(read, write).await
            }
            Address::Unix(path) => {
                let (read, write) = UnixStream::connect(path).await.map_err(failed)?.into_split();
                self.shake_hands(read, write).await
            }
        }
    }

    async fn shake_hands<R, W>(
        &self,
        mut read: R,
        mut write: W,
    ) -> Result<(Sender, Receiver), Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        write.write_all(&connect_request(self.name.as_bytes(), self.membership)).await?;
        let length = accepted(read.read_i8().await?)?;
        let mut offered = vec![0; usize::try_from(length).unwrap_or(0)];
        read.read_exact(&mut offered).await?;
        let offered = String::from_utf8_lossy(&offered).trim().to_owned();
        let methods = self.methods(&offered)?;
        write.write_all(&auth_choice(&methods)).await?;
        if let Some((user, password)) = self.password.as_ref().filter(|_| methods == ["PWORD"]) {
            write.write_all(&credentials(user, password)).await?;
            if read.read_i8().await? != 1 {
                return Err(Error::Refused(Refusal::Auth));
            }
        }
        accepted(read.read_i8().await?)?;
        let mut version = [0; 3];
        read.read_exact(&mut version).await?;
        let mut name = vec![0; usize::from(read.read_u8().await?)];
        read.read_exact(&mut name).await?;
        let name = Name(Bytes::from(name));
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        tokio::spawn(write_all(write, waiting));
        let sender = Sender::new(name.clone(), self.layout, requests);
        let socket = Box::new(read);
        let closing = sender.closing();
        let receiver = Receiver::new(name, self.layout, socket, closing, self.piecewise);
        Ok((sender, receiver))
    }

    fn methods(&self, offered: &str) -> Result<Vec<&'static str>, Error> {
        let has = |method: &str| offered.split(' ').any(|known| known == method);
        let wanted = if self.password.is_some() { "PWORD" } else { "NULL" };
        if has(wanted) {
            Ok(vec![wanted])
        } else if has("IP") && self.password.is_none() {
            Ok(vec!["IP"])
        } else {
            Err(Error::NoMethod { offered: offered.to_owned() })
        }
    }
}

fn accepted(code: i8) -> Result<i8, Error> {
    let known =
        [Refusal::Quota, Refusal::IllegalName, Refusal::NotUnique, Refusal::Version, Refusal::Auth];
    match known.into_iter().find(|refusal| *refusal as i8 == code) {
        Some(refusal) => Err(Error::Refused(refusal)),
        None if code < 0 => Err(Error::UnknownRefusal(code)),
        None => Ok(code),
    }
}

fn credentials(user: &str, password: &str) -> Vec<u8> {
    const USER_BYTES: usize = 32;
    let mut bytes = vec![0; PASSWORD_BYTES];
    let user = &user.as_bytes()[..user.len().min(USER_BYTES - 1)];
    bytes[..user.len()].copy_from_slice(user);
    let password = &password.as_bytes()[..password.len().min(PASSWORD_BYTES - USER_BYTES)];
    bytes[USER_BYTES..USER_BYTES + password.len()].copy_from_slice(password);
    bytes
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An end of the stream in the middle of something.
pub(crate) fn cut_off() -> Error {
    Error::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon closed it"))
}
