//! 32_queue_overflow: how many messages fit before the slow session is dropped is not determined, the rest is.

use super::daemons::{Daemons, Family};
use super::replay::compare;
use super::vector::{Vector, bytes, id_offset, masked};
use serde_json::Value;

/// Kernel buffers on both sides are full long before so many messages of 50 kB.
const MOST: usize = 2000;

/// Floods until the session that does not read is dropped.
pub(crate) fn replay(name: &str) {
    let vector = Vector::load(name);
    let daemons = Daemons::start(&vector, Family::V4);
    let steps = vector.steps();
    let of = |client: u64, dir: &str, kind: &str| -> Vec<&Value> {
        let fits =
            |step: &&Value| step["client"] == client && step["dir"] == dir && step["kind"] == kind;
        steps.iter().filter(fits).collect()
    };
    let mut clients: Vec<_> = (0..2_u64)
        .map(|index| {
            let mut client = daemons.connect("d1", false);
            for kind in ["connect", "auth_choice"] {
                client.send(&bytes(of(index, "c2d", kind)[0]));
                let answer = if kind == "connect" { "auth_list" } else { "accept" };
                let expected = bytes(of(index, "d2c", answer)[0]);
                compare(&expected, &client.receive(expected.len()).expect("an answer"), &[])
                    .expect("the handshake");
            }
            client.send(&bytes(of(index, "c2d", "message")[0]));
            // The join's view, before the other comes.
            let view = of(index, "d2c", "message")[0];
            let expected = bytes(view);
            compare(&expected, &client.receive(expected.len()).expect("a view"), &masked(view))
                .expect("the view");
            client
        })
        .collect();
    let second_view = bytes(of(0, "d2c", "message")[1]);
    clients[0].receive(second_view.len()).expect("the second join");

    let flood = bytes(of(0, "c2d", "message")[1]);
    let gone = of(0, "d2c", "message")
        .into_iter()
        .find(|step| step["gid"] == "g:3")
        .expect("the disconnect is recorded");
    let expected = bytes(gone);
    let mut sent = 0;
    loop {
        assert!(sent < MOST, "the slow session was never dropped");
        clients[0].send(&flood);
        sent += 1;
        let head = clients[0].receive(48).expect("an echo or the disconnect");
        if head[..4] == expected[..4] {
            let rest = clients[0].receive(expected.len() - 48).expect("the rest of the view");
            let view = [head, rest].concat();
            compare(&expected, &view, &masked(gone)).expect("the view of the disconnect");
            assert_ne!(
                view[id_offset(&view)..][..12],
                second_view[id_offset(&second_view)..][..12]
            );
            break;
        }
        clients[0].receive(flood.len() - 48).expect("the rest of the echo");
    }
    // The slow client finds whole messages and then a stream that ends anywhere.
    let rest = clients[1].receive_all().expect("the stream ends");
    assert!(rest.len() < sent * flood.len(), "the slow session got everything");
    for message in rest.chunks(flood.len()).filter(|message| message.len() == flood.len()) {
        assert_eq!(message, &flood[..], "a whole message as it was sent");
    }
}
