//! Installs a configuration: ends the old order, begins the new one.

use crate::form::Pending;
use crate::interface::{Component, Configuration, ConfigurationKind, Output};
use crate::order::Order;
use crate::ring::Ring;
use spread_bugs::{Bug, planted};
use spread_wire::ids::{ConfigurationId, Slot};
use spread_wire::packet::Proposed;
use std::collections::BTreeSet;

impl Ring {
    /// Installs a configuration whose members all have what their components have, and ends the old order.
    pub(crate) fn install(&mut self, pending: &Pending) {
        let mut after: Vec<Output> = Vec::new();
        if let Some(mut order) = self.order.take() {
            let component: BTreeSet<Slot> = pending.component(Some(order.id()));
            let mut senders: BTreeSet<Slot> = component.clone();
            if planted(Bug::OwnAfterHoleLost) {
                senders.remove(&self.me.slot);
            }
            let mut stable = order.stable;
            for (_, report) in &pending.reports {
                senders.extend(report.obligation.iter().copied());
                stable = stable.max(report.stable);
            }
            senders.extend(self.obligation.iter().copied());
            let kept = planted(Bug::UnreportedKept);
            order.restrict(|seq| kept || pending.reports.iter().any(|(_, known)| known.has(seq)));
            let (regular, transitional) = order.finish(stable, &senders);
            self.counters.payloads_delivered += (regular.len() + transitional.len()) as u64;
            after.extend(regular.into_iter().map(Output::Deliver));
            let members = order.configuration.members.iter();
            after.push(Output::Install(Configuration {
                id: pending.propose.id,
                kind: ConfigurationKind::Transitional,
                members: members
                    .filter(|member| component.contains(&member.slot))
                    .copied()
                    .collect(),
                components: Vec::new(),
            }));
            after.extend(transitional.into_iter().map(Output::Deliver));
        }
        let configuration = Configuration {
            id: pending.propose.id,
            kind: ConfigurationKind::Regular,
            members: pending.propose.members.iter().map(|member| member.daemon).collect(),
            components: pending.components(),
        };
        if let Some(me) = configuration.members.iter().find(|member| member.slot == self.me.slot) {
            self.me.claim = me.claim;
        }
        for member in &configuration.members {
            self.shunned.remove(&(member.slot, member.boot));
        }
        self.claims.learn(&configuration.members);
        self.claims.admitted();
        let order = Order::new(configuration.clone());
        self.outputs.push_back(Output::Peers(self.peers(&order)));
        self.outputs.extend(after);
        self.outputs.push_back(Output::Install(configuration));
        self.order = Some(order);
        self.epoch = self.epoch.max(pending.propose.id.epoch);
        self.obligation.clear();
        self.backlog.rewind();
        self.counters.configurations += 1;
    }

    /// The other members, the next token holder first.
    pub(crate) fn peers(&self, order: &Order) -> Vec<Slot> {
        let members = order.configuration.members.iter().map(|member| member.slot);
        let (before, after): (Vec<Slot>, Vec<Slot>) =
            members.filter(|slot| *slot != self.me.slot).partition(|slot| *slot < self.me.slot);
        after.into_iter().chain(before).collect()
    }
}

impl Pending {
    /// Members that come from `old`.
    pub(crate) fn component(&self, old: Option<ConfigurationId>) -> BTreeSet<Slot> {
        let members = self.propose.members.iter();
        members.filter(|member| member.old == old).map(|member| member.daemon.slot).collect()
    }

    fn components(&self) -> Vec<Component> {
        let mut components: Vec<Component> = Vec::new();
        for Proposed { daemon, old: from, .. } in &self.propose.members {
            let known = components.iter_mut().find(|known| from.is_some() && known.from == *from);
            match known {
                Some(component) => component.members.push(daemon.slot),
                None => components.push(Component {
                    from: *from,
                    lost: Vec::new(),
                    members: vec![daemon.slot],
                }),
            }
        }
        components
    }
}
