//! The project's own client library against a real daemon.

use super::ring::Ring;
use spread_client::{Cause, Connector, Error, Event, Receiver, Refusal, Service, View};
use std::time::Duration;

async fn next(receiver: &mut Receiver) -> Event {
    receiver.next().await.expect("the session lives").expect("more comes")
}

async fn view(receiver: &mut Receiver) -> View {
    match next(receiver).await {
        Event::View(view) => view,
        other => panic!("a view was due, not {other:?}"),
    }
}

async fn text(receiver: &mut Receiver) -> String {
    match next(receiver).await {
        Event::Message(message) => {
            format!("{} {}", message.sender, String::from_utf8_lossy(&message.payload))
        }
        other => panic!("a message was due, not {other:?}"),
    }
}

#[tokio::test]
async fn sessions_join_talk_leave_and_disconnect() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let (alice, mut to_alice) =
        Connector::new("alice").connect(&daemon.spread_name()).await.expect("in");
    alice.join("g").await.expect("asked");
    let first = view(&mut to_alice).await;
    assert_eq!(first.cause, Cause::Join(alice.name().clone()));
    assert_eq!(first.members, [alice.name().clone()]);

    // One of the two reads as the original's library does.
    let bob = Connector::new("bob").piecewise(true);
    let (bob, mut to_bob) = bob.connect(&daemon.spread_name()).await.expect("in");
    bob.join("g").await.expect("asked");
    let (seen, own) = (view(&mut to_alice).await, view(&mut to_bob).await);
    assert_eq!((seen.id, &seen.members), (own.id, &own.members));
    assert_ne!(seen.id, first.id);
    assert_eq!(seen.vs_set, [alice.name().clone()], "who was there saw the same before");

    alice.multicast_to_others(Service::Safe, &["g"], 7, "to others").await.expect("sent");
    bob.multicast(Service::Agreed, &["g", "g"], 0, "to all").await.expect("sent");
    bob.multicast(Service::Fifo, &[alice.name()], 0, "to alice").await.expect("sent");
    assert_eq!(text(&mut to_bob).await, "#alice#d0 to others");
    assert_eq!(text(&mut to_bob).await, "#bob#d0 to all");
    assert_eq!(text(&mut to_alice).await, "#bob#d0 to all");
    assert_eq!(text(&mut to_alice).await, "#bob#d0 to alice");

    bob.leave("g").await.expect("asked");
    assert!(matches!(next(&mut to_bob).await, Event::SelfLeave(group) if group == "g"));
    assert_eq!(view(&mut to_alice).await.cause, Cause::Leave(bob.name().clone()));
    bob.join("g").await.expect("asked");
    let (_, _) = (view(&mut to_bob).await, view(&mut to_alice).await);
    let name = bob.name().clone();
    bob.disconnect().await.expect("asked");
    assert!(to_bob.next().await.expect("an orderly end").is_none());
    assert_eq!(view(&mut to_alice).await.cause, Cause::Disconnect(name));
}

#[tokio::test]
async fn an_await_that_is_dropped_loses_nothing() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let (sender, mut receiver) =
        Connector::new("c").connect(&daemon.spread_name()).await.expect("in");
    let sending = sender.clone();
    let task = tokio::spawn(async move {
        for number in 0..500 {
            let me = [sending.name().clone()];
            sending.multicast(Service::Agreed, &me, 0, format!("{number}")).await.expect("sent");
        }
    });
    let mut expected = 0;
    while expected < 500 {
        let wait = Duration::from_micros(expected % 7 * 20);
        let Ok(event) = tokio::time::timeout(wait, receiver.next()).await else { continue };
        let Some(Event::Message(message)) = event.expect("lives") else { panic!("a message") };
        assert_eq!(message.payload, format!("{expected}"));
        expected += 1;
    }
    task.await.expect("all was sent");
}

#[tokio::test]
async fn refusals_and_wrong_calls_say_what_is_wrong() {
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let address = daemon.spread_name();
    let (sender, mut receiver) = Connector::new("taken").connect(&address).await.expect("in");
    let second = Connector::new("taken").connect(&address).await;
    assert!(matches!(second, Err(Error::Refused(Refusal::NotUnique))));
    let illegal = Connector::new("a b").connect(&address).await;
    assert!(matches!(illegal, Err(Error::Refused(Refusal::IllegalName))));
    let nobody = Connector::new("x").connect("1@127.0.0.1").await;
    assert!(matches!(nobody, Err(Error::Connect { .. })));
    assert!(matches!(sender.join("no blanks").await, Err(Error::IllegalGroup(_))));
    let many: Vec<String> = (0..101).map(|number| format!("g{number}")).collect();
    let sent = sender.multicast(Service::Agreed, &many, 0, "x").await;
    assert!(matches!(sent, Err(Error::TooManyGroups(101))));
    let large = sender.multicast(Service::Agreed, &["g"], 0, vec![0; 144_000]).await;
    assert!(matches!(large, Err(Error::TooLarge { .. })));
    // None of these ended the session.
    let me = [sender.name().clone()];
    sender.multicast(Service::Agreed, &me, -5, "still here").await.expect("sent");
    let Event::Message(message) = next(&mut receiver).await else { panic!("a message") };
    assert_eq!(message.mess_type, -5);
}
