//! Large messages go in parts: they come whole, each in its session's order, and nothing of them is lost when the daemon leaves.

use super::ring::Ring;
use spread_client::{Connector, Event, Receiver, Sender, Service};
use std::time::Duration;

const LARGE_BYTES: usize = 6 << 20;
const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(address: &str, name: &str) -> (Sender, Receiver) {
    let connector = Connector::new(name).membership(false).message_bytes(2 * LARGE_BYTES);
    connector.connect(address).await.expect("a session")
}

/// A row that has no period of a part's length.
fn large(number: u8) -> Vec<u8> {
    let row: Vec<u8> = (0..LARGE_BYTES.div_ceil(997)).flat_map(|row| [row as u8; 997]).collect();
    [&[number], &row[1..LARGE_BYTES]].concat()
}

/// The first bytes of what comes, until so many large messages have; each of these is as it was sent.
async fn read_until(receiver: &mut Receiver, larges: u8) -> Vec<u8> {
    let (mut firsts, mut count) = (Vec::new(), 0);
    while count < larges {
        let event = receiver.next().await.expect("the session lives").expect("more comes");
        let Event::Message(message) = event else { continue };
        firsts.push(message.payload[0]);
        if message.payload.len() == LARGE_BYTES {
            assert!(message.payload == large(message.payload[0]), "another payload");
            count += 1;
        }
    }
    firsts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_come_whole_and_in_order_beside_small_ones() {
    let ring = Ring::new(2);
    let daemons = ring.start_all();
    let (large_sender, _) = connect(&daemons[0].spread_name(), "large").await;
    let (small_sender, mut own) = connect(&daemons[0].spread_name(), "small").await;
    let (reader, mut receiver) = connect(&daemons[1].spread_name(), "reads").await;
    reader.join("g").await.expect("joined");
    small_sender.join("h").await.expect("joined");
    small_sender.multicast(Service::Agreed, &["h"], 0, "joined").await.expect("sent");
    own.next().await.expect("the session lives");
    let sending = tokio::spawn(async move {
        large_sender.multicast(Service::Safe, &["g"], 0, large(1)).await.expect("sent");
        large_sender.multicast(Service::Agreed, &["g"], 0, [2; 10]).await.expect("sent");
        large_sender.multicast(Service::Agreed, &["g"], 0, large(3)).await.expect("sent");
    });
    let small = tokio::spawn(async move {
        for _ in 0..2000 {
            small_sender.multicast(Service::Agreed, &["g", "h"], 0, [9]).await.expect("sent");
            own.next().await.expect("the session lives");
        }
    });
    let firsts = tokio::time::timeout(PATIENCE, read_until(&mut receiver, 2)).await;
    let firsts = firsts.expect("all comes");
    let of_large: Vec<u8> = firsts.iter().copied().filter(|first| *first != 9).collect();
    assert_eq!(of_large, [1, 2, 3], "a session's messages come in its order");
    sending.await.expect("all was sent");
    small.await.expect("all was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_leaves_has_sent_what_its_clients_sent_before() {
    let ring = Ring::new(2);
    let mut daemons = ring.start_all();
    let (reader, mut receiver) = connect(&daemons[1].spread_name(), "reads").await;
    reader.join("g").await.expect("joined");
    // Its own message comes back: it is a member.
    reader.multicast(Service::Agreed, &["g"], 0, [0]).await.expect("sent");
    receiver.next().await.expect("the session lives");
    for number in 1..=3 {
        let name = format!("large{number}");
        let (sender, _receiver) = connect(&daemons[0].spread_name(), &name).await;
        sender.multicast(Service::Agreed, &["g"], 0, large(number)).await.expect("sent");
        sender.disconnect().await.expect("all is in the socket");
    }
    daemons[0].signal("-TERM");
    let firsts = tokio::time::timeout(PATIENCE, read_until(&mut receiver, 3)).await;
    let mut firsts = firsts.expect("all comes");
    firsts.sort_unstable();
    assert_eq!(firsts, [1, 2, 3]);
    assert!(daemons[0].ended().success());
}
