//! A bounded reader and a writer for packets. Reading never panics.

use bytes::{Buf as _, BufMut, Bytes};
use core::borrow::Borrow;

/// A packet that can't be read. Its sender is to blame; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It ends too early.
    #[error("the packet ends too early")]
    Short,
    /// A number or list is out of its bounds.
    #[error("a field of the packet is out of bounds")]
    Bounds,
    /// A kind or version that is not known here.
    #[error("the packet has kind or version {0}, which is not known here")]
    Unknown(u8),
}

/// Reads fields from the front of a packet. Only [`Reader::bytes`] counts one more owner of it.
#[derive(Clone, Debug)]
pub struct Reader<P = Bytes> {
    packet: P,
    /// Bytes that were read. Moving this is cheaper than cutting them off.
    read: usize,
}

impl Reader {
    /// All that is left.
    #[inline]
    pub fn rest(&mut self) -> Bytes {
        let mut rest = core::mem::take(&mut self.packet);
        rest.advance(core::mem::take(&mut self.read));
        rest
    }
}

impl<P: Borrow<Bytes>> Reader<P> {
    /// Reads from the start of `packet`.
    #[inline]
    #[must_use]
    pub fn new(packet: P) -> Self {
        Self { packet, read: 0 }
    }

    /// Takes all that is left as read.
    #[inline]
    pub fn skip_rest(&mut self) {
        self.read = self.packet().len();
    }

    #[inline]
    fn packet(&self) -> &Bytes {
        self.packet.borrow()
    }

    /// Whether everything was read.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.read == self.packet().len()
    }

    /// The next `count` bytes, shared with the packet.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<Bytes, ReadError> {
        if self.packet().len() - self.read < count {
            return Err(ReadError::Short);
        }
        let from = self.read;
        self.read += count;
        Ok(self.packet().slice(from..self.read))
    }

    /// The next `count` bytes, to look at.
    #[inline]
    pub fn slice(&mut self, count: usize) -> Result<&[u8], ReadError> {
        let from = self.read;
        if self.packet().len() - from < count {
            return Err(ReadError::Short);
        }
        self.read += count;
        Ok(&self.packet()[from..from + count])
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        let first = *self.packet().get(self.read).ok_or(ReadError::Short)?;
        self.read += 1;
        Ok(first)
    }

    /// So many bytes as they are.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let left = self.packet().get(self.read..).unwrap_or_default();
        let array = *left.first_chunk::<N>().ok_or(ReadError::Short)?;
        self.read += N;
        Ok(array)
    }

    /// A fixed 64-bit number, little-endian.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A fixed 128-bit number, little-endian.
    pub fn u128(&mut self) -> Result<u128, ReadError> {
        self.array().map(u128::from_le_bytes)
    }

    /// A number in groups of seven bits, low group first; at most ten bytes.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, ReadError> {
        // Most have one group.
        match self.packet().get(self.read).copied() {
            Some(byte) if byte & 0x80 == 0 => {
                self.read += 1;
                Ok(u64::from(byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, ReadError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return Err(ReadError::Bounds);
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ReadError::Bounds)
    }

    /// A varint that fits 16 bits.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, ReadError> {
        u16::try_from(self.varint()?).map_err(|_| ReadError::Bounds)
    }

    /// A varint that fits 32 bits.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        u32::try_from(self.varint()?).map_err(|_| ReadError::Bounds)
    }

    /// The length of a list, at most `most`.
    #[inline]
    pub fn count(&mut self, most: usize) -> Result<usize, ReadError> {
        let count = usize::try_from(self.varint()?).map_err(|_| ReadError::Bounds)?;
        if count > most { Err(ReadError::Bounds) } else { Ok(count) }
    }
}

/// Appends fields to a buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer<B = Vec<u8>>(pub B);

impl<B: BufMut> Writer<B> {
    /// One byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.0.put_u8(value);
    }

    /// A fixed 64-bit number, little-endian.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.0.put_u64_le(value);
    }

    /// A fixed 128-bit number, little-endian.
    pub fn u128(&mut self, value: u128) {
        self.0.put_u128_le(value);
    }

    /// A number in groups of seven bits.
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.put_u8(value as u8 & 0x7f | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value as u8);
    }

    /// Raw bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }
}
