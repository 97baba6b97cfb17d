//! Delivered and refused messages (`client-protocol` sections 5 and 7).

use super::header::{Layout, fill_header, fill_name, put_header, put_name};
use crate::ids::PrivateName;
use crate::link::Multicast;
use crate::service::bits;
use bytes::Bytes;

/// Bytes of header and groups of a delivered message.
#[inline]
#[must_use]
pub fn delivered_head_bytes(message: &Multicast, layout: &Layout) -> usize {
    layout.header_bytes() + message.groups.len() * layout.name_bytes
}

/// Appends header and groups of a delivered message; the body follows as it was sent.
pub fn put_delivered_head(
    to: &mut Vec<u8>,
    sender: &PrivateName,
    message: &Multicast,
    layout: &Layout,
) {
    let (begin, width) = (to.len(), layout.name_bytes);
    to.resize(begin + delivered_head_bytes(message, layout), 0);
    let (header, names) = to[begin..].split_at_mut(layout.header_bytes());
    let word = message.service as u32 | message.extra_bits;
    let counts = (message.groups.len(), message.hint, message.payload.len());
    fill_header(header, word, &sender.0, counts, width);
    for (field, group) in names.chunks_exact_mut(width).zip(&message.groups) {
        fill_name(field, &group.0);
    }
}

/// A refused request, back to its sender. `request_bits` is what it asked in the words of a view: CAUSED_BY_JOIN,
/// CAUSED_BY_LEAVE, or the service.
#[must_use]
pub fn reject(
    sender: &PrivateName,
    request_bits: u32,
    message: &Multicast,
    layout: &Layout,
) -> Bytes {
    const GROUPS: usize = 100;
    let mut frame = Vec::new();
    let groups = (message.groups.len() + 1).min(GROUPS);
    let word = bits::REJECT | message.extra_bits & bits::SELF_DISCARD;
    put_header(&mut frame, word, &sender.0, (groups, message.hint, message.payload.len()), layout);
    let original = request_bits | message.extra_bits | bits::BYTE_ORDER;
    frame.extend_from_slice(&original.to_le_bytes());
    for group in message.groups.iter().take(groups - 1) {
        put_name(&mut frame, &group.0, layout.name_bytes);
    }
    put_name(&mut frame, &sender.0, layout.name_bytes);
    frame.extend_from_slice(&message.payload);
    frame.into()
}
