//! Where the daemons of the slots may be: names are looked up again and again, and administrators may name addresses.
//!
//! No lookup is on the way of a daemon that starts: it finds those that run, and they learn its address from the packets
//! it sends. A name that does not resolve (a vacant slot's, in a cluster that remembers for half a minute that it did not)
//! therefore delays nobody; looking it up again is for the case that nobody else found anybody.

use spread_wire::ids::Slot;
use spread_wire::time::Instant;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Lookups under way; each has a thread while its name server does not answer.
const LOOKUPS: usize = 32;
/// Most addresses of a slot that administrators may name.
const HINTS: usize = 4;
/// While others are looked for.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// For a vacant slot of a ring in which nothing has changed for [`QUIET_AFTER`]: by the daemon that looks for others.
const VACANT_INTERVAL: Duration = Duration::from_secs(3);
/// The same by the other daemons, and for members, whose addresses are proved by their packets.
const IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// A ring is quiet so long after its last change.
pub(crate) const QUIET_AFTER: Duration = Duration::from_secs(30);

/// What a slot is to this daemon's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In the configuration.
    Member,
    /// Outside it.
    Vacant,
}

/// The ring as far as lookups depend on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingView {
    /// How long the ring's configuration has stood; `None`: it is being changed, or there is none.
    pub(crate) quiet: Option<Duration>,
    /// This daemon is the one that looks for daemons outside.
    pub(crate) looks_outside: bool,
}

/// How long a slot's name is left alone after a lookup.
fn interval(ring: RingView, standing: Standing) -> Duration {
    match (ring.quiet, standing) {
        (None, _) => SEARCH_INTERVAL,
        (Some(_), Standing::Member) => IDLE_INTERVAL,
        (Some(quiet), Standing::Vacant) if quiet < QUIET_AFTER => SEARCH_INTERVAL,
        (Some(_), Standing::Vacant) if ring.looks_outside => VACANT_INTERVAL,
        (Some(_), Standing::Vacant) => IDLE_INTERVAL,
    }
}

struct Host {
    name: String,
    port: u16,
    looked: Option<Instant>,
    busy: bool,
    found: Vec<SocketAddr>,
    hinted: Vec<SocketAddr>,
}

/// An answer of the name server; empty: there was none.
pub(crate) type Answer = (Slot, Vec<SocketAddr>);

/// Names and addresses of all slots.
pub(crate) struct Resolver {
    hosts: Vec<Host>,
    permits: Arc<Semaphore>,
    answers: mpsc::Sender<Answer>,
}

impl Resolver {
    /// A host that is an address needs no lookup: it is found already.
    pub(crate) fn new(hosts: Vec<(String, u16)>) -> (Self, mpsc::Receiver<Answer>) {
        let host = |(name, port): (String, u16)| {
            let literal = name.parse::<IpAddr>().map(|address| SocketAddr::new(address, port));
            let found = literal.into_iter().collect();
            Host { name, port, looked: None, busy: false, found, hinted: Vec::new() }
        };
        let (answers, answered) = mpsc::channel(hosts.len().max(1));
        let hosts = hosts.into_iter().map(host).collect();
        (Self { hosts, permits: Arc::new(Semaphore::new(LOOKUPS)), answers }, answered)
    }

    /// Where each slot may be as far as is known.
    pub(crate) fn known(&self) -> impl Iterator<Item = Answer> {
        let slots = (0..self.hosts.len()).map(|index| Slot(index as u16));
        slots.map(|slot| (slot, self.addresses(slot)))
    }

    fn addresses(&self, slot: Slot) -> Vec<SocketAddr> {
        let Some(host) = self.hosts.get(usize::from(slot.0)) else { return Vec::new() };
        let found = host.found.iter().filter(|address| !host.hinted.contains(address));
        host.hinted.iter().chain(found).copied().collect()
    }

