//! Payloads into packet bodies, and back.
//!
//! A body is a row of pieces: `varint(length << 3 | flags)` and the bytes. Small payloads share a packet. A payload is cut where
//! the packet is full, unless it fits the next one whole and only little of this one stays empty: every receiver has to put a cut
//! one together. A zero in place of a head ends the body, and zeros fill the packet: all packets of a burst but the last have
//! equal size, as segmentation by the kernel wants it.

use bytes::{Bytes, BytesMut};
use spread_bugs::{Bug, planted};
use spread_wire::packet::cursor::{ReadError, Reader, Writer};
use spread_wire::queue::take_first;
use spread_wire::service::Guarantee;
use std::collections::VecDeque;

const FIRST: u64 = 1;
const LAST: u64 = 2;
const SAFE: u64 = 4;

/// Least room for which a payload is cut that needs several packets anyhow.
const LEAST_PIECE_BYTES: usize = 32;
/// Least room for which a payload is cut that would fit a packet. Below, at most a sixth of a packet stays empty.
const LEAST_CUT_BYTES: usize = 240;
/// A piece's head has at most so many bytes: bodies are below 256 MiB.
const HEAD_BYTES: usize = 4;
/// Ends a body before its last byte.
const END: u64 = 0;

/// A packed body.
#[derive(Debug)]
pub(crate) struct Body {
    /// Where in the packet it begins.
    pub(crate) begin: usize,
    /// It has pieces that wait until all have them.
    pub(crate) safe: bool,
}

/// Payloads that wait for the token, in order.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    queue: VecDeque<(Guarantee, Bytes)>,
    /// Bytes of the first payload that are packed already.
    packed: usize,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, guarantee: Guarantee, payload: Bytes) {
        self.bytes += payload.len();
        self.queue.push_back((guarantee, payload));
    }

    /// Begins the first payload anew: its pieces in the old configuration will never be complete.
    pub(crate) fn rewind(&mut self) {
        if planted(Bug::NotBegunAnew) {
            return;
        }
        self.packed = 0;
    }

    /// Appends the next body of at most `room` bytes to a packet's header; a `single` one has a piece of one payload only.
    pub(crate) fn pack(
        &mut self,
        packet: &mut Writer<&mut BytesMut>,
        room: usize,
        single: bool,
    ) -> Option<Body> {
        if self.queue.is_empty() {
            return None;
        }
        let (begin, mut safe) = (packet.0.len(), false);
        while let Some((guarantee, payload)) = self.queue.front() {
            let left = payload.len() - self.packed;
            let free = room - (packet.0.len() - begin);
            let empty = packet.0.len() == begin;
            let fits_next = left + HEAD_BYTES <= room;
            let least = if fits_next { LEAST_CUT_BYTES } else { LEAST_PIECE_BYTES };
            if !empty && (single || free < left.min(least) + HEAD_BYTES) {
                break;
            }
            let take = left.min(free - HEAD_BYTES);
            let first = if self.packed == 0 { FIRST } else { 0 };
            let last = if take == left { LAST } else { 0 };
            let says_it = self.packed == 0 || !planted(Bug::SafeOnFirstPiece);
            safe |= *guarantee == Guarantee::Safe;
            let flag = if *guarantee == Guarantee::Safe && says_it { SAFE } else { 0 };
            packet.varint((take as u64) << 3 | first | last | flag);
            packet.bytes(&payload[self.packed..self.packed + take]);
            if take == left {
                self.bytes -= payload.len();
                self.packed = 0;
                take_first(&mut self.queue);
            } else {
                self.packed += take;
            }
        }
        if !self.queue.is_empty() && !single {
            packet.0.resize(begin + room, END as u8);
        }
        Some(Body { begin, safe })
    }
}

/// One piece of a payload.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) first: bool,
    pub(crate) last: bool,
    pub(crate) safe: bool,
    pub(crate) bytes: Bytes,
}

/// Reads the pieces of a body; what can't be read ends it.
pub(crate) struct Pieces<'a>(Reader<&'a Bytes>);

impl<'a> Pieces<'a> {
    pub(crate) fn new(body: &'a Bytes) -> Self {
        Self(Reader::new(body))
    }

    fn read(&mut self) -> Result<Option<Piece>, ReadError> {
        let head = self.0.varint()?;
        if head == END {
            self.0.skip_rest();
            return Ok(None);
        }
        let length = usize::try_from(head >> 3).map_err(|_| ReadError::Bounds)?;
        Ok(Some(Piece {
            first: head & FIRST != 0,
            last: head & LAST != 0,
            safe: head & SAFE != 0,
            bytes: self.0.bytes(length)?,
        }))
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;
    fn next(&mut self) -> Option<Piece> {
        if self.0.is_empty() { None } else { self.read().ok().flatten() }
    }
}

/// Puts the pieces of one sender's payloads together.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    parts: Vec<Bytes>,
    open: bool,
}

impl Assembly {
    /// Takes the next piece; returns the payload it completes. A piece without its beginning is dropped.
    pub(crate) fn take(&mut self, piece: Piece) -> Option<Bytes> {
        if piece.first {
            self.parts.clear();
            self.open = true;
        }
        if !self.open {
            return None;
        }
        if piece.last {
            self.open = false;
            if self.parts.is_empty() {
                return Some(piece.bytes);
            }
            self.parts.push(piece.bytes);
            let whole = self.parts.concat();
            self.parts.clear();
            return Some(whole.into());
        }
        self.parts.push(piece.bytes);
        None
    }
}

#[cfg(test)]
mod pack_tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out_in_order_and_packets_are_full() {
        let mut backlog = Backlog::default();
        let payloads: Vec<Bytes> = [0, 1, 10, 100, 5000, 3, 1390, 1400, 64]
            .map(|len| Bytes::from(vec![len as u8; len]))
            .into();
        for payload in &payloads {
            backlog.push(Guarantee::Agreed, payload.clone());
        }
        let bodies = all(&mut backlog);
        assert!(bodies[..bodies.len() - 1].iter().all(|body| body.len() == 1400));
        let mut assembly = Assembly::default();
        let out: Vec<Bytes> =
            bodies.iter().flat_map(Pieces::new).filter_map(|piece| assembly.take(piece)).collect();
        assert_eq!(out, payloads);
        assert_eq!(backlog.bytes(), 0);
    }

    #[test]
    fn a_payload_that_fits_a_packet_is_cut_only_where_that_spares_much() {
        let pieces = |sizes: &[usize]| -> Vec<Vec<usize>> {
            let mut backlog = Backlog::default();
            let payload = |len: &usize| Bytes::from(vec![1; *len]);
            sizes.iter().for_each(|len| backlog.push(Guarantee::Agreed, payload(len)));
            let sizes = |body| Pieces::new(body).map(|piece| piece.bytes.len()).collect();
            all(&mut backlog).iter().map(sizes).collect()
        };
        assert_eq!(pieces(&[1350, 1350, 1350]), [[1350], [1350], [1350]]);
        assert_eq!(pieces(&[1000, 1000]), [vec![1000, 394], vec![606]]);
        assert_eq!(pieces(&[1300, 3000]), [vec![1300, 94], vec![1396], vec![1396], vec![114]]);
    }

    fn all(backlog: &mut Backlog) -> Vec<Bytes> {
        let next = || {
            let mut bytes = BytesMut::new();
            let mut packet = Writer(&mut bytes);
            packet.bytes(b"header");
            let body = backlog.pack(&mut packet, 1400, false)?;
            Some(bytes.freeze().slice(body.begin..))
        };
        std::iter::from_fn(next).collect()
    }
}
