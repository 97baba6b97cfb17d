//! Any packet is read as what it would be written from, or refused.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use spread_wire::ordered::{self, table::Table};
use spread_wire::packet::Packet;

fuzz_target!(|input: &[u8]| {
    let bytes = Bytes::copy_from_slice(input);
    if let Ok(packet) = Packet::decode(bytes.clone()) {
        assert_eq!(Packet::decode(packet.encode()), Ok(packet));
    }
    let _ = ordered::decode(bytes.clone());
    if let Ok(table) = Table::decode(bytes) {
        assert_eq!(Table::decode(table.encode()), Ok(table));
    }
});
