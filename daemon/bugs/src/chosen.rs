//! The bug chosen for the current thread: a simulator runs one cluster per thread.

use crate::Bug;
use core::cell::Cell;

thread_local! {
    static CHOSEN: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Chooses the bug that is there from now on in this thread, or none.
pub fn plant(bug: Option<Bug>) {
    CHOSEN.set(bug);
}

/// Whether the bug is chosen.
#[must_use]
pub fn planted(bug: Bug) -> bool {
    CHOSEN.get() == Some(bug)
}
