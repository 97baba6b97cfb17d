//! Sessions that read slowly push back through the ring; one that does not read at all is ended, alone.

use super::ring::Ring;
use spread_client::{Connector, Error, Event, Receiver, Sender, Service};
use std::time::Duration;

const MESSAGES: usize = 3_000;
const BODY_BYTES: usize = 4_000;

async fn connect(address: &str, name: &str) -> (Sender, Receiver) {
    Connector::new(name).connect(address).await.expect("a session")
}

async fn wait_members(receiver: &mut Receiver, count: usize) {
    loop {
        let event = receiver.next().await.expect("the session lives").expect("more comes");
        if matches!(&event, Event::View(view) if view.members.len() == count) {
            return;
        }
    }
}

async fn send_all(sender: &Sender) {
    for number in 0..MESSAGES {
        let mut body = vec![b'.'; BODY_BYTES];
        body[..8].copy_from_slice(&(number as u64).to_le_bytes());
        sender.multicast(Service::Agreed, &["g"], 0, body).await.expect("a living session");
    }
}

/// Numbers of the messages that come, until all are there or the session ends.
async fn numbers(receiver: &mut Receiver, pause: Option<Duration>) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    while numbers.len() < MESSAGES {
        if let Some(Event::Message(message)) = receiver.next().await? {
            let number = message.payload[..8].try_into().map(u64::from_le_bytes);
            numbers.push(number.expect("eight bytes"));
            if let Some(pause) = pause
                && numbers.len() % 40 == 0
            {
                tokio::time::sleep(pause).await;
            }
        }
    }
    Ok(numbers)
}

fn small_queues(ring: &Ring, index: usize) -> String {
    ring.configuration(index) + "SessionQueueBytes = 65536\nSlowReaderTimeout = 1500\n"
}

#[tokio::test]
async fn a_slow_reader_on_another_daemon_gets_everything() {
    let ring = Ring::new(2);
    let daemons: Vec<_> =
        (0..2).map(|index| ring.start_from(index, &small_queues(&ring, index))).collect();
    daemons.iter().for_each(|daemon| daemon.wait_members(2));
    let (sender, _) = connect(&daemons[0].spread_name(), "sends").await;
    let (slow_sender, mut slow) = connect(&daemons[1].spread_name(), "slow").await;
    slow_sender.join("g").await.expect("joined");
    wait_members(&mut slow, 1).await;
    let (_, slow) = tokio::join!(send_all(&sender), async {
        numbers(&mut slow, Some(Duration::from_millis(20))).await
    });
    let slow = slow.expect("a session that reads is never ended");
    assert!(slow.iter().copied().eq(0..MESSAGES as u64), "all, in order");
}

#[tokio::test]
async fn a_session_that_does_not_read_is_ended_alone() {
    let ring = Ring::new(1);
    let daemon = ring.start_from(0, &small_queues(&ring, 0));
    daemon.wait_members(1);
    let (sender, _) = connect(&daemon.spread_name(), "sends").await;
    let (reads, mut reader) = connect(&daemon.spread_name(), "reads").await;
    let (stuck, mut never) = connect(&daemon.spread_name(), "stuck").await;
    reads.join("g").await.expect("joined");
    stuck.join("g").await.expect("joined");
    wait_members(&mut reader, 2).await;
    let (_, all) = tokio::join!(send_all(&sender), numbers(&mut reader, None));
    assert!(all.expect("reads on").iter().copied().eq(0..MESSAGES as u64));
    let lost = loop {
        match never.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it did not disconnect"),
            Err(error) => break error,
        }
    };
    assert!(matches!(lost, Error::Lost(_)), "{lost}");
}

/// Queues fill and empty all the time here: a writer that stops when it finds its queue written by others shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_at_the_edge_of_its_socket_buffer_gets_everything() {
    const WINDOW: usize = 800;
    const ALL: usize = 60_000;
    let ring = Ring::new(1);
    let daemon = ring.start(0);
    daemon.wait_members(1);
    let socket = ring.path("sockets0").join("4803").display().to_string();
    let (sender, mut receiver) = connect(&socket, "edge").await;
    let window = std::sync::Arc::new(tokio::sync::Semaphore::new(WINDOW));
    let (me, permits) = ([sender.name().clone()], window.clone());
    let sending = tokio::spawn(async move {
        for _ in 0..ALL {
            permits.acquire().await.expect("open").forget();
            sender.multicast(Service::Safe, &me, 0, [b'.'; 1350]).await.expect("sent");
        }
        sender
    });
    let mut count = 0;
    while count < ALL {
        let event = tokio::time::timeout(Duration::from_secs(10), receiver.next()).await;
        let event = event.unwrap_or_else(|_| panic!("{count} of {ALL} came"));
        if let Some(Event::Message(_)) = event.expect("the session lives") {
            count += 1;
            window.add_permits(1);
        }
    }
    sending.await.expect("all was sent");
}

/// A join is a few bytes on the ring and a view of the whole group to who watches it: many joins at once must not end a
/// session that reads.
#[tokio::test]
async fn a_session_that_watches_many_joins_at_once_gets_all_views() {
    const JOINS: usize = 900;
    let ring = Ring::new(1);
    let daemon = ring.start_from(0, &(ring.configuration(0) + "SessionQueueBytes = 65536\n"));
    daemon.wait_members(1);
    let socket = ring.path("sockets0").join("4803").display().to_string();
    let (watches, mut views) = connect(&socket, "watches").await;
    watches.join("g").await.expect("joined");
    wait_members(&mut views, 1).await;
    let mut sessions = Vec::new();
    for number in 0..JOINS {
        let connector = Connector::new(format!("j{number}")).membership(false);
        sessions.push(connector.connect(&socket).await.expect("a session"));
    }
    for (sender, _) in &sessions {
        sender.join("g").await.expect("joined");
    }
    // Slowly at first: it always reads, and never keeps up.
    for members in 2..=JOINS + 1 {
        let event = views.next().await.expect("a session that reads is never ended");
        let Some(Event::View(view)) = event else { panic!("{event:?} is no view") };
        assert_eq!(view.members.len(), members, "each join is one view");
        if members < 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
