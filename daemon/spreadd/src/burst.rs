//! The UDP socket: bursts of equal packets in one call, batches on receipt.

use crate::watched::{Watched, watch};
use anyhow::{Context, Result};
use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use spread_wire::buffers::Buffers;
use spread_wire::ids::{BootId, Slot};
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;
use tokio::io::Interest;

/// Kernel buffers asked for, in bytes.
const SOCKET_BYTES: usize = 8 << 20;
/// Most bytes of one burst.
const BURST_BYTES: usize = 60_000;
/// Receive buffers handed to the kernel at a time.
const RECEIVE_BATCH: usize = 8;
/// Who sealed a packet.
type Who = (Slot, BootId);

/// The address of a listener for both families, where this machine has both.
pub(crate) fn any_family() -> IpAddr {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match bind(SocketAddr::new(any, 0)) {
        Ok(_) => any,
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// A UDP socket; the unspecified address of IPv6 stands for IPv4 too.
fn bind(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The ring's socket.
pub(crate) struct RingSocket {
    socket: Watched,
    state: UdpSocketState,
    receive: Receive,
    /// Packets the kernel did not take.
    pub(crate) unsent: u64,
    segments: usize,
    /// Receives what is sent to all, where that goes by multicast.
    multicast: Option<(Watched, UdpSocketState)>,
}

impl RingSocket {
    pub(crate) fn bind(address: Option<IpAddr>, port: u16) -> Result<Self> {
        let own = address.filter(|address| std::net::UdpSocket::bind((*address, 0)).is_ok());
        let address = own.or(address.map(|address| match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        }));
        let address = SocketAddr::new(address.unwrap_or_else(any_family), port);
        let socket = bind(address).with_context(|| {
            format!("UDP {address} can't be bound: is a daemon already running in this slot?")
        })?;
        let raw = socket2::SockRef::from(&socket);
        // More than the system allows is cut; what was granted is logged.
        let _ = raw.set_recv_buffer_size(SOCKET_BYTES);
        let _ = raw.set_send_buffer_size(SOCKET_BYTES);
        let granted = raw.recv_buffer_size().unwrap_or(0);
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())
            .context("the UDP socket's features can't be read")?;
        let segments = state.max_gso_segments();
        tracing::info!(
            "ring packets on UDP {address}, receive buffer {granted} bytes, bursts of up to {segments} packets"
        );
        let receive = Receive::new();
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Self { socket, state, receive, unsent: 0, segments, multicast: None })
    }

    /// Takes part in multicast: what is sent to the group leaves by the interface of `own`, and what comes is received.
    pub(crate) fn join(&mut self, group: SocketAddrV4, own: Ipv4Addr) -> Result<()> {
        let sending = socket2::SockRef::from(self.socket.get_ref());
        sending.set_multicast_if_v4(&own)?;
        sending.set_multicast_ttl_v4(1)?;
        sending.set_multicast_loop_v4(false)?;
        let receiving = std::net::UdpSocket::bind(group)
            .with_context(|| format!("the multicast address {group} can't be bound"))?;
        receiving
            .join_multicast_v4(group.ip(), &own)
            .with_context(|| format!("{own} can't join the multicast group {group}"))?;
        let _ = socket2::SockRef::from(&receiving).set_recv_buffer_size(SOCKET_BYTES);
        receiving.set_nonblocking(true)?;
        let state = UdpSocketState::new((&receiving).into())?;
        tracing::info!("packets for all daemons go to {group}");
        let receiving = watch(receiving, Interest::READABLE)?;
        self.multicast = Some((receiving, state));
        Ok(())
    }

    /// Sends packets of one run to one peer: as few calls as equal sizes allow. `ends` are the packets' ends in `bytes`.
    pub(crate) fn send(&mut self, to: SocketAddr, bytes: &[u8], ends: &[usize]) {
        let (mut first, mut start) = (0, 0);
        while first < ends.len() {
            let size = ends[first] - start;
            let (mut last, most) =
                (first, (BURST_BYTES / size.max(1)).clamp(1, self.segments.max(1)));
            while last + 1 < ends.len()
                && last + 1 - first < most
                && ends[last + 1] - ends[last] <= size
            {
                last += 1;
                if ends[last] - ends[last - 1] < size {
                    break;
                }
            }
            self.transmit(to, &bytes[start..ends[last]], (last > first).then_some(size));
            start = ends[last];
            first = last + 1;
        }
    }

    fn transmit(&mut self, destination: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        match self.state.try_send(self.socket.get_ref().into(), &transmit) {
            Ok(()) => {}
            Err(error) if segment_size.is_some() && error.kind() != ErrorKind::WouldBlock => {
                // The path or the kernel refuses bursts: packet by packet from here on.
                tracing::info!("bursts are refused ({error}): sending packet by packet");
                self.segments = 1;
                for packet in contents.chunks(segment_size.unwrap_or(contents.len())) {
                    self.transmit(destination, packet, None);
                }
            }
            // Lost like any packet: the ring sends it again. A peer that is not there answers with an error, too.
            Err(_) => self.unsent += 1,
        }
    }

    /// Waits until something can be received.
    pub(crate) async fn readable(&self) {
        let Some((multicast, _)) = &self.multicast else {
            let _ = self.socket.readable().await.map(|mut ready| ready.retain_ready());
            return;
        };
        tokio::select! {
            ready = self.socket.readable() => drop(ready.map(|mut ready| ready.retain_ready())),
            ready = multicast.readable() => drop(ready.map(|mut ready| ready.retain_ready())),
        }
    }

    /// Takes what has arrived, one batch of each socket; `false`: nothing more is there. `open` says who sent an envelope, and where in it
    /// the packet is; `take` gets it.
    pub(crate) fn receive(
        &mut self,
        mut open: impl FnMut(SocketAddr, &mut [u8]) -> Option<(Who, Range<usize>)>,
        mut take: impl FnMut(SocketAddr, Who, Bytes),
    ) -> bool {
        // Data comes by multicast, and the token behind it by the other.
        let (receive, multicast) = (&mut self.receive, self.multicast.as_ref());
        let more = multicast
            .is_some_and(|(socket, state)| receive.batch(socket, state, &mut open, &mut take));
        receive.batch(&self.socket, &self.state, &mut open, &mut take) || more
    }
}

