//! Which object is looked at next. Each is here once; edits go first, all others in the order in which they came. So
//! nothing waits for longer than those before it take, however much there is to do.
//!
//! It has no clock: whoever uses it says what time it is.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// What happens to one object within so long makes one pass, unless it is an edit.
pub const DEBOUNCE: Duration = Duration::from_millis(20);
/// After so many edits in a row one of the others has its turn.
const EDITS_IN_A_ROW: u32 = 8;

/// Why an object is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Something about it changed, or it was a while.
    Usual,
    /// The user asks for something else.
    Edit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a row; the number is that of its valid place.
    Waits(Urgency, u64),
    /// Later.
    Due(Instant, u64),
    /// A pass is under way; whether another one has to follow.
    Runs(Option<Urgency>),
}

/// Objects that are to be looked at.
#[derive(Debug)]
pub struct Queue<K> {
    states: HashMap<K, State>,
    edits: VecDeque<(u64, K)>,
    usual: VecDeque<(u64, K)>,
    due: BTreeMap<(Instant, u64), K>,
    places: u64,
    edits_in_a_row: u32,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self {
            states: HashMap::new(),
            edits: VecDeque::new(),
            usual: VecDeque::new(),
            due: BTreeMap::new(),
            places: 0,
            edits_in_a_row: 0,
        }
    }
}

impl<K: Clone + Eq + Hash> Queue<K> {
    /// Something happened to an object.
    pub fn add(&mut self, key: K, urgency: Urgency, now: Instant) {
        match self.states.get(&key).copied() {
            Some(State::Runs(again)) => {
                self.states.insert(key, State::Runs(again.max(Some(urgency))));
            }
            Some(State::Waits(waits, _)) if waits >= urgency => {}
            Some(State::Due(at, place)) if urgency == Urgency::Edit || at > now + DEBOUNCE => {
                self.due.remove(&(at, place));
                self.enter(key, urgency, now);
            }
            Some(State::Due(..)) => {}
            Some(State::Waits(..)) | None => self.enter(key, urgency, now),
        }
    }

    fn enter(&mut self, key: K, urgency: Urgency, now: Instant) {
        match urgency {
            Urgency::Edit => self.wait(key, urgency),
            Urgency::Usual => self.later(key, now + DEBOUNCE),
        }
    }

    fn place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    fn wait(&mut self, key: K, urgency: Urgency) {
        let place = self.place();
        self.states.insert(key.clone(), State::Waits(urgency, place));
        match urgency {
            Urgency::Edit => self.edits.push_back((place, key)),
            Urgency::Usual => self.usual.push_back((place, key)),
        }
    }

    fn later(&mut self, key: K, at: Instant) {
        let place = self.place();
        self.states.insert(key.clone(), State::Due(at, place));
        self.due.insert((at, place), key);
    }

