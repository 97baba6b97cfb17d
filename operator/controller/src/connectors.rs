//! The certificates with which one daemon is spoken to. A kubelet shows it another one after up to two minutes; until then
//! it trusts only who has the one before, and has that itself.

use std::sync::{Mutex, PoisonError};
use tokio_rustls::TlsConnector;

/// Certificates that are kept: the newest, and others that came quickly one after the other.
const KEPT: usize = 3;

/// One or a few, the newest first.
pub struct Connectors<T = TlsConnector>(Mutex<Vec<T>>);

impl<T: Clone> Connectors<T> {
    /// The newest, and those that the daemon may still have.
    pub fn new(newest: T, before: Option<&Self>) -> Self {
        let older = before.map(Self::all).unwrap_or_default();
        Self(Mutex::new(std::iter::once(newest).chain(older).take(KEPT).collect()))
    }

    /// All that are to be tried, in this order.
    pub fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The daemon has accepted the one at this place: what is older it has no more.
    pub fn accepted(&self, place: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > place + 1 {
            kept.truncate(place + 1);
            kept.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Connectors, KEPT};

    #[test]
    fn the_newest_is_tried_first_and_older_ones_until_a_newer_one_is_accepted() {
        let first = Connectors::new(1, None);
        let second = Connectors::new(2, Some(&first));
        assert_eq!(second.all(), [2, 1]);
        second.accepted(1);
        assert_eq!(second.all(), [2, 1], "it has not read the new one yet");
        let third = Connectors::new(3, Some(&second));
        assert_eq!(third.all(), [3, 2, 1]);
        third.accepted(1);
        assert_eq!(third.all(), [3, 2]);
        third.accepted(0);
        assert_eq!(third.all(), [3]);
    }

    #[test]
    fn no_more_are_kept_than_can_be_tried_in_time() {
        let mut last = Connectors::new(0, None);
        for number in 1..10 {
            last = Connectors::new(number, Some(&last));
        }
        assert_eq!(last.all(), [9, 8, 7]);
        assert_eq!(KEPT, 3);
    }
}
