//! Queues that are emptied again and again.

use std::collections::VecDeque;

/// Takes the first of a queue. One that is empty then begins at the start of its memory again: it would go round in all the memory that it
/// ever needed else, and find none of it in the processor's cache.
pub fn take_first<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() {
        queue.clear();
    }
    first
}

#[cfg(test)]
mod queue_tests {
    use super::*;

    #[test]
    fn an_empty_queue_begins_at_the_start_of_its_memory_again() {
        let mut queue = VecDeque::with_capacity(8);
        queue.extend([1, 2]);
        let start = core::ptr::from_ref(&queue[0]);
        assert_eq!((take_first(&mut queue), take_first(&mut queue)), (Some(1), Some(2)));
        queue.push_back(3);
        assert_eq!(core::ptr::from_ref(&queue[0]), start);
        assert_eq!((take_first(&mut queue), take_first(&mut queue)), (Some(3), None));
    }
}
