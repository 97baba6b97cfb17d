//! Buffers of one size that become [`Bytes`] without a copy when they are well filled, and come back when these are gone. From one that is
//! not, what is in it is copied: whoever keeps it for long then keeps no large buffer.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of one buffer: a burst of packets put together again by the kernel.
pub const BUFFER_BYTES: usize = 1 << 16;
/// A buffer with less in it is copied: what waits takes twice its bytes at most, until the last part of it goes.
const LEAST_BYTES: usize = BUFFER_BYTES / 2;
/// Buffers that are kept for use again, in buffers.
const KEPT: usize = 64;

/// Buffers that came back.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// One with room for [`BUFFER_BYTES`]; what is in it, and how much, is as it was when it was used last. A new one is full of zeros.
    #[must_use]
    pub fn one(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(|| vec![0; BUFFER_BYTES])
    }

    /// The first `length` bytes of a buffer, which is another one afterwards if these keep it.
    #[must_use]
    pub fn take(&self, buffer: &mut Vec<u8>, length: usize) -> Bytes {
        if length < LEAST_BYTES {
            return Bytes::copy_from_slice(&buffer[..length]);
        }
        let bytes = core::mem::replace(buffer, self.one());
        Bytes::from_owner(Filled { bytes, back_to: self.clone() }).slice(..length)
    }
}

/// A buffer in use.
struct Filled {
    bytes: Vec<u8>,
    back_to: Buffers,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        let mut kept = self.back_to.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(core::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod buffers_tests {
    use super::*;

    #[test]
    fn a_full_buffer_is_not_copied_and_comes_back() {
        let (buffers, mut buffer) = (Buffers::default(), vec![1; BUFFER_BYTES]);
        let place = buffer.as_ptr();
        let packet = buffers.take(&mut buffer, LEAST_BYTES).slice(100..200);
        assert_eq!(packet.as_ptr(), place.wrapping_add(100));
        assert_ne!(buffer.as_ptr(), place);
        drop(packet);
        let again = buffers.one();
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn little_is_copied() {
        let (buffers, mut buffer) = (Buffers::default(), vec![1; BUFFER_BYTES]);
        let place = buffer.as_ptr();
        let packet = buffers.take(&mut buffer, LEAST_BYTES - 1);
        assert_ne!(packet.as_ptr(), place);
        assert_eq!((buffer.as_ptr(), packet.len()), (place, LEAST_BYTES - 1));
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let buffers = Buffers::default();
        let take = |_| buffers.take(&mut buffers.one(), BUFFER_BYTES);
        let all: Vec<Bytes> = (0..2 * KEPT).map(take).collect();
        drop(all);
        assert_eq!(buffers.0.lock().expect("nobody failed").len(), KEPT);
    }
}
