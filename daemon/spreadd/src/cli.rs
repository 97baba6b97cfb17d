//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// A daemon of a Spread ring.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "A daemon of a Spread ring",
    after_help = "Examples:\n  spreadd -c spread.conf -n d0          the daemon of slot d0, in the foreground\n  spreadd -c spread.conf                finds its slot by this machine's addresses\n  spreadd -c spread.conf --check        only reads the file and shows every mistake\n\nSIGTERM and SIGINT leave the ring in order: what clients sent before is ordered first."
)]
pub(crate) struct Arguments {
    /// Configuration file.
    #[arg(short = 'c', value_name = "FILE", default_value = "spread.conf")]
    pub(crate) conf: PathBuf,
    /// Slot to take; without it the one whose address this machine has.
    #[arg(short = 'n', value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Accepted for the original's sake: y logs sessions and memberships in detail.
    #[arg(short = 'l', value_name = "y|n", default_value = "n")]
    pub(crate) log: YesNo,
    /// Read the configuration, show what is wrong with it, and exit.
    #[arg(long)]
    pub(crate) check: bool,
    /// Leave the ring and end when the process that started this one ends.
    #[arg(long)]
    pub(crate) exit_with_parent: bool,
}

/// As the original spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    /// Yes.
    Y,
    /// No.
    N,
}
