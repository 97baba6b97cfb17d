//! Groups and endpoints over a ring.
