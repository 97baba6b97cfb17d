//! One wake-up for a deadline that is far away.
//!
//! Tokio's wheel wakes for a timer above 64 ms when its turn of the wheel begins, and once more when it is due. A daemon at rest does
//! little else than wait for such deadlines, and each time costs a tenth of a millisecond (docs/benchmarks.md).

use crate::watched::{Watched, watch};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::time::Duration;
use tokio::io::Interest;

/// Below this Tokio's timers wake once, and take no system call.
const FAR: Duration = Duration::from_millis(64);
/// Of the count that the kernel gives for a timer that went off.
const COUNT_BYTES: usize = 8;

/// A timer of the kernel for what is far away, Tokio's for what is near.
pub(crate) struct Alarm(Watched);

impl Alarm {
    /// Fails where the process has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        watch(timerfd_create(TimerfdClockId::Monotonic, flags)?, Interest::READABLE).map(Self)
    }

    /// Returns after `wait`. Whoever stops waiting need not say so: an alarm that was set before is set anew.
    pub(crate) async fn sleep(&self, wait: Duration) {
        if wait < FAR || self.set(wait).is_err() {
            return tokio::time::sleep(wait).await;
        }
        while let Ok(mut ready) = self.0.readable().await {
            let mut count = [0; COUNT_BYTES];
            let went_off = ready.try_io(|timer| Ok(rustix::io::read(timer, &mut count)?));
            // Once: it says so when it goes off again. Else it was set anew since the kernel said so.
            ready.clear_ready();
            if went_off.is_ok() {
                return;
            }
        }
    }

    fn set(&self, wait: Duration) -> io::Result<()> {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec::try_from(wait).map_err(io::Error::other)?;
        let once = Itimerspec { it_interval: never, it_value: value };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod alarm_tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn it_goes_off_after_what_it_was_set_to_last() {
        let alarm = Alarm::new().expect("a timer");
        let begin = Instant::now();
        let (first, second) = (Duration::from_millis(70), Duration::from_millis(90));
        alarm.sleep(first).await;
        assert!(begin.elapsed() >= first);
        // Given up and set anew before it goes off, and after it did with nobody waiting.
        for pause in [Duration::ZERO, first * 2] {
            assert!(tokio::time::timeout(FAR / 2, alarm.sleep(first)).await.is_err());
            tokio::time::sleep(pause).await;
            let begin = Instant::now();
            alarm.sleep(second).await;
            assert!(begin.elapsed() >= second, "{:?}", begin.elapsed());
        }
    }
}
