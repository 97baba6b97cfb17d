//! Measurements with daemons in network namespaces of their own: a namespace per daemon, veth pairs on one
//! bridge, clients over Unix sockets outside. Needs root and `ip`; everything it makes goes away with it.
//!
//! Machines of one size differ in the price of a system call, so each report begins with the **unit u**:
//! the CPU, sender's and receivers' together, per received packet of plain `sendto` and `recv`.

mod cpu;
mod crowd;
mod daemons;
mod hogs;
mod membership;
mod netns;
mod ring;
mod session;
mod throughput;
mod unit;

use anyhow::Result;
use clap::Subcommand;

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The unit u only.
    Unit(unit::Arguments),
    /// Longest gap at the others when a daemon starts, stops or is killed, and how soon a started one serves.
    Membership(membership::Arguments),
    /// Many daemons: forming, a stream, a crash, healing.
    Crowd(crowd::Arguments),
    /// A busy ring beside CPU hogs: no membership may change.
    Hogs(hogs::Arguments),
    /// Figures of ring and clients' side, with what they should reach (`cargo bench-ring`).
    Ring(ring::Arguments),
    /// What a daemon says of itself (run inside its namespace).
    #[command(hide = true)]
    Fetch {
        /// Address of the admin endpoint.
        address: std::net::SocketAddr,
    },
    /// Messages per second and CPU per message.
    Throughput(throughput::Arguments),
    /// One end of the unit's measurement (started by `unit`).
    #[command(hide = true)]
    UnitEnd(unit::End),
}

/// Measures.
pub fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::UnitEnd(end) => unit::run_end(end),
        What::Membership(arguments) => {
            netns::require()?;
            membership::run(arguments)
        }
        What::Crowd(arguments) => {
            netns::require()?;
            crowd::run(arguments)
        }
        What::Hogs(arguments) => {
            netns::require()?;
            hogs::run(arguments)
        }
        What::Fetch { address } => daemons::fetch(*address),
        What::Ring(arguments) => {
            netns::require()?;
            ring::run(arguments)
        }
        What::Throughput(arguments) => {
            netns::require()?;
            throughput::run(arguments)
        }
        What::Unit(unit) => {
            netns::require()?;
            println!("{}", cpu::machine());
            println!("u = {:.2} us", unit::measure(unit)?);
            Ok(())
        }
    }
}
