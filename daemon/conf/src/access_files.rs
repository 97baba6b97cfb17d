//! `spread.access_ip` and `spread.access_pword`.

use core::net::IpAddr;

/// A rule of `spread.access_ip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressLine {
    /// `unix…`: connections over the Unix socket.
    Unix,
    /// `local…`: the loopback network.
    Local,
    /// `address/bits` or `address`.
    Network(IpAddr, u8),
}

/// Reads `spread.access_ip`; the error names the line.
pub fn parse_access_ip(text: &str) -> Result<Vec<AddressLine>, String> {
    let mut rules = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        rules.push(if line.starts_with("unix") {
            AddressLine::Unix
        } else if line.starts_with("local") {
            AddressLine::Local
        } else {
            network(line).ok_or_else(|| {
                format!(
                    "line {}: `{line}` is no rule; write `unix`, `local` or `10.0.0.0/8`",
                    index + 1
                )
            })?
        });
    }
    Ok(rules)
}

fn network(line: &str) -> Option<AddressLine> {
    let (address, bits) = line.split_once('/').unwrap_or((line, ""));
    let address: IpAddr = address.trim().parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = if bits.is_empty() { most } else { bits.trim().parse().ok()? };
    (bits <= most).then_some(AddressLine::Network(address, bits))
}

/// Reads `spread.access_pword`: users and their crypt hashes; the error names the line.
pub fn parse_access_pword(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| match line.split_once(':') {
            Some((user, hash)) if !user.is_empty() && user.len() <= 32 && !hash.is_empty() => {
                Ok((user.to_owned(), hash.to_owned()))
            }
            _ => Err(format!("line {number}: write `user:hash`, the user in at most 32 bytes")),
        })
        .collect()
}
