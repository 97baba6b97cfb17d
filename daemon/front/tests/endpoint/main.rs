//! A front by its bytes: what clients send and get, and what it asks to have ordered.

mod access;
mod client;
mod handshake;
mod large;
mod limits;
mod moves;
mod names;
mod runs;
mod slow;
