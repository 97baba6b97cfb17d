//! What waits for the ring, and what the ring has and this daemon did not apply yet.

use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::ids::RequestNumber;
use spread_wire::queue::take_first;
use spread_wire::service::Guarantee;
use std::collections::{BTreeMap, VecDeque};

/// Takes the place of a request's number in an attach: requests count from 1.
pub(crate) const ATTACH: RequestNumber = RequestNumber(0);

/// What an endpoint has ordered.
#[derive(Clone, Debug)]
struct Entry {
    /// [`ATTACH`] for an attach, `None` for a detach.
    number: Option<RequestNumber>,
    guarantee: Guarantee,
    payload: Bytes,
}

/// An endpoint's way to the ring.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    waiting_bytes: usize,
    outstanding: VecDeque<Entry>,
}

/// Where the next payload comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Chunks,
    Forgets,
    Endpoint(u32),
}

/// The engine's queues towards the ring: endpoints take turns.
///
/// A request stays here until it is applied: one that was delivered into an exchange that was
/// abandoned is submitted again, and the numbers keep any copy from counting twice.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    chunks: VecDeque<Bytes>,
    forgets: VecDeque<Bytes>,
    queues: BTreeMap<u32, Queue>,
    /// The endpoint whose turn it is, or the one after it.
    turn: u32,
}

impl Outbound {
    /// Queues a request, or an attach or detach (without a number).
    pub(crate) fn push(
        &mut self,
        endpoint: u32,
        number: Option<RequestNumber>,
        guarantee: Guarantee,
        payload: Bytes,
    ) {
        let queue = self.queues.entry(endpoint).or_default();
        queue.waiting_bytes += payload.len();
        queue.waiting.push_back(Entry { number, guarantee, payload });
    }

    /// Bytes of all endpoints that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queues.values().map(|queue| queue.waiting_bytes).sum()
    }

    /// Bytes of one endpoint that wait.
    pub(crate) fn waiting_bytes_of(&self, endpoint: u32) -> usize {
        self.queues.get(&endpoint).map_or(0, |queue| queue.waiting_bytes)
    }

    /// Replaces the parts of an older table.
    pub(crate) fn set_chunks(&mut self, chunks: Vec<Bytes>) {
        self.chunks = chunks.into();
    }

    /// Has an endpoint forgotten by all.
    pub(crate) fn push_forget(&mut self, payload: Bytes) {
        self.forgets.push_back(payload);
    }

    /// The next payload; what is not part of a table only if `requests` may go now.
    pub(crate) fn peek(&self, requests: bool) -> Option<(Guarantee, Bytes)> {
        match self.source(requests)? {
            Source::Chunks => {
                // SAFE: who has all tables in the configuration knows that all daemons of it have them, and so will have
                // the views too. Else a SAFE message would be delivered in a view that some member never comes to.
                let safe = !planted(Bug::TablesNotSafe);
                let guarantee = if safe { Guarantee::Safe } else { Guarantee::Agreed };
                Some((guarantee, self.chunks.front()?.clone()))
            }
            Source::Forgets => Some((Guarantee::Agreed, self.forgets.front()?.clone())),
            Source::Endpoint(endpoint) => {
                let next = self.queues.get(&endpoint)?.waiting.front()?;
                Some((next.guarantee, next.payload.clone()))
            }
        }
    }

    /// The ring took what [`Outbound::peek`] showed; returns the endpoint whose it was.
    pub(crate) fn taken(&mut self, requests: bool) -> Option<u32> {
        match self.source(requests)? {
            Source::Chunks => drop(self.chunks.pop_front()),
            Source::Forgets => drop(self.forgets.pop_front()),
            Source::Endpoint(endpoint) => {
                self.turn = endpoint.wrapping_add(1);
                let queue = self.queues.get_mut(&endpoint)?;
                let next = take_first(&mut queue.waiting)?;
                queue.waiting_bytes -= next.payload.len();
                queue.outstanding.push_back(next);
                return Some(endpoint);
            }
        }
        None
    }

    /// The ring can't carry what [`Outbound::peek`] showed: `void` makes what takes a request's place.
    pub(crate) fn replace(
        &mut self,
        requests: bool,
        void: impl FnOnce(u32, RequestNumber) -> Bytes,
    ) {
        let Some(Source::Endpoint(endpoint)) = self.source(requests) else {
            self.taken(requests);
            return;
        };
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        let Some(next) = queue.waiting.front_mut() else { return };
        let Some(number) = next.number else { return };
        let payload = void(endpoint, number);
        queue.waiting_bytes = queue.waiting_bytes - next.payload.len() + payload.len();
        next.payload = payload;
    }

    /// The endpoint's requests up to this number are applied.
    pub(crate) fn applied(&mut self, endpoint: u32, number: RequestNumber) {
        let Some(queue) = self.queues.get_mut(&endpoint) else { return };
        let done = |entry: Option<&Entry>| {
            entry.and_then(|entry| entry.number).is_some_and(|first| first <= number)
        };
        while done(queue.outstanding.front()) {
            take_first(&mut queue.outstanding);
        }
        while done(queue.waiting.front()) {
            if let Some(first) = take_first(&mut queue.waiting) {
                queue.waiting_bytes -= first.payload.len();
            }
        }
    }

    /// The endpoint is no longer served here.
    pub(crate) fn remove(&mut self, endpoint: u32) {
        self.queues.remove(&endpoint);
    }

    /// Everything that the ring was given and that is not applied is submitted again.
    pub(crate) fn submit_again(&mut self) {
        for queue in self.queues.values_mut() {
            while let Some(last) = queue.outstanding.pop_back() {
                queue.waiting_bytes += last.payload.len();
                queue.waiting.push_front(last);
            }
        }
    }

    fn source(&self, requests: bool) -> Option<Source> {
        if !self.chunks.is_empty() {
            return Some(Source::Chunks);
        }
        if !requests {
            return None;
        }
        if !self.forgets.is_empty() {
            return Some(Source::Forgets);
        }
        let first = |(endpoint, queue): (&u32, &Queue)| {
            (!queue.waiting.is_empty()).then_some(Source::Endpoint(*endpoint))
        };
        let after = self.queues.range(self.turn..).find_map(first);
        after.or_else(|| self.queues.range(..self.turn).find_map(first))
    }
}
