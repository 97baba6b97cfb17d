//! What waits for the ring, and what the ring has and this daemon did not apply yet.

use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::ids::RequestNumber;
use spread_wire::service::Guarantee;
use std::collections::VecDeque;

/// A request as it goes to the ring.
#[derive(Clone, Debug)]
struct Numbered {
    number: RequestNumber,
    guarantee: Guarantee,
    payload: Bytes,
}

/// A payload that the ring may be given now.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) guarantee: Guarantee,
    pub(crate) payload: Bytes,
    /// `None` for a part of a table.
    pub(crate) number: Option<RequestNumber>,
}

/// The engine's queues towards the ring.
///
/// A request stays here until it is applied: one that was delivered into an exchange that was
/// abandoned is submitted again, and the numbers keep any copy from counting twice.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    chunks: VecDeque<Bytes>,
    waiting: VecDeque<Numbered>,
    waiting_bytes: usize,
    outstanding: VecDeque<Numbered>,
}

impl Outbound {
    pub(crate) fn push(&mut self, number: RequestNumber, guarantee: Guarantee, payload: Bytes) {
        self.waiting_bytes += payload.len();
        self.waiting.push_back(Numbered { number, guarantee, payload });
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Replaces the parts of an older table.
    pub(crate) fn set_chunks(&mut self, chunks: Vec<Bytes>) {
        self.chunks = chunks.into();
    }

    /// The next payload; requests only if they may go now.
    pub(crate) fn peek(&self, requests: bool) -> Option<Submission> {
        if let Some(payload) = self.chunks.front() {
            // SAFE: who has all tables in the configuration knows that all daemons of it have them, and so will have the
            // views too. Else a SAFE message would be delivered in a view that some member never comes to.
            let safe = !planted(Bug::TablesNotSafe);
            let guarantee = if safe { Guarantee::Safe } else { Guarantee::Agreed };
            let payload = payload.clone();
            return Some(Submission { guarantee, payload, number: None });
        }
        let next = self.waiting.front().filter(|_| requests)?;
        let (guarantee, payload) = (next.guarantee, next.payload.clone());
        Some(Submission { guarantee, payload, number: Some(next.number) })
    }

    /// The ring took what [`Outbound::peek`] showed.
    pub(crate) fn taken(&mut self) {
        if self.chunks.pop_front().is_some() {
            return;
        }
        if let Some(next) = self.waiting.pop_front() {
            self.waiting_bytes -= next.payload.len();
            self.outstanding.push_back(next);
        }
    }

    /// Replaces the next request, which the ring can't carry.
    pub(crate) fn replace(&mut self, payload: Bytes) {
        if let Some(next) = self.waiting.front_mut() {
            self.waiting_bytes = self.waiting_bytes - next.payload.len() + payload.len();
            next.payload = payload;
        }
    }

    /// Requests up to this number are applied.
    pub(crate) fn applied(&mut self, number: RequestNumber) {
        while self.outstanding.front().is_some_and(|first| first.number <= number) {
            self.outstanding.pop_front();
        }
        while self.waiting.front().is_some_and(|first| first.number <= number) {
            if let Some(first) = self.waiting.pop_front() {
                self.waiting_bytes -= first.payload.len();
            }
        }
    }

    /// Everything that the ring was given and that is not applied is submitted again.
    pub(crate) fn submit_again(&mut self) {
        while let Some(last) = self.outstanding.pop_back() {
            self.waiting_bytes += last.payload.len();
            self.waiting.push_front(last);
        }
    }
}
