//! Packets between daemons.
