//! How many bytes of requests may be on their way to the order.
//!
//! As many as keep the order busy. What is more waits at the clients, where it delays nobody else: a bound in bytes alone is a queue
//! of seconds where the ring is slow. How long a request takes until it is acknowledged says which side to err on: as long as
//! that is short the window grows with what is acknowledged, once it is long it shrinks.

use core::time::Duration;
use spread_wire::time::Instant;

/// The window is never smaller: a burst of a ring's visit.
const LEAST_BYTES: usize = 64 << 10;
/// And begins with so much.
const FIRST_BYTES: usize = 256 << 10;
/// A request that takes no longer than this does not wait too long ...
const TARGET: Duration = Duration::from_millis(8);
/// ... nor one that takes no more than so many times the shortest time that one took lately.
const PATIENCE: u32 = 2;
/// The shortest time is measured anew after this, with little on the way: paths change.
const MEMORY: Duration = Duration::from_secs(10);
/// What is acknowledged in time lets the window grow by this part of it, while the window is what limits.
const GROWTH_SHARE: usize = 4;
/// A window in which requests took too long shrinks by this part.
const SHRINK_SHARE: usize = 4;

/// The window of one endpoint.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    most: usize,
    shortest: Option<(Duration, Instant)>,
    /// While the shortest time is measured: the limit to come back to.
    measures: Option<usize>,
    /// It shrank then: what was sent before says nothing about the smaller one.
    shrank: Instant,
}

impl Window {
    /// One that never exceeds `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        let limit = FIRST_BYTES.min(most);
        Self { limit, most, shortest: None, measures: None, shrank: Instant::default() }
    }

    /// Bytes that may be on their way.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Requests of so many bytes were acknowledged, of which the last was sent at `sent`. `limited`: more would have been sent.
    pub(crate) fn acknowledged(
        &mut self,
        now: Instant,
        sent: Instant,
        bytes: usize,
        limited: bool,
    ) {
        let took = now.since(sent);
        if self.measures.is_some() && sent < self.shrank {
            return;
        }
        if let Some(limit) = self.measures.take() {
            (self.shortest, self.limit) = (Some((took, now)), limit);
        }
        let (shortest, at) = *self.shortest.get_or_insert((took, now));
        if took <= shortest {
            self.shortest = Some((took, now));
        } else if now.since(at) > MEMORY {
            self.measures = Some(core::mem::replace(&mut self.limit, LEAST_BYTES.min(self.most)));
            self.shrank = now;
            return;
        }
        if took <= TARGET.max(shortest * PATIENCE) {
            let growth = if limited { bytes / GROWTH_SHARE } else { 0 };
            self.limit = (self.limit + growth).min(self.most);
        } else if sent >= self.shrank {
            self.limit = (self.limit - self.limit / SHRINK_SHARE).max(LEAST_BYTES.min(self.most));
            self.shrank = now;
        }
    }
}

#[cfg(test)]
mod window_tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// One that serves `rate` bytes a millisecond, after `path` milliseconds: where the window comes to, and how long requests wait.
    fn settles(most: usize, rate: usize, path: u64) -> (usize, u64) {
        let mut window = Window::new(most);
        let (mut now, mut wait) = (0, 0);
        for _ in 0..2000 {
            wait = path + (window.limit() / rate) as u64;
            now += wait;
            let sent = Instant((now - wait) * MS);
            window.acknowledged(Instant(now * MS), sent, window.limit(), true);
        }
        (window.measures.unwrap_or(window.limit()), wait)
    }

    #[test]
    fn requests_wait_for_milliseconds_whatever_the_rate() {
        for rate in [10_000, 50_000, 200_000] {
            let (limit, wait) = settles(8 << 20, rate, 1);
            assert!((4..=20).contains(&wait), "{limit} bytes, {wait} ms at {rate}");
        }
        let (limit, _) = settles(8 << 20, 100, 1);
        assert!(limit <= 2 * LEAST_BYTES, "{limit} bytes: a slow order has little on its way");
    }

    #[test]
    fn a_long_path_is_filled() {
        let (limit, wait) = settles(8 << 20, 10_000, 100);
        assert!(limit > 1_000_000, "{limit} bytes, {wait} ms");
    }

    #[test]
    fn it_keeps_to_its_bound_and_grows_only_where_it_limits() {
        assert_eq!(settles(5000, 1 << 30, 1).0, 5000);
        let mut window = Window::new(8 << 20);
        window.acknowledged(Instant(2 * MS), Instant(MS), 1 << 20, false);
        assert_eq!(window.limit(), FIRST_BYTES);
    }
}
