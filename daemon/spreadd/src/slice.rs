//! Short time slices, so that the daemon's turn comes soon on a busy machine.
//!
//! A daemon needs a processor for a fraction of a millisecond at a time, and at once: others wait for its part of the ring, and take
//! it for crashed after a quarter of a second. In a container its weight is small (a request of 100m is a tenth of a process without
//! one), and Linux (from 6.12 on) lets whoever has little weight wait the longer, the longer the slices are that it asks for. Its share of
//! the processor stays what it was.

use std::io;

/// The shortest that Linux gives.
const SLICE_NANOSECONDS: u64 = 100_000;

/// Asks for short slices for this thread and those that it starts. Older kernels take it and do nothing.
#[allow(unsafe_code)]
pub(crate) fn shorten() -> io::Result<()> {
    const SIZE: u32 = size_of::<libc::sched_attr>() as u32;
    let mut now = libc::sched_attr {
        size: SIZE,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: 0,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel writes at most SIZE bytes to the struct, which lives through the call; thread 0 is the caller.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, SIZE, 0) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    if now.sched_policy != libc::SCHED_OTHER as u32 {
        // Whoever chose another one knows why, and there it means something else.
        return Ok(());
    }
    (now.size, now.sched_runtime) = (SIZE, SLICE_NANOSECONDS);
    // SAFETY: the kernel reads SIZE bytes of the struct, which lives through the call.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const now, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
