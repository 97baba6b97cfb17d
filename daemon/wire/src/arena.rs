//! Memory that many small encodings share.

use bytes::BytesMut;

/// What is encoded here in a row lies in one allocation, which goes when the last of it goes: for things that go about as they came, in
/// order. What somebody may keep for long needs memory of its own, or it keeps all of its neighbours'.
#[derive(Debug)]
pub struct Arena {
    buffer: BytesMut,
    bytes: usize,
}

impl Arena {
    /// Allocates so many bytes at a time, the first when something is encoded.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), bytes }
    }

    /// An empty buffer with room for at least `bytes`; what was written there is taken with [`BytesMut::split`].
    #[inline]
    pub fn room(&mut self, bytes: usize) -> &mut BytesMut {
        // Left behind by somebody who did not take it.
        self.buffer.clear();
        if self.buffer.capacity() < bytes && !self.buffer.try_reclaim(bytes) {
            self.buffer = BytesMut::with_capacity(self.bytes.max(bytes));
        }
        &mut self.buffer
    }
}

#[cfg(test)]
mod arena_tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_is_encoded_in_a_row_shares_memory_that_is_used_again() {
        let mut arena = Arena::new(100);
        let mut encode = |bytes: &[u8]| -> Bytes {
            let room = arena.room(bytes.len());
            room.extend_from_slice(bytes);
            room.split().freeze()
        };
        let (first, second) = (encode(&[1; 40]), encode(&[2; 40]));
        assert_eq!((&first[..], &second[..]), (&[1; 40][..], &[2; 40][..]));
        assert_eq!(first.as_ptr().wrapping_add(40), second.as_ptr());
        let third = encode(&[3; 40]);
        assert_eq!((&third[..], &first[..]), (&[3; 40][..], &[1; 40][..]), "elsewhere");
        let place = third.as_ptr();
        drop((first, second, third));
        let again = encode(&[4; 80]);
        assert_eq!(again.as_ptr(), place, "nobody had it any more");
        assert_eq!(encode(&[6; 1000]).len(), 1000);
    }

    #[test]
    fn what_nobody_took_is_not_found_by_the_next() {
        let mut arena = Arena::new(100);
        arena.room(10).extend_from_slice(b"left");
        assert!(arena.room(10).is_empty());
    }
}