    /// The next object, whose pass begins now. None: nothing is to be done before [`Queue::next_due`].
    pub fn take(&mut self, now: Instant) -> Option<K> {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.remove();
            self.wait(key, Urgency::Usual);
        }
        let others_first = self.edits_in_a_row >= EDITS_IN_A_ROW;
        let order = if others_first {
            [Urgency::Usual, Urgency::Edit]
        } else {
            [Urgency::Edit, Urgency::Usual]
        };
        for urgency in order {
            if let Some(key) = self.pop(urgency) {
                let edit = urgency == Urgency::Edit;
                self.edits_in_a_row = if edit { self.edits_in_a_row.saturating_add(1) } else { 0 };
                self.states.insert(key.clone(), State::Runs(None));
                return Some(key);
            }
        }
        None
    }

    /// The first of a row whose place is still valid: one that became urgent has another.
    fn pop(&mut self, urgency: Urgency) -> Option<K> {
        loop {
            let row = match urgency {
                Urgency::Edit => &mut self.edits,
                Urgency::Usual => &mut self.usual,
            };
            let (place, key) = row.pop_front()?;
            if self.states.get(&key) == Some(&State::Waits(urgency, place)) {
                return Some(key);
            }
        }
    }

    /// A pass has ended; the next one is due at that time, or when something happens.
    pub fn done(&mut self, key: K, next: Option<Instant>, now: Instant) {
        let state = self.states.remove(&key);
        match (state, next) {
            (Some(State::Runs(Some(urgency))), _) => self.enter(key, urgency, now),
            (Some(State::Runs(None)), Some(at)) => self.later(key, at),
            _ => {}
        }
    }

    /// When the next object is due that does not wait already.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::{DEBOUNCE, EDITS_IN_A_ROW, Queue, Urgency};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{Duration, Instant};

    #[test]
    fn an_edit_goes_first_and_at_once() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for key in 0..5 {
            queue.add(key, Urgency::Usual, now);
        }
        assert_eq!(queue.take(now), None, "what happens together makes one pass");
        queue.add(3, Urgency::Edit, now);
        assert_eq!(queue.take(now), Some(3));
        let later = now + DEBOUNCE;
        assert_eq!(queue.next_due(), Some(later));
        let rest: Vec<i32> = std::iter::from_fn(|| queue.take(later)).collect();
        assert_eq!(rest, [0, 1, 2, 4]);
    }

    #[test]
    fn what_happens_during_a_pass_makes_another_one_after_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add("a", Urgency::Edit, now);
        assert_eq!(queue.take(now), Some("a"));
        queue.add("a", Urgency::Edit, now);
        assert_eq!(queue.take(now), None, "never two passes over one object");
        queue.done("a", Some(now + Duration::from_secs(30)), now);
        assert_eq!(queue.take(now), Some("a"));
        queue.done("a", Some(now + Duration::from_secs(30)), now);
        assert_eq!(queue.take(now), None);
        // What is planned for later is brought forward, never put off.
        queue.add("a", Urgency::Usual, now);
        queue.add("a", Urgency::Usual, now + DEBOUNCE / 2);
        assert_eq!(queue.next_due(), Some(now + DEBOUNCE));
        assert_eq!(queue.take(now + DEBOUNCE), Some("a"));
        queue.done("a", None, now);
        assert_eq!((queue.take(now), queue.next_due()), (None, None));
    }

    /// More to do than can be done: each object is asked for again the moment that its pass ends. A set of waiting
    /// objects from which any may be taken leaves some of them for ever.
    #[test]
    fn nobody_starves_when_there_is_more_to_do_than_can_be_done() {
        let (mut queue, mut now) = (Queue::default(), Instant::now());
        let objects = 1000;
        (0..objects).for_each(|key| queue.add(key, Urgency::Usual, now));
        now += DEBOUNCE;
        let (mut last, mut longest) = (BTreeMap::new(), 0);
        for turn in 0..20 * objects {
            now += Duration::from_millis(1);
            let key = queue.take(now).unwrap();
            longest = longest.max(turn - last.insert(key, turn).unwrap_or_default());
            queue.done(key, Some(now), now);
        }
        assert_eq!(last.len(), objects as usize);
        assert!(
            longest <= objects + DEBOUNCE.as_millis() as i32,
            "one waited for {longest} passes"
        );
    }

    #[test]
    fn edits_that_never_end_leave_turns_for_the_others() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.add(0, Urgency::Usual, now);
        let now = now + DEBOUNCE;
        let mut turns = 0;
        loop {
            queue.add(1, Urgency::Edit, now);
            let key = queue.take(now).unwrap();
            if key == 0 {
                break;
            }
            queue.done(key, None, now);
            turns += 1;
        }
        assert_eq!(turns, EDITS_IN_A_ROW);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, bool),
        Take,
        Done(u8, Option<u8>),
        Wait(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6_u8, any::<bool>()).prop_map(|(key, edit)| Step::Add(key, edit)),
            Just(Step::Take),
            (0..6_u8, proptest::option::of(0..50_u8)).prop_map(|(key, next)| Step::Done(key, next)),
            (1..40_u8).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever happens: never two passes over one object, and all that was asked for is done in the end.
        #[test]
        fn nothing_is_lost_or_doubled(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut queue, mut now) = (Queue::default(), Instant::now());
            let (mut running, mut owed) = (BTreeSet::new(), BTreeSet::new());
            for step in steps {
                match step {
                    Step::Add(key, edit) => {
                        let urgency = if edit { Urgency::Edit } else { Urgency::Usual };
                        queue.add(key, urgency, now);
                        owed.insert(key);
                    }
                    Step::Take => {
                        if let Some(key) = queue.take(now) {
                            prop_assert!(running.insert(key));
                            owed.remove(&key);
                        }
                    }
                    Step::Done(key, next) => {
                        if running.remove(&key) {
                            let next = next.map(|millis| now + Duration::from_millis(millis.into()));
                            queue.done(key, next, now);
                        }
                    }
                    Step::Wait(millis) => now += Duration::from_millis(millis.into()),
                }
            }
            for key in std::mem::take(&mut running) {
                queue.done(key, None, now);
            }
            now += Duration::from_secs(1);
            while let Some(key) = queue.take(now) {
                owed.remove(&key);
                queue.done(key, None, now);
                now += DEBOUNCE;
            }
            prop_assert!(owed.is_empty(), "{:?} were never looked at", owed);
            prop_assert!(queue.states.is_empty() && queue.next_due().is_none());
        }
    }
}
