//! Payloads into packet bodies, and back.
//!
//! A body is a row of pieces: `varint(length << 3 | flags)` and the bytes. Small payloads share a packet, large
//! ones are cut wherever a packet is full, so that all packets of a burst but the last have equal size.

use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::packet::cursor::{ReadError, Reader, Writer};
use spread_wire::service::Guarantee;
use std::collections::VecDeque;

const FIRST: u64 = 1;
const LAST: u64 = 2;
const SAFE: u64 = 4;

/// Least room for which a payload is cut: below it a new packet is begun.
const LEAST_PIECE_BYTES: usize = 32;

/// A packed body.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
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

    /// The next packet body of at most `room` bytes; a `single` one has a piece of one payload only.
    pub(crate) fn pack(&mut self, room: usize, single: bool) -> Option<Body> {
        if self.queue.is_empty() {
            return None;
        }
        let mut body = Writer(Vec::with_capacity(room));
        let mut any_safe = false;
        while let Some((guarantee, payload)) = self.queue.front() {
            let left = payload.len() - self.packed;
            let free = room - body.0.len();
            if single && !body.0.is_empty() {
                break;
            }
            // A length takes at most 4 bytes: bodies are below 256 MiB.
            if free < left.min(LEAST_PIECE_BYTES) + 4 {
                break;
            }
            let take = left.min(free - 4);
            let first = if self.packed == 0 { FIRST } else { 0 };
            let last = if take == left { LAST } else { 0 };
            let says_it = self.packed == 0 || !planted(Bug::SafeOnFirstPiece);
            any_safe |= *guarantee == Guarantee::Safe;
            let safe = if *guarantee == Guarantee::Safe && says_it { SAFE } else { 0 };
            body.varint((take as u64) << 3 | first | last | safe);
            body.bytes(&payload[self.packed..self.packed + take]);
            if take == left {
                self.bytes -= payload.len();
                self.packed = 0;
                self.queue.pop_front();
            } else {
                self.packed += take;
            }
        }
        Some(Body { bytes: body.0.into(), safe: any_safe })
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
pub(crate) struct Pieces(Reader);

impl Pieces {
    pub(crate) fn new(body: Bytes) -> Self {
        Self(Reader::new(body))
    }

    fn read(&mut self) -> Result<Piece, ReadError> {
        let head = self.0.varint()?;
        let length = usize::try_from(head >> 3).map_err(|_| ReadError::Bounds)?;
        Ok(Piece {
            first: head & FIRST != 0,
            last: head & LAST != 0,
            safe: head & SAFE != 0,
            bytes: self.0.bytes(length)?,
        })
    }
}

impl Iterator for Pieces {
    type Item = Piece;
    fn next(&mut self) -> Option<Piece> {
        if self.0.is_empty() { None } else { self.read().ok() }
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
        let bodies: Vec<Bytes> =
            std::iter::from_fn(|| backlog.pack(1400, false)).map(|body| body.bytes).collect();
        assert!(bodies.iter().all(|body| body.len() <= 1400));
        assert!(bodies[..bodies.len() - 1].iter().all(|body| body.len() > 1400 - 40));
        let mut assembly = Assembly::default();
        let out: Vec<Bytes> = bodies
            .into_iter()
            .flat_map(Pieces::new)
            .filter_map(|piece| assembly.take(piece))
            .collect();
        assert_eq!(out, payloads);
        assert_eq!(backlog.bytes(), 0);
    }
}
