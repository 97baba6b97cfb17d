//! spread.conf: read, diagnose, render, compare.
//!
//! `lex` takes the longest run of characters and then says what it is; `parse` goes on after an error, so that one run shows them all;
//! `finish` judges the whole; `model` is what the daemon starts with; `render` writes it. No IO: names are resolved by who runs the
//! daemon.

mod access_files;
mod address;
mod diagnostic;
mod finish;
mod lex;
mod model;
mod options;
mod parse;
mod render;

pub use access_files::{AddressLine, parse_access_ip, parse_access_pword};
pub use diagnostic::{Diagnostic, Severity};
pub use model::{
    Conf, Difference, Encryption, Interface, LogFormat, Profile, Segment, SlotConf, SlowReader,
    Statement, Timeouts, Windows, compare,
};
pub use options::option_names;
pub use parse::parse;
pub use render::RenderError;
