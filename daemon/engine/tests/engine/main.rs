//! Engines over a ring played by a script, and one daemon over its real ring.

mod alone;
mod cluster;
mod large;
mod merging;
mod random;
mod remote;
mod together;
mod views;
