//! What the operator counts, as OpenMetrics.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use spread_operator_api::SpreadClusterStatus;

/// Which cluster a figure is about.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ClusterLabels {
    namespace: String,
    name: String,
}

/// Why a request failed.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabels {
    reason: String,
}

/// A condition of a cluster.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ConditionLabels {
    namespace: String,
    name: String,
    condition: String,
}

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Passes over an object.
    pub reconciles: Counter,
    /// How long they took.
    pub reconcile_seconds: Histogram,
    /// What went wrong, by kind.
    pub troubles: Family<ReasonLabels, Counter>,
    /// Writes to the API server.
    pub writes: Counter,
    /// Writes that were not made because this replica does not lead.
    pub writes_dropped: Counter,
    /// 1 while this replica leads.
    pub leader: Gauge,
    /// Requests to daemons' admin endpoints that failed.
    pub polls_failed: Counter,
    /// Requests to daemons' admin endpoints.
    pub polls: Counter,
    slots_free: Family<ClusterLabels, Gauge>,
    slots_total: Family<ClusterLabels, Gauge>,
    members: Family<ClusterLabels, Gauge>,
    members_wanted: Family<ClusterLabels, Gauge>,
    sessions: Family<ClusterLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("spread_operator");
        let metrics = Self {
            reconciles: Counter::default(),
            reconcile_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            troubles: Family::default(),
            writes: Counter::default(),
            writes_dropped: Counter::default(),
            leader: Gauge::default(),
            polls_failed: Counter::default(),
            polls: Counter::default(),
            slots_free: Family::default(),
            slots_total: Family::default(),
            members: Family::default(),
            members_wanted: Family::default(),
            sessions: Family::default(),
            conditions: Family::default(),
            registry: Registry::default(),
        };
        registry.register("reconciles", "Passes over an object", metrics.reconciles.clone());
        registry.register(
            "reconcile_seconds",
            "How long a pass took",
            metrics.reconcile_seconds.clone(),
        );
        registry.register("troubles", "What went wrong, by kind", metrics.troubles.clone());
        registry.register("writes", "Writes to the API server", metrics.writes.clone());
        let help = "Writes not made because this replica does not lead";
        registry.register("writes_dropped", help, metrics.writes_dropped.clone());
        registry.register("leader", "1 while this replica leads", metrics.leader.clone());
        registry.register("polls", "Requests to daemons", metrics.polls.clone());
        registry.register(
            "polls_failed",
            "Requests to daemons that failed",
            metrics.polls_failed.clone(),
        );
        registry.register("slots_free", "Vacant slots", metrics.slots_free.clone());
        registry.register("slots_total", "Slots of the ring", metrics.slots_total.clone());
        registry.register("members", "Daemons in the ring", metrics.members.clone());
        registry.register("members_wanted", "Daemons asked for", metrics.members_wanted.clone());
        registry.register("sessions", "Sessions of clients", metrics.sessions.clone());
        let help = "1 while the condition is True, 0 while False, -1 while Unknown";
        registry.register("condition", help, metrics.conditions.clone());
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// One more thing went wrong.
    pub fn trouble(&self, reason: &str) {
        self.troubles.get_or_create(&ReasonLabels { reason: reason.to_owned() }).inc();
    }

    /// A cluster's figures, as its status has them.
    pub fn cluster(&self, namespace: &str, name: &str, status: &SpreadClusterStatus) {
        let labels = ClusterLabels { namespace: namespace.to_owned(), name: name.to_owned() };
        let ring = status.rings.first();
        let set = |family: &Family<ClusterLabels, Gauge>, value: u32| {
            family.get_or_create(&labels).set(i64::from(value));
        };
        set(&self.slots_free, status.slots.free);
        set(&self.slots_total, status.slots.total);
        set(&self.members, ring.map_or(0, |ring| ring.members.in_ring));
        set(&self.members_wanted, ring.map_or(0, |ring| ring.members.wanted));
        set(&self.sessions, ring.map_or(0, |ring| ring.sessions));
        for condition in &status.conditions {
            let labels = ConditionLabels {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                condition: condition.type_.clone(),
            };
            let value = match condition.status.as_str() {
                "True" => 1,
                "False" => 0,
                _ => -1,
            };
            self.conditions.get_or_create(&labels).set(value);
        }
    }

    /// A cluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        let labels = ClusterLabels { namespace: namespace.to_owned(), name: name.to_owned() };
        for family in [
            &self.slots_free,
            &self.slots_total,
            &self.members,
            &self.members_wanted,
            &self.sessions,
        ] {
            family.remove(&labels);
        }
        for info in spread_operator_api::CONDITIONS {
            self.conditions.remove(&ConditionLabels {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                condition: info.r#type.to_owned(),
            });
        }
    }

    /// The whole text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
