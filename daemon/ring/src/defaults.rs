//! Timers and windows of the profiles.

use crate::interface::{Timers, Windows};
use core::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

impl Timers {
    /// Daemons in one data centre: a crash is found in about a quarter of a second.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            token_retransmit: ms(20),
            token_retransmits: 10,
            token_loss: ms(1000),
            join_interval: ms(20),
            consensus_timeout: ms(150),
            form_timeout: ms(300),
            idle_token: ms(150),
            probe_interval: ms(250),
            singleton_delay: ms(1000),
        }
    }

    /// Daemons far apart: round trips of some hundred milliseconds are no crash.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            token_retransmit: ms(250),
            token_retransmits: 10,
            token_loss: ms(8000),
            join_interval: ms(150),
            consensus_timeout: ms(1500),
            form_timeout: ms(3000),
            idle_token: ms(500),
            probe_interval: ms(1000),
            singleton_delay: ms(3000),
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            window_packets: 400,
            personal_packets: 88,
            accelerated_packets: 44,
            gap_packets: 1600,
            backlog_bytes: 8 << 20,
            payload_bytes: 17 << 20,
        }
    }
}
