//! Which counters of a sender were seen.

/// Counters older than this many behind the highest are taken for seen.
const WIDTH: u64 = 4096;

/// Highest counter seen and a bit for each of the last [`WIDTH`].
#[derive(Clone, Debug)]
pub(crate) struct Window {
    highest: u64,
    seen: [u64; (WIDTH / 64) as usize],
}

impl Default for Window {
    fn default() -> Self {
        Self { highest: 0, seen: [0; (WIDTH / 64) as usize] }
    }
}

impl Window {
    /// Marks a counter; `false` if it was seen or is too old to tell.
    pub(crate) fn admit(&mut self, counter: u64) -> bool {
        if counter > self.highest {
            // Places between the old and the new highest are free again.
            let fresh = (counter - self.highest).min(WIDTH);
            for at in counter + 1 - fresh..=counter {
                self.seen[Self::word(at)] &= !Self::bit(at);
            }
            self.highest = counter;
        } else if self.highest - counter >= WIDTH
            || self.seen[Self::word(counter)] & Self::bit(counter) != 0
        {
            return false;
        }
        self.seen[Self::word(counter)] |= Self::bit(counter);
        true
    }

    /// Takes everything up to the highest counter for seen.
    pub(crate) fn start(&mut self) {
        self.seen.fill(u64::MAX);
    }

    fn word(counter: u64) -> usize {
        (counter % WIDTH / 64) as usize
    }

    fn bit(counter: u64) -> u64 {
        1 << (counter % 64)
    }
}

#[cfg(test)]
mod replay_tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_window_agrees_with_a_plain_set() {
        let (mut window, mut set, mut random, mut high) =
            (Window::default(), BTreeSet::new(), 7_u64, 0_u64);
        for _ in 0..50_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let counter = (high + 20).saturating_sub((random >> 33) % 6000).max(1);
            let expected = high < counter + WIDTH && set.insert(counter);
            high = high.max(counter);
            assert_eq!(window.admit(counter), expected, "{counter} below {high}");
        }
    }

    #[test]
    fn what_was_sent_before_the_start_is_seen() {
        let mut window = Window::default();
        assert!(window.admit(10) && window.admit(8));
        window.start();
        for counter in 0..=10 {
            assert!(!window.admit(counter), "{counter}");
        }
        assert!(window.admit(WIDTH + 10) && window.admit(12) && window.admit(11));
        assert!(!window.admit(11) && !window.admit(10));
    }
}
