//! An endpoint in a process of its own that goes from one component to another.

use crate::client::{World, settings, somewhere};
use spread_front::{ConnectionId, FrontSettings};
use spread_wire::ids::{EndpointUid, Epoch, RequestNumber};
use spread_wire::link::LinkEvent;

/// The component that it came to may order for the first time what the one it left had ordered too.
#[test]
fn what_an_endpoint_has_seen_of_another_does_not_come_again() {
    for reattaches in [true, false] {
        let mut world = World::new(FrontSettings { reattaches, ..settings() });
        let (epoch, last) = (Epoch(1), RequestNumber(0));
        let sessions = [].into();
        world.event(LinkEvent::Attached { epoch, last, sessions, position: somewhere() });
        let session = world.open(1, "a");
        let (one, other) = (EndpointUid(20), EndpointUid(21));
        let messages = [
            (one, Some(4), true),
            (other, Some(4), true),
            (one, Some(5), true),
            // In the other component.
            (one, Some(4), false),
            (one, Some(5), false),
            (one, Some(6), true),
            (other, Some(5), true),
            (one, None, true),
            (one, None, true),
        ];
        for (sender, number, news) in messages {
            world.deliver_of(session, b"x", sender, number);
            let came = !world.take_written(1).is_empty();
            // Endpoints that are built in never leave their component: nothing comes twice there.
            assert_eq!(came, news || !reattaches, "{sender:?} {number:?}");
        }
    }
}

/// More endpoints than are remembered: whoever still sends is not forgotten for those that sent once.
#[test]
fn an_endpoint_that_goes_on_sending_is_remembered() {
    const MANY: u128 = 6000;
    let mut world = World::new(FrontSettings { reattaches: true, ..settings() });
    let (epoch, last) = (Epoch(1), RequestNumber(0));
    let sessions = [].into();
    world.event(LinkEvent::Attached { epoch, last, sessions, position: somewhere() });
    let session = world.open(1, "a");
    // Lowest of all uids: it would be the first to go if that counted.
    let steady = EndpointUid(1);
    for other in 0..MANY {
        world.deliver_of(session, b"x", steady, Some(other as u64 + 1));
        world.deliver_of(session, b"x", EndpointUid(100 + other), Some(1));
        world.front.written(world.now, ConnectionId(1), usize::MAX);
    }
    world.take_written(1);
    world.deliver_of(session, b"x", steady, Some(MANY as u64));
    assert!(world.take_written(1).is_empty(), "it came before");
}
