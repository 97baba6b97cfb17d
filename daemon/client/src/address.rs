//! Where a daemon is, in the words of the original (`client-protocol` section 1).

use crate::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Folder of the Unix sockets where a number alone is given.
const SOCKET_FOLDER: &str = "/tmp";

/// A daemon's address: `4803@host`, `4803@[::1]`, `4803` (the Unix socket `/tmp/4803`), or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A Unix socket on this machine.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Address { address: text.to_owned(), why };
        if text.contains('/') {
            return Ok(Self::Unix(PathBuf::from(text)));
        }
        let (port, host) =
            text.split_once('@').map_or((text, None), |(port, host)| (port, Some(host)));
        let port: u16 =
            port.parse().map_err(|_| wrong("a port from 1 to 65535 has to stand first"))?;
        match host {
            None => Ok(Self::Unix(PathBuf::from(SOCKET_FOLDER).join(port.to_string()))),
            Some("") => Err(wrong("a host has to follow the @")),
            Some(host) => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self::Tcp { host, port })
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "{port}@[{host}]"),
            Self::Tcp { host, port } => write!(f, "{port}@{host}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_the_original_has_them() {
        let tcp = |host: &str| Address::Tcp { host: host.into(), port: 4803 };
        for (text, expected) in [
            ("4803@localhost", tcp("localhost")),
            ("4803@[::1]", tcp("::1")),
            ("4803@10.0.0.1", tcp("10.0.0.1")),
            ("4803", Address::Unix("/tmp/4803".into())),
            ("/run/spread/4803", Address::Unix("/run/spread/4803".into())),
        ] {
            assert_eq!(text.parse::<Address>().expect(text), expected);
            let shown = expected.to_string();
            assert_eq!(shown.parse::<Address>().expect("shown"), expected, "{shown}");
        }
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        for text in ["", "localhost", "x@localhost", "4803@", "70000@localhost"] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("4803@host"), "{error}");
        }
    }
}
