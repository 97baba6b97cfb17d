//! A name server that remembers for good what it denied once, as the cache of a cluster does for half a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};

const NAME_ERROR: u8 = 3;
const TYPE_A: u16 = 1;

#[derive(Default)]
struct Names {
    published: BTreeMap<String, Ipv4Addr>,
    remembered_as_absent: BTreeSet<String>,
    /// How often each name was answered with an address.
    found: BTreeMap<String, usize>,
    /// How often not.
    denied: BTreeMap<String, usize>,
}

/// Answers until the process ends.
#[derive(Clone)]
pub(crate) struct NameServer(Arc<Mutex<Names>>);

impl NameServer {
    pub(crate) fn start() -> Self {
        let server = Self(Arc::default());
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of this namespace");
        let (names, mut packet) = (server.clone(), [0; 512]);
        std::thread::spawn(move || {
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if let Some(answer) = names.answer(&packet[..length]) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        server
    }

    pub(crate) fn publish(&self, name: &str, address: Ipv4Addr) {
        self.0.lock().expect("names").published.insert(name.to_owned(), address);
    }

    /// The time for which absence is remembered has passed.
    pub(crate) fn forget_absence(&self) {
        self.0.lock().expect("names").remembered_as_absent.clear();
    }

    pub(crate) fn found(&self, name: &str) -> usize {
        self.0.lock().expect("names").found.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn denied(&self, name: &str) -> usize {
        self.0.lock().expect("names").denied.get(name).copied().unwrap_or(0)
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = question(query)?;
        let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
        let mut names = self.0.lock().expect("names");
        let address = names.published.get(&name).copied();
        let address = address.filter(|_| !names.remembered_as_absent.contains(&name));
        let has_answer = address.is_some() && kind == TYPE_A;
        if address.is_none() {
            names.remembered_as_absent.insert(name.clone());
            *names.denied.entry(name).or_default() += 1;
        } else if has_answer {
            *names.found.entry(name).or_default() += 1;
        }
        let code = if address.is_some() { 0 } else { NAME_ERROR };
        let mut reply = query[..2].to_vec();
        reply.extend([0x85, 0x80 | code, 0, 1, 0, u8::from(has_answer), 0, 0, 0, 0]);
        reply.extend(query.get(12..end + 4)?);
        if let Some(address) = address.filter(|_| has_answer) {
            // The name of the question, type A, class IN, half a minute, four bytes.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4]);
            reply.extend(address.octets());
        }
        Some(reply)
    }
}

/// The name asked for, and where it ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8(query.get(at..at + length)?.to_vec()).ok()?.to_lowercase());
        at += length;
    }
}
