//! What was delivered, between the ring's side and the clients': one queue of one thread, which both look into.

use spread_engine::EngineOutput;
use spread_wire::link::LinkEvent;
use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// Delivered bytes that may wait before the ring is asked to send less.
const WAITING_BYTES: usize = 16 << 20;
/// What an event counts besides its payload, in bytes.
const EVENT_BYTES: usize = size_of::<EngineOutput>();
/// Room for so many events is kept when none waits.
const KEPT_EVENTS: usize = 4096;

/// The queue, and what tells the ring how much waits.
#[derive(Debug, Default)]
struct Deliveries {
    events: RefCell<VecDeque<EngineOutput>>,
    bytes: Cell<usize>,
    slow: Cell<bool>,
    came: Notify,
    /// One of the two sides is over.
    ended: Cell<bool>,
}

/// The ring's side of it; the clients' side ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ToClients(Rc<Deliveries>);

/// The clients' side of it.
#[derive(Debug)]
pub(crate) struct FromRing(Rc<Deliveries>);

/// Both sides of an empty queue.
pub(crate) fn deliveries() -> (ToClients, FromRing) {
    let both = Rc::<Deliveries>::default();
    (ToClients(Rc::clone(&both)), FromRing(both))
}

impl ToClients {
    /// Puts an event behind the others. [`Self::wake`] says so.
    pub(crate) fn push(&self, event: EngineOutput) {
        self.fill(|events| events.push_back(event));
    }

    /// Has events put behind the others.
    pub(crate) fn fill(&self, put: impl FnOnce(&mut VecDeque<EngineOutput>)) {
        let mut events = self.0.events.borrow_mut();
        let before = events.len();
        put(&mut events);
        let new: usize = events.range(before..).map(bytes).sum();
        self.0.bytes.set(self.0.bytes.get() + new);
    }

    /// Wakes the clients' side if something waits; `false`: it is over.
    pub(crate) fn wake(&self) -> bool {
        if !self.0.events.borrow().is_empty() {
            self.0.came.notify_one();
        }
        !self.0.ended.get()
    }

    /// Whether the ring should send less.
    pub(crate) fn congested(&self) -> bool {
        self.0.slow.get() || self.0.bytes.get() > WAITING_BYTES
    }
}

impl Drop for ToClients {
    fn drop(&mut self) {
        self.0.ended.set(true);
        self.0.came.notify_one();
    }
}

impl FromRing {
    /// Waits until something was put into it, or the ring is over.
    pub(crate) async fn came(&self) {
        self.0.came.notified().await;
    }

    /// What waits, in order; [`Self::taken`] says how much of it was taken.
    pub(crate) fn waiting(&self) -> Ref<'_, VecDeque<EngineOutput>> {
        self.0.events.borrow()
    }

    /// So many events from the front were taken.
    pub(crate) fn taken(&self, count: usize) {
        let mut events = self.0.events.borrow_mut();
        let done: usize = events.range(..count).map(bytes).sum();
        self.0.bytes.set(self.0.bytes.get() - done);
        events.drain(..count);
        if events.is_empty() && events.capacity() > KEPT_EVENTS {
            events.shrink_to(KEPT_EVENTS);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.events.borrow().is_empty()
    }

    /// Whether the ring is over and everything was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.0.ended.get() && self.is_empty()
    }

    /// Sessions have more waiting than their bound, or no longer.
    pub(crate) fn slow(&self, slow: bool) {
        self.0.slow.set(slow);
    }
}

impl Drop for FromRing {
    fn drop(&mut self) {
        self.0.ended.set(true);
    }
}

/// What an event counts against the bound.
fn bytes(output: &EngineOutput) -> usize {
    let EngineOutput::Link { event, .. } = output;
    EVENT_BYTES
        + match event {
            LinkEvent::Message(delivered, _) => delivered.message.payload.len(),
            LinkEvent::View(view) => view.members.len() * size_of::<usize>() * 4,
            _ => 0,
        }
}

#[cfg(test)]
mod deliveries_tests {
    use super::*;
    use spread_engine::LinkId;
    use spread_wire::ids::RequestNumber;
    use std::time::Duration;

    fn event(number: u64) -> LinkEvent {
        LinkEvent::Acknowledged { number: RequestNumber(number) }
    }

    fn take(from: &FromRing) -> Option<LinkEvent> {
        let EngineOutput::Link { event, .. } = from.waiting().front().cloned()?;
        from.taken(1);
        Some(event)
    }

    fn output(number: u64) -> EngineOutput {
        EngineOutput::Link { link: LinkId(1), event: event(number) }
    }

    #[test]
    fn events_come_in_order_and_count_until_they_are_taken() {
        let (to, from) = deliveries();
        let most = WAITING_BYTES / EVENT_BYTES;
        (0..=most as u64).for_each(|number| to.push(output(number)));
        assert!(to.congested(), "one more than may wait");
        assert_eq!(take(&from), Some(event(0)));
        assert!(!to.congested());
        from.slow(true);
        assert!(to.congested(), "clients read slowly");
        from.slow(false);
        for number in 1..=most as u64 {
            assert_eq!(take(&from), Some(event(number)));
        }
        assert_eq!((take(&from), from.0.bytes.get()), (None, 0));
        assert!(from.0.events.borrow().capacity() <= 2 * KEPT_EVENTS);
    }

    #[tokio::test]
    async fn whatever_waits_wakes_the_clients_side() {
        let (to, from) = deliveries();
        let wakes = async || tokio::time::timeout(Duration::ZERO, from.came()).await.is_ok();
        assert!(to.wake() && !wakes().await, "nothing waits");
        to.fill(|events| events.push_back(output(1)));
        assert!(!wakes().await, "it is told once for a turn of the ring's side");
        assert!(to.wake() && wakes().await, "put there before this turn");
        assert!(to.wake() && wakes().await, "left there by the clients' side");
        from.taken(1);
        assert!(to.wake() && !wakes().await);
    }

    #[tokio::test]
    async fn each_side_learns_of_the_others_end() {
        let (to, from) = deliveries();
        to.push(output(1));
        assert!(to.wake());
        from.came().await;
        drop(to);
        from.came().await;
        assert!(!from.is_over(), "what was delivered comes first");
        assert_eq!(take(&from), Some(event(1)));
        assert!(from.is_over());
        let (to, from) = deliveries();
        drop(from);
        assert!(!to.wake());
    }
}
