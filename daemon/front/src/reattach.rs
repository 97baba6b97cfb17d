//! An endpoint whose daemon or link was lost attaches at another one.
//!
//! To its sessions that is a cut and a merge: they get the transitional signal with the id of the view
//! that they have, confirmations of what was ordered meanwhile, and with the attach the views of the
//! merge. What was not ordered is sent again, in its old order under its old numbers.
//!
//! Two that come from one component to another may have seen there what this one has ordered for the first time, because
//! its sender too is one of those that came. So an endpoint keeps which requests of others it has seen.

use crate::front::{Front, FrontOutput, Held};
use crate::seen::Seen;
use spread_bugs::{Bug, planted};
use spread_wire::frame;
use spread_wire::ids::{Epoch, GroupId, GroupName, Position, RequestNumber, SessionId};
use spread_wire::link::{Attach, Delivered, LinkEvent, RequestBody, View};
use spread_wire::time::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// What an endpoint has to remember to attach again.
#[derive(Debug, Default)]
pub(crate) struct Reattach {
    epoch: Epoch,
    /// It was attached before.
    known: bool,
    /// It is attached now: requests may go.
    attached: bool,
    /// Last place of the order that it has seen.
    position: Option<Position>,
    /// Highest of its requests whose effects it has seen.
    applied: RequestNumber,
    /// What its sessions with the membership flag were told of their groups.
    told: BTreeMap<GroupName, Told>,
    /// What it saw of endpoints in other processes.
    seen: Seen,
}

/// A group as sessions know it.
#[derive(Debug)]
struct Told {
    id: GroupId,
    /// They got the transitional signal, and no view since.
    signalled: bool,
    sessions: BTreeSet<SessionId>,
}

impl Reattach {
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.told.retain(|_, told| {
            told.sessions.remove(&session);
            !told.sessions.is_empty()
        });
    }

    fn view(&mut self, view: &View) {
        for (session, _) in &view.receivers {
            // Only the confirmation of a leave has no members.
            if view.members.is_empty() {
                self.leave(&view.group, *session);
                continue;
            }
            let told = self.told.entry(view.group.clone()).or_insert_with(|| Told {
                id: view.id,
                signalled: false,
                sessions: BTreeSet::new(),
            });
            told.sessions.insert(*session);
            (told.id, told.signalled) = (view.id, false);
        }
    }

    /// Whether the session was told that it is in the group.
    fn leave(&mut self, group: &GroupName, session: SessionId) -> bool {
        let Some(told) = self.told.get_mut(group) else { return false };
        let was = told.sessions.remove(&session);
        if told.sessions.is_empty() {
            self.told.remove(group);
        }
        was
    }
}

impl Front {
    /// What the endpoint has to say to attach at an engine; its epoch rises.
    pub fn reattach(&mut self) -> Attach {
        let next = self.next_number();
        let state = &mut self.reattach;
        state.epoch.0 += 1;
        Attach {
            uid: self.settings.uid,
            name: self.settings.name.clone(),
            epoch: state.epoch,
            position: state.position.filter(|_| state.known),
            applied: state.applied,
            lowest_held: self.requests.front().map_or(next, |request| request.number),
        }
    }

    /// The link ended, or the engine serves the endpoint no longer: requests wait for the next attach.
    pub fn link_ended(&mut self) {
        self.reattach.attached = false;
    }

    /// Whether requests can be handed over now; those that can't go all together after the next attach.
    pub(crate) fn may_request(&self) -> bool {
        self.reattach.attached || !self.settings.reattaches
    }

    /// Remembers what it takes to attach again.
    pub(crate) fn note_event(&mut self, event: &LinkEvent) {
        if !self.settings.reattaches {
            return;
        }
        let state = &mut self.reattach;
        match event {
            LinkEvent::Applied { number, position } => {
                (state.applied, state.position) = (*number, Some(*position));
            }
            LinkEvent::Message(delivered, _) => state.position = Some(delivered.position),
            LinkEvent::View(view) => {
                state.position = Some(view.position);
                state.view(view);
            }
            LinkEvent::Transition { group, position, .. } => {
                state.position = Some(*position);
                if let Some(told) = state.told.get_mut(group) {
                    told.signalled = true;
                }
            }
            LinkEvent::Attached { position, .. } => state.position = Some(*position),
            _ => {}
        }
    }

