//! Authenticated encryption of ring packets.
