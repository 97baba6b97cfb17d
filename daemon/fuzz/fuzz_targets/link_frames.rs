//! Bytes of a link, from either side: read as what they would be written from, or refused.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use spread_wire::link::frame::Frame;
use spread_wire::link::{LinkEvent, ToEngine};

/// Bytes of a frame's body at most.
const MOST: usize = 1 << 16;

fn again(bytes: &[u8]) -> Frame {
    let frame = Frame::take(&mut BytesMut::from(bytes), MOST << 4);
    frame.ok().flatten().expect("what was written is a frame")
}

fuzz_target!(|input: &[u8]| {
    let mut input = BytesMut::from(input);
    while let Ok(Some(frame)) = Frame::take(&mut input, MOST) {
        if let Ok(said) = ToEngine::decode(frame.clone()) {
            assert_eq!(ToEngine::decode(again(&said.encode().concat())), Ok(said));
        }
        if let Ok(said) = LinkEvent::decode(frame) {
            assert_eq!(LinkEvent::decode(again(&said.encode().concat())), Ok(said));
        }
    }
});