    /// Whether the endpoint has not seen this message, nor a later one of its sender: then it does not come any more.
    pub(crate) fn is_news(&mut self, delivered: &Delivered) -> bool {
        let (true, Some(number)) = (self.settings.reattaches, delivered.number) else {
            return true;
        };
        let news = self.reattach.seen.note(delivered.sender_session.0, number);
        news || planted(Bug::SeenTwice)
    }

    /// The engine serves the endpoint from here on.
    pub(crate) fn attached(
        &mut self,
        now: Instant,
        epoch: Epoch,
        last: RequestNumber,
        sessions: &[SessionId],
    ) {
        self.reattach.epoch = self.reattach.epoch.max(epoch);
        if core::mem::replace(&mut self.reattach.known, true) {
            if !planted(Bug::CutNotTold) {
                self.cut_off(now);
            }
            if !planted(Bug::NotCaughtUp) {
                self.catch_up(now, last);
            }
            self.end_refused(last, sessions);
        }
        self.reattach.applied = self.reattach.applied.max(last);
        self.parts_left(last);
        self.acknowledged(last);
        self.reattach.attached = true;
        self.outputs
            .extend(self.requests.iter().filter_map(Held::request).map(FrontOutput::Request));
    }

    /// The sessions' groups have lost everybody else.
    fn cut_off(&mut self, now: Instant) {
        let mut signals = Vec::new();
        for (group, told) in &mut self.reattach.told {
            if !core::mem::replace(&mut told.signalled, true) {
                let frame = frame::transition(group, &told.id, &self.settings.layout);
                signals.extend(told.sessions.iter().map(|session| (*session, frame.clone())));
            }
        }
        for (session, frame) in signals {
            self.queue(now, session, &[frame], 1);
        }
    }

    /// Does what the lost daemon did not tell any more: the effects of requests that were ordered.
    fn catch_up(&mut self, now: Instant, last: RequestNumber) {
        let applied = self.reattach.applied;
        let ordered = self.requests.iter().filter(|r| r.number > applied && r.number <= last);
        let bodies = ordered.filter_map(|request| request.again.as_ref());
        let message = |body: &&RequestBody| {
            use RequestBody::{Multicast, Part, Rest};
            matches!(body, Multicast { .. } | Part { .. } | Rest { .. })
        };
        let small = bodies.filter(|body| !message(body));
        let bodies: Vec<RequestBody> = small.cloned().collect();
        let mut joined = BTreeSet::new();
        for body in bodies {
            match body {
                RequestBody::Open { session, .. } => self.opened(now, session),
                RequestBody::Close { session, .. } => self.forget(session),
                RequestBody::Join { session, group } => drop(joined.insert((session, group))),
                RequestBody::Leave { session, group } => {
                    let was = self.reattach.leave(&group, session);
                    let informed = self.sessions.get(&session).is_some_and(|s| s.membership);
                    if joined.remove(&(session, group.clone())) && informed || was {
                        let frame = frame::self_leave(&group, &self.settings.layout);
                        self.queue(now, session, &[frame], 1);
                    }
                }
                RequestBody::Multicast { .. }
                | RequestBody::Part { .. }
                | RequestBody::Rest { .. } => {}
            }
        }
    }

    /// Ends sessions whose opening was ordered and that are not open: another has their name.
    fn end_refused(&mut self, last: RequestNumber, open: &[SessionId]) {
        let mut known: BTreeSet<SessionId> = self.sessions.keys().copied().collect();
        for session in open {
            known.remove(session);
        }
        for request in self.requests.iter().filter(|request| request.number > last) {
            if let Some(RequestBody::Open { session, .. }) = &request.again {
                known.remove(session);
            }
        }
        for session in known {
            self.refused_session(session);
        }
    }
}
