//! What happens while the token is here.

use crate::interface::{Destination, Output};
use crate::ring::{Ring, State};
use bytes::Bytes;
use spread_bugs::{Bug, planted};
use spread_wire::ids::Slot;
use spread_wire::packet::{Data, Packet, TOKEN_REQUESTS, Token};
use spread_wire::time::Instant;

/// So many packets of a visit are no burst.
const FEW_PACKETS: usize = 4;
/// The token rests after so many quiet rounds: by then everybody knows that everything is stable.
const QUIET_ROUNDS: u32 = 3;
/// A token is not so many visits ahead of the last one seen here: at a million visits a second that is an hour.
const VISITS_AHEAD: u64 = 1 << 32;

impl Ring {
    pub(crate) fn on_token(&mut self, now: Instant, from: Slot, token: Token) {
        self.installed_elsewhere(now, token.tag);
        let Some(order) = &self.order else { return };
        let tag = order.tag;
        let State::Operational(operational) = &mut self.phase else { return };
        if token.tag != tag || token.to != self.me.slot {
            return;
        }
        let gap = self.settings.windows.gap_packets;
        if !order.is_peer(from, self.me.slot)
            || token.visit > operational.last_visit.saturating_add(VISITS_AHEAD)
            || token.aru > token.seq
            || !order.is_near(token.seq, gap)
        {
            return self.refuse_malformed();
        }
        let same = planted(Bug::TokenTwice) && token.visit == operational.last_visit;
        if token.visit <= operational.last_visit && !same {
            if token.wants_sign {
                let visit = operational.last_visit;
                self.send(Destination::Slot(from), &Packet::Sign { tag, visit });
            }
            return;
        }
        if token.wants_sign {
            self.send(Destination::Slot(from), &Packet::Sign { tag, visit: token.visit });
        }
        self.visit(now, token);
        self.probe_outside(now);
    }

    /// One visit of the token.
    pub(crate) fn visit(&mut self, now: Instant, mut token: Token) {
        self.take_token(now, &mut token);
        let answers = self.answer_requests(&mut token);
        let seq_before = token.seq;
        let fresh = self.order_waiting(now, &mut token);
        self.report(&mut token, seq_before, !fresh.is_empty());
        self.count_round(now, &token);
        self.send_visit(now, token, answers, fresh);
        self.deliver();
        if self.is_lone() && !self.congested {
            self.visit_alone(now);
        }
    }

    /// The token came: what was sent when it was here last has been round.
    fn take_token(&mut self, now: Instant, token: &mut Token) {
        let State::Operational(op) = &mut self.phase else { return };
        self.counters.token_visits += 1;
        op.last_visit = token.visit;
        (op.token_seen, op.arrived, op.began) = (now, now, None);
        op.hurry = None;
        op.passed = None;
        self.settle_with(token);
        let State::Operational(op) = &mut self.phase else { return };
        token.sent = token.sent.saturating_sub(op.sent);
        op.sent = 0;
    }

    /// What all had when the token left here and have now that it is back is stable.
    pub(crate) fn settle_with(&mut self, token: &Token) {
        let (Some(order), State::Operational(op)) = (&mut self.order, &self.phase) else { return };
        let stable = if planted(Bug::StableTooEarly) { token.aru } else { op.left_aru };
        order.settle(stable.min(token.aru));
    }

    /// Packets that others ask for and this daemon has; what it has not stays asked for.
    fn answer_requests(&mut self, token: &mut Token) -> Vec<(Destination, Bytes)> {
        let (me, most) = (self.me.slot, u64::from(self.settings.windows.gap_packets));
        let Some(order) = &self.order else { return Vec::new() };
        let mut answers: Vec<(Destination, Bytes)> = Vec::new();
        token.requests.retain(|(slot, first, count)| {
            let seqs = *first..first.saturating_add(u64::from(*count).min(most));
            let mut all = *slot != me;
            for seq in seqs.filter(|_| *slot != me && !planted(Bug::NoRetransmission)) {
                match order.packet(seq) {
                    Some(packet) => answers.push((Destination::Slot(*slot), packet)),
                    None => all = false,
                }
            }
            !all && *slot != me
        });
        self.counters.retransmissions += answers.len() as u64;
        answers
    }

    /// Gives places to what waits here, as much as the windows allow.
    pub(crate) fn order_waiting(&mut self, now: Instant, token: &mut Token) -> Vec<Bytes> {
        let (congested, packet_bytes) = (self.congested, self.settings.packet_bytes);
        let (Some(order), State::Operational(op)) = (&mut self.order, &mut self.phase) else {
            return Vec::new();
        };
        let windows = &self.settings.windows;
        let sent_before = op.sent;
        let window = windows.window_packets.saturating_sub(token.sent);
        let ahead = token.seq.saturating_sub(token.aru);
        let gap = u64::from(windows.gap_packets).saturating_sub(ahead);
        let gap = if planted(Bug::GapUnlimited) { u64::MAX } else { gap };
        // One packet may always go: a state exchange gets on even where clients read slowly.
        let least = u32::from(sent_before == 0);
        let personal = windows.personal_packets.saturating_sub(sent_before).min(window);
        let personal = if congested { least } else { personal.max(least) };
        let allowed = personal.min(u32::try_from(gap).unwrap_or(u32::MAX));
        let mut fresh: Vec<Bytes> = Vec::new();
        while (fresh.len() as u32) < allowed {
            let mut data = Data {
                tag: order.tag,
                originator: self.me.slot,
                seq: token.seq + 1,
                visit: token.visit,
                stable: if planted(Bug::OwnIsAll) { order.aru } else { order.stable },
                body: Bytes::new(),
            };
            let mut packet = data.header(self.packets.room(packet_bytes));
            let room = packet_bytes - packet.0.len();
            let Some(body) = self.backlog.pack(&mut packet, room, congested) else { break };
            if body.safe {
                op.calm.end();
            }
            token.seq = data.seq;
            let packet = packet.0.split().freeze();
            data.body = packet.slice(body.begin..);
            fresh.push(packet);
            order.insert(data, u64::MAX);
        }
        self.counters.packets_ordered += fresh.len() as u64;
        self.counters.backlog_bytes = self.backlog.bytes() as u64;
        op.sent += fresh.len() as u32;
        if congested {
            // The whole window is taken, so nobody sends more than a trickle until this daemon's clients have read.
            op.sent = op.sent.max(windows.window_packets);
        }
        token.sent = token.sent.saturating_add(op.sent - sent_before);
        if !fresh.is_empty() {
            token.last_sender = self.me.slot;
            op.began.get_or_insert(now);
        }
        fresh
    }

