//! Access rules: who may connect, join, leave and send.

use crate::settings::{Peer, within};
use core::net::IpAddr;
use spread_wire::service::Service;

/// Permit or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let it pass.
    Permit,
    /// Refuse it.
    Deny,
}

/// What a session wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Connect.
    Connect,
    /// Join a group.
    Join,
    /// Leave a group.
    Leave,
    /// Send a message.
    Send,
}

/// A name with `*` for any run of bytes and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let (pattern, mut at, mut from) = (self.0.as_bytes(), 0, 0);
        let (mut star, mut mark) = (None, 0);
        while from < text.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    (star, mark) = (Some(at), from);
                    at += 1;
                }
                Some(byte) if *byte == b'?' || *byte == text[from] => {
                    (at, from) = (at + 1, from + 1)
                }
                _ => match star {
                    // The last `*` takes one more.
                    Some(star) => {
                        mark += 1;
                        (at, from) = (star + 1, mark);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// One rule; what is `None` matches anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// What to do where it matches.
    pub action: Action,
    /// Which operation.
    pub operation: Option<Operation>,
    /// First part of the private name.
    pub user: Option<Pattern>,
    /// Network of the client; never matches the Unix socket.
    pub address: Option<(IpAddr, u8)>,
    /// Any of the groups named.
    pub group: Option<Pattern>,
    /// The message type.
    pub mess_type: Option<i16>,
    /// The service.
    pub service: Option<Service>,
}

/// What is to be judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    pub(crate) user: &'a [u8],
    pub(crate) peer: Peer,
    pub(crate) groups: &'a [spread_wire::ids::GroupName],
    pub(crate) mess_type: i16,
    pub(crate) service: Option<Service>,
}

/// Whether the rules permit it.
pub(crate) fn permits(rules: &[AccessRule], asked: &Asked<'_>) -> bool {
    let rule = rules.iter().find(|rule| rule.matches(asked));
    rule.is_none_or(|rule| rule.action == Action::Permit)
}

impl AccessRule {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        let address = |(network, bits)| match asked.peer {
            Peer::Tcp(address) => within(address, network, bits),
            Peer::Unix => false,
        };
        self.operation.is_none_or(|operation| operation == asked.operation)
            && self.user.as_ref().is_none_or(|user| user.matches(asked.user))
            && self.address.is_none_or(address)
            && self
                .group
                .as_ref()
                .is_none_or(|group| asked.groups.iter().any(|name| group.matches(&name.0)))
            && self.mess_type.is_none_or(|number| {
                asked.operation == Operation::Send && number == asked.mess_type
            })
            && self.service.is_none_or(|service| asked.service == Some(service))
    }
}

#[cfg(test)]
mod access_tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, text, expected) in [
            ("deny*", "deny1", true),
            ("deny*", "den", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xxaxxabxb", true),
            ("*a*b", "xxaxxabxbc", false),
        ] {
            assert_eq!(
                Pattern(pattern.into()).matches(text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
