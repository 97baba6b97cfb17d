//! Settings of a whole cluster.

use crate::random::Random;
use core::time::Duration;
use spread_engine::Bounds;
use spread_front::SlowReader;
use spread_ring::{Timers, Windows};

/// Settings that all daemons of a run share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Daemons, and slots for them.
    pub daemons: usize,
    /// Slots listed beyond, in which no daemon ever runs: large rings gather in another way.
    pub spare_slots: usize,
    /// Slots whose vs-sets come in reverse order.
    pub reverse_vs_keys: bool,
    /// Largest packet.
    pub packet_bytes: usize,
    /// Timers.
    pub timers: Timers,
    /// Windows.
    pub windows: Windows,
    /// Bounds of the engines.
    pub bounds: Bounds,
    /// How long a lost endpoint may attach again.
    pub lost_retention: Duration,
    /// Most sessions of one daemon.
    pub sessions: usize,
    /// Bytes that may wait for one session.
    pub session_queue_bytes: usize,
    /// Bytes of requests that may wait for the order.
    pub request_bytes: usize,
    /// Larger payloads go in parts.
    pub large_bytes: usize,
    /// Such a part.
    pub part_bytes: usize,
    /// What becomes of slow readers.
    pub slow_reader: SlowReader,
    /// A handshake has to be over after this long.
    pub handshake_timeout: Duration,
    /// Accept only once the opening was ordered.
    pub await_open: bool,
    /// How long packets take, at first.
    pub delay: (Duration, Duration),
    /// Clocks may run wrong by so many parts of a million.
    pub drift: u64,
    /// Wall clocks may be wrong by so many milliseconds.
    pub skew: u64,
}

impl Settings {
    /// What scenarios run with.
    #[must_use]
    pub fn plain(daemons: usize) -> Self {
        Self {
            daemons,
            spare_slots: 0,
            reverse_vs_keys: false,
            packet_bytes: 1400,
            timers: Timers::lan(),
            windows: Windows::default(),
            bounds: Bounds::default(),
            lost_retention: spread_engine::LOST_RETENTION,
            sessions: 1000,
            session_queue_bytes: 1 << 20,
            request_bytes: 1 << 20,
            large_bytes: spread_front::LARGE_BYTES,
            part_bytes: spread_front::PART_BYTES,
            slow_reader: SlowReader::Block { timeout: Duration::from_secs(10) },
            handshake_timeout: Duration::from_secs(10),
            await_open: false,
            delay: (Duration::from_micros(50), Duration::from_micros(100)),
            drift: 0,
            skew: 0,
        }
    }

    /// What a seed runs with: now and then everything is so small that its bound is met.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        let daemons = random.pick(&[1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8]);
        let least = random.pick(&[50, 100, 200, 500, 1000]);
        let most = least * random.between(1, 4);
        let small = random.chance(400);
        let personal = if small { random.between(2, 8) as u32 } else { 88 };
        let gap = personal * random.pick(&[3, 8]);
        let windows = Windows {
            window_packets: if small { personal * 3 } else { 400 },
            personal_packets: personal,
            accelerated_packets: random.between(0, u64::from(personal)) as u32,
            gap_packets: if small { gap } else { 1600 },
            backlog_bytes: if small { 4_000 } else { 8 << 20 },
            payload_bytes: 17 << 20,
        };
        let tight = random.chance(400);
        let bounds = Bounds {
            waiting_bytes: if tight { 8_000 } else { 4 << 20 },
            resume_bytes: if tight { 2_000 } else { 1 << 20 },
            chunk_bytes: random.pick(&[60, 200, 1000, 60_000]),
            ..Bounds::default()
        };
        Self {
            daemons,
            reverse_vs_keys: random.chance(300),
            packet_bytes: random.pick(&[400, 1400, 1400, 8000]),
            windows,
            bounds,
            session_queue_bytes: random.pick(&[4_000, 64_000, 1 << 20]),
            request_bytes: random.pick(&[4_000, 64_000, 1 << 20]),
            slow_reader: if random.chance(500) {
                SlowReader::Disconnect { messages: random.pick(&[20, 100, 1000]) }
            } else {
                SlowReader::Block { timeout: Duration::from_millis(random.between(1500, 4000)) }
            },
            await_open: random.chance(300),
            delay: (Duration::from_micros(least), Duration::from_micros(most)),
            drift: random.pick(&[0, 100, 5_000]),
            skew: random.pick(&[0, 1_000, 3_600_000]),
            ..Self::plain(daemons)
        }
    }

    /// In some runs messages are large early.
    pub(crate) fn part_large(&mut self, random: &mut Random) {
        if random.chance(350) {
            self.large_bytes = random.pick(&[60, 150, 400, 1500]);
            // A message of 20 kB in parts that go few at a time has to come to its end: over a slow network not in hundreds.
            let least = if self.delay.1 > Duration::from_millis(1) { 500 } else { 0 };
            self.part_bytes = random.pick(&[50, 150, 500, 2000]).max(least);
        }
    }

    /// Orders the vs-sets of components by their representatives.
    #[must_use]
    pub fn vs_key(&self, slot: usize) -> i64 {
        if self.reverse_vs_keys { -(slot as i64) } else { slot as i64 }
    }
}