/// What packets are received into.
struct Receive {
    buffers: Buffers,
    current: [Vec<u8>; RECEIVE_BATCH],
    /// Packets of one buffer: who sent each, and where it is. Empty between two of them.
    packets: Vec<(Who, Range<usize>)>,
}

impl Receive {
    fn new() -> Self {
        let buffers = Buffers::default();
        let current = core::array::from_fn(|_| buffers.one());
        Self { buffers, current, packets: Vec::new() }
    }

    /// Takes a batch if something may be there; returns whether there may be more.
    fn batch(
        &mut self,
        socket: &Watched,
        state: &UdpSocketState,
        open: &mut impl FnMut(SocketAddr, &mut [u8]) -> Option<(Who, Range<usize>)>,
        take: &mut impl FnMut(SocketAddr, Who, Bytes),
    ) -> bool {
        let mut metas = [RecvMeta::default(); RECEIVE_BATCH];
        let mut slices = self.current.each_mut().map(|buffer| IoSliceMut::new(buffer));
        let mut count = 0;
        let received = socket.try_io(Interest::READABLE, |socket| {
            count = state.recv(socket.into(), &mut slices, &mut metas)?;
            // A batch that is not full was all: what comes later is an event of its own.
            if count == RECEIVE_BATCH { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
        });
        let packets = &mut self.packets;
        for (meta, buffer) in metas.iter().zip(&mut self.current).take(count) {
            // A socket of both families shows IPv4 addresses inside IPv6 ones.
            let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            let stride = meta.stride.max(1);
            for (index, envelope) in buffer[..meta.len].chunks_mut(stride).enumerate() {
                if let Some((who, Range { start, end })) = open(from, envelope) {
                    packets.push((who, index * stride + start..index * stride + end));
                }
            }
            // The packets of a burst share one buffer, and go together as they become stable.
            let burst = self.buffers.take(buffer, meta.len);
            packets.drain(..).for_each(|(who, packet)| take(from, who, burst.slice(packet)));
        }
        received.is_ok()
    }
}
