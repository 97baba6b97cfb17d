//! Where clients connect.

use super::Hub;
use crate::burst;
use crate::settings::Settings;
use crate::watched::watch;
use anyhow::{Context as _, Result, bail};
use rustix::net::SocketFlags;
use spread_front::Peer;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::Interest;

/// Out of descriptors: wait so long before accepting again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bound listeners.
pub(crate) struct Listeners {
    tcp: Vec<std::net::TcpListener>,
    unix: std::os::unix::net::UnixListener,
    /// Of the Unix socket.
    pub(super) path: PathBuf,
}

impl Listeners {
    /// All of them as what can be watched.
    pub(super) fn descriptors(self) -> impl Iterator<Item = OwnedFd> {
        self.tcp.into_iter().map(OwnedFd::from).chain([self.unix.into()])
    }
}

/// Binds before anything starts, so that a taken port is a clear error.
pub(crate) fn bind(settings: &Settings) -> Result<Listeners> {
    let slot = settings.slot();
    let mut addresses: Vec<IpAddr> = slot
        .interfaces
        .iter()
        .filter(|interface| interface.client)
        .map(|interface| interface.address)
        .collect();
    if addresses.is_empty() {
        // As in the original any address, but not the network's for a daemon that sits on loopback.
        addresses.push(match slot.address() {
            Some(address) if address.is_loopback() => address,
            Some(IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            // A name may stand for both families.
            _ => burst::any_family(),
        });
    }
    let tcp = addresses
        .into_iter()
        .map(|address| bind_tcp(SocketAddr::new(address, slot.port)))
        .collect::<Result<_>>()?;
    let path = settings.unix_socket();
    if std::os::unix::net::UnixStream::connect(&path).is_ok() {
        bail!(
            "{} belongs to a daemon that runs: stop it, or set another UnixSocketDirectory",
            path.display()
        );
    }
    let _ = std::fs::remove_file(&path);
    let unix = std::os::unix::net::UnixListener::bind(&path)
        .with_context(|| format!("the Unix socket {} can't be made", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    unix.set_nonblocking(true)?;
    Ok(Listeners { tcp, unix, path })
}

fn bind_tcp(address: SocketAddr) -> Result<std::net::TcpListener> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket
        .bind(&address.into())
        .with_context(|| format!("TCP {address} is taken: is a daemon already running?"))?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Takes connections in as long as the daemon runs.
pub(super) async fn accept(hub: Rc<Hub>, listener: OwnedFd) {
    let listener = match watch(listener, Interest::READABLE) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("connections can't be accepted: {error}"),
    };
    loop {
        let Ok(mut ready) = listener.readable().await else { return };
        let Ok(accepted) = ready.try_io(|listener| accept_one(listener.get_ref())) else {
            continue;
        };
        let connected = accepted.and_then(|(socket, peer)| hub.connected(socket, peer));
        if let Err(error) = connected {
            pause_accepting(&error).await;
        }
    }
}

fn accept_one(listener: &OwnedFd) -> io::Result<(OwnedFd, Peer)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let Some(address) = peer.and_then(|peer| SocketAddr::try_from(peer).ok()) else {
        return Ok((socket, Peer::Unix));
    };
    // The connection may have ended already: its reader will see.
    let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
    let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
    Ok((socket, Peer::Tcp(address.ip().to_canonical())))
}

/// Sessions that are there go on; new ones wait in the backlog of the socket.
async fn pause_accepting(error: &std::io::Error) {
    tracing::warn!("no connection can be accepted for a moment: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
