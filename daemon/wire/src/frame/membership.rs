//! Membership messages (`client-protocol` section 6).

use super::header::{Layout, OWN_HINT, put_header, put_name};
use crate::ids::{GroupId, GroupName};
use crate::link::{Cause, View};
use crate::service::bits;
use bytes::Bytes;
use spread_bugs::{Bug, planted};

/// A view as the members of its `own`-th vs-set get it.
#[must_use]
pub fn view(view: &View, own: u32, layout: &Layout) -> Bytes {
    let single;
    let (cause, sets): (u32, &[Vec<_>]) = match &view.cause {
        Cause::Network => (bits::CAUSED_BY_NETWORK, &view.vs_sets),
        Cause::Join(member) => {
            single = [vec![member.clone()]];
            (bits::CAUSED_BY_JOIN, &single)
        }
        Cause::Leave(member) => {
            single = [vec![member.clone()]];
            (bits::CAUSED_BY_LEAVE, &single)
        }
        Cause::Disconnect(member) => {
            single = [vec![member.clone()]];
            (bits::CAUSED_BY_DISCONNECT, &single)
        }
    };
    let width = layout.name_bytes;
    let set_bytes = |set: &Vec<_>| 4 + set.len() * width;
    let body: usize = 20 + sets.iter().map(set_bytes).sum::<usize>();
    let mut offset: usize = sets.iter().take(own as usize).map(set_bytes).sum();
    if planted(Bug::OffsetWithoutCounts) {
        offset -= 4 * own as usize;
    }
    let mut frame = Vec::with_capacity(layout.header_bytes() + view.members.len() * width + body);
    let counts = (view.members.len(), OWN_HINT, body);
    put_header(&mut frame, bits::REG_MEMB | cause, &view.group.0, counts, layout);
    for member in &view.members {
        put_name(&mut frame, &member.0, width);
    }
    frame.extend_from_slice(&view.id.0);
    frame.extend_from_slice(&(sets.len() as u32).to_le_bytes());
    frame.extend_from_slice(&(offset as u32).to_le_bytes());
    for set in sets {
        frame.extend_from_slice(&(set.len() as u32).to_le_bytes());
        for member in set {
            put_name(&mut frame, &member.0, width);
        }
    }
    frame.into()
}

/// The transitional signal.
#[must_use]
pub fn transition(group: &GroupName, id: &GroupId, layout: &Layout) -> Bytes {
    let mut frame = Vec::new();
    put_header(&mut frame, bits::TRANSITION, &group.0, (0, OWN_HINT, id.0.len()), layout);
    frame.extend_from_slice(&id.0);
    frame.into()
}

/// What a session gets whose leave took effect.
#[must_use]
pub fn self_leave(group: &GroupName, layout: &Layout) -> Bytes {
    let mut frame = Vec::new();
    put_header(&mut frame, bits::CAUSED_BY_LEAVE, &group.0, (0, OWN_HINT, 0), layout);
    frame.into()
}
