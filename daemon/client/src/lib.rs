//! Async client of a Spread daemon.
