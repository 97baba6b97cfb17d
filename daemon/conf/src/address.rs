//! Hosts and ports as the file writes them.

use core::net::Ipv6Addr;

/// Whether a word after a daemon's name is its address rather than the next daemon's name: it has a dot, a colon or a bracket, or
/// is `localhost`.
pub(crate) fn looks_like_address(word: &str) -> bool {
    word == "localhost" || word.starts_with('[') || word.contains(':') || word.contains('.')
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; `None` where the port is no port or an address of digits is none.
pub(crate) fn split_port(word: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = word.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if port.is_empty() => Some((host, None)),
            None => None,
        };
    }
    let (host, port) = match word.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return None,
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (word, None),
    };
    let digits = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (!digits || host.parse::<core::net::Ipv4Addr>().is_ok()).then_some((host, port))
}

/// `host:port`, brackets around an IPv6 address.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    if host.parse::<Ipv6Addr>().is_ok() {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