    /// Says what this daemon has received, and what it misses for sure: what was given out before its last visit.
    pub(crate) fn report(&mut self, token: &mut Token, seq_before: u64, sent: bool) {
        let me = self.me.slot;
        let (Some(order), State::Operational(op)) = (&self.order, &mut self.phase) else { return };
        if order.aru < token.aru && !planted(Bug::AruNotLowered) {
            token.aru = order.aru;
            token.aru_owner = Some(me);
        } else if token.aru_owner == Some(me) {
            token.aru = order.aru;
            token.aru_owner = (order.aru < token.seq).then_some(me);
        } else if token.aru_owner.is_none() && token.aru == seq_before && order.aru == token.seq {
            token.aru = token.seq;
        }
        let most = TOKEN_REQUESTS.saturating_sub(token.requests.len());
        let missing = order.missing(op.left_seq.min(seq_before), most);
        token.requests.extend(missing.into_iter().map(|(first, count)| (me, first, count)));
        let busy = sent || !token.requests.is_empty() || token.aru != token.seq;
        token.quiet =
            if busy || !self.backlog.is_empty() { 0 } else { token.quiet.saturating_add(1) };
        op.left_aru = token.aru;
        op.left_seq = token.seq;
        if op.last_sender != token.last_sender {
            op.calm.another_sent();
        }
        op.last_sender = token.last_sender;
        let members = order.configuration.members.len() as u32;
        op.rests = token.quiet >= members * QUIET_ROUNDS;
    }

    /// Keeps count of what this round of the token showed.
    fn count_round(&mut self, now: Instant, token: &Token) {
        let State::Operational(op) = &mut self.phase else { return };
        op.calm.round(token.requests.is_empty() && token.aru == token.seq);
        self.all_are_there(now);
    }

    /// Answers first, since others wait for them; then the early packets, the token, and the accelerated part of the window.
    fn send_visit(
        &mut self,
        now: Instant,
        token: Token,
        answers: Vec<(Destination, Bytes)>,
        mut fresh: Vec<Bytes>,
    ) {
        if self.is_lone() {
            return self.keep(now, token);
        }
        for (to, packet) in answers {
            self.send_bytes(to, packet);
        }
        let late_packets = self.settings.windows.accelerated_packets as usize;
        let State::Operational(op) = &self.phase else { return };
        // Nobody waits to send after a few packets of the only sender, and everybody has them when the token comes.
        let few = op.calm.one_sends() && fresh.len() <= FEW_PACKETS;
        let accelerated = if few { 0 } else { late_packets };
        let late = fresh.split_off(fresh.len().saturating_sub(accelerated));
        for packet in fresh {
            self.send_bytes(Destination::Everyone, packet);
        }
        self.keep(now, token);
        for packet in late {
            self.send_bytes(Destination::Everyone, packet);
        }
    }

    pub(crate) fn is_lone(&self) -> bool {
        self.order.as_ref().is_some_and(|order| order.configuration.members.len() == 1)
    }

    /// A ring of one: its token need not travel.
    fn visit_alone(&mut self, now: Instant) {
        let unstable = self.order.as_ref().is_some_and(|order| order.stable < order.high);
        if !unstable && self.backlog.is_empty() {
            return;
        }
        if let State::Operational(op) = &mut self.phase
            && let Some(mut token) = op.resting.take()
        {
            token.visit += 1;
            self.visit(now, token);
        }
    }

    pub(crate) fn pass(&mut self, now: Instant, mut token: Token) {
        let State::Operational(op) = &mut self.phase else { return };
        token.visit += 1;
        token.wants_sign = false;
        let successor = op.successor;
        token.to = successor;
        let timers = &self.settings.timers;
        // In an idle ring nobody shows that the token came: who misses it calls.
        op.passed_again = now + timers.token_retransmit + timers.rest(op.rests);
        op.passed = Some(token.clone());
        self.send(Destination::Slot(successor), &Packet::Token(token));
    }

    pub(crate) fn deliver(&mut self) {
        let Some(order) = &mut self.order else { return };
        let before = self.outputs.len();
        order.deliver(|delivery| self.outputs.push_back(Output::Deliver(delivery)));
        order.settle(order.stable);
        self.counters.payloads_delivered += (self.outputs.len() - before) as u64;
    }
}