    /// Starts the lookups that are due.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        ring: RingView,
        standing: impl Fn(Slot) -> Option<Standing>,
    ) {
        for (slot, name, port) in self.due(now, ring, standing) {
            let (permits, answers) = (Arc::clone(&self.permits), self.answers.clone());
            tokio::spawn(async move {
                let Ok(_permit) = permits.acquire().await else { return };
                let found = match tokio::net::lookup_host((name.as_str(), port)).await {
                    Ok(addresses) => addresses.collect(),
                    Err(_) => Vec::new(),
                };
                let _ = answers.send((slot, found)).await;
            });
        }
    }

    /// Names whose time has come; they count as under way from here on. A slot without standing is this daemon's own.
    fn due(
        &mut self,
        now: Instant,
        ring: RingView,
        standing: impl Fn(Slot) -> Option<Standing>,
    ) -> Vec<(Slot, String, u16)> {
        let mut due = Vec::new();
        for (index, host) in self.hosts.iter_mut().enumerate() {
            let slot = Slot(index as u16);
            let Some(standing) = standing(slot) else { continue };
            let literal = host.name.parse::<IpAddr>().is_ok();
            let rested = host.looked.is_none_or(|at| now.since(at) >= interval(ring, standing));
            if !literal && !host.busy && rested {
                (host.busy, host.looked) = (true, Some(now));
                due.push((slot, host.name.clone(), host.port));
            }
        }
        due
    }

    /// Takes an answer; returns where the slot may be, if that is news. What was found stays when nothing is found later.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        (slot, found): Answer,
    ) -> Option<Vec<SocketAddr>> {
        let host = self.hosts.get_mut(usize::from(slot.0))?;
        (host.busy, host.looked) = (false, Some(now));
        if found.is_empty() || found == host.found {
            return None;
        }
        host.found = found;
        Some(self.addresses(slot))
    }

    /// Takes addresses that an administrator names; those named before are forgotten.
    pub(crate) fn hinted(&mut self, slot: Slot, addresses: &[IpAddr]) -> Option<Vec<SocketAddr>> {
        let host = self.hosts.get_mut(usize::from(slot.0))?;
        let port = host.port;
        let named = addresses.iter().take(HINTS).map(|address| SocketAddr::new(*address, port));
        host.hinted = named.collect();
        Some(self.addresses(slot))
    }
}

#[cfg(test)]
mod resolver_tests {
    use super::*;

    const SEARCHING: RingView = RingView { quiet: None, looks_outside: false };

    fn at(seconds: u64) -> Instant {
        Instant(seconds * 1_000_000_000)
    }

    fn resolver() -> Resolver {
        let hosts = ["10.0.0.1", "d1.example.org", "d2.example.org"];
        Resolver::new(hosts.map(|host| (host.to_owned(), 4803)).into()).0
    }

    fn due(resolver: &mut Resolver, now: u64, ring: RingView, members: &[u16]) -> Vec<u16> {
        let standing = |slot: Slot| match slot.0 {
            0 => None,
            slot if members.contains(&slot) => Some(Standing::Member),
            _ => Some(Standing::Vacant),
        };
        resolver.due(at(now), ring, standing).iter().map(|(slot, ..)| slot.0).collect()
    }

    #[test]
    fn a_name_that_failed_is_tried_again_each_second_while_others_are_looked_for() {
        let mut resolver = resolver();
        assert_eq!(due(&mut resolver, 0, SEARCHING, &[]), [1, 2]);
        assert_eq!(due(&mut resolver, 9, SEARCHING, &[]), [0u16; 0], "both are under way");
        assert_eq!(resolver.answered(at(9), (Slot(1), Vec::new())), None);
        assert_eq!(due(&mut resolver, 9, SEARCHING, &[]), [0u16; 0]);
        assert_eq!(due(&mut resolver, 10, SEARCHING, &[]), [1]);
    }

    #[test]
    fn a_quiet_ring_asks_seldom_and_one_daemon_of_it_asks_for_vacant_slots() {
        let quiet = |seconds, looks_outside| RingView {
            quiet: Some(Duration::from_secs(seconds)),
            looks_outside,
        };
        let seconds = |ring, standing| interval(ring, standing).as_secs();
        assert_eq!(seconds(quiet(1, false), Standing::Vacant), 1);
        assert_eq!(seconds(quiet(99, true), Standing::Vacant), 3);
        assert_eq!(seconds(quiet(99, false), Standing::Vacant), 30);
        assert_eq!(seconds(quiet(1, true), Standing::Member), 30);
    }

    #[test]
    fn what_was_found_stays_and_hints_come_first() {
        let mut resolver = resolver();
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let found = vec![address("10.0.0.2:4803")];
        assert_eq!(resolver.known().next(), Some((Slot(0), vec![address("10.0.0.1:4803")])));
        assert_eq!(resolver.answered(at(0), (Slot(1), found.clone())), Some(found.clone()));
        assert_eq!(resolver.answered(at(1), (Slot(1), found.clone())), None, "no news");
        assert_eq!(resolver.answered(at(2), (Slot(1), Vec::new())), None);
        let hint = ["10.0.0.9".parse().expect("an address")];
        let both = vec![address("10.0.0.9:4803"), found[0]];
        assert_eq!(resolver.hinted(Slot(1), &hint), Some(both));
        assert_eq!(resolver.hinted(Slot(1), &[found[0].ip()]), Some(found));
        assert_eq!(resolver.hinted(Slot(7), &hint), None);
    }
}
