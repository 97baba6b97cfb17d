//! spread.conf: read, diagnose, render, compare.
//!
//! `lex` takes the longest run of characters and then says what it is; `parse` goes on after an error, so that one run shows them all;
//! `model` is what the daemon starts with. No IO: names are resolved by who runs the daemon.

mod access_files;
mod diagnostic;
mod lex;
mod model;
mod options;
mod parse;

pub use access_files::{AddressLine, parse_access_ip, parse_access_pword};
pub use diagnostic::{Diagnostic, Severity};
pub use model::{
    Conf, Difference, Encryption, Interface, LogFormat, Profile, Segment, SlotConf, SlowReader,
    Timeouts, Windows, compare,
};
pub use parse::parse;
