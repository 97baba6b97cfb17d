//! A cluster on Kubernetes as facts, for tables and properties.

#![allow(dead_code, reason = "each test file uses its part")]

use spread_operator_api::{IpFamily, SpreadCluster};
use spread_plan::{
    DaemonReport, Decision, Facts, NodeFact, OperatorDefaults, PodFact, RingKeys, RingRecord,
    decide,
};

pub struct World {
    pub cluster: SpreadCluster,
    pub defaults: OperatorDefaults,
    pub ring_records: Vec<RingRecord>,
    pub pods: Vec<PodFact>,
    pub nodes: Option<Vec<NodeFact>>,
    pub keys: Option<RingKeys>,
    pub restart_in_force: Option<String>,
    pub troubles: Vec<spread_plan::Trouble>,
}

impl World {
    /// A new object, before anything was made.
    pub fn new(replicas: u32, slots: u32) -> Self {
        let mut cluster = SpreadCluster::new("orders", Default::default());
        cluster.metadata.namespace = Some("shop".to_owned());
        cluster.metadata.uid = Some("5f0c".to_owned());
        cluster.metadata.generation = Some(1);
        cluster.spec.replicas = Some(replicas);
        cluster.spec.slots.initial = slots;
        let defaults = OperatorDefaults {
            image: "spreadd:1".to_owned(),
            version: "1".to_owned(),
            namespace: "operators".to_owned(),
        };
        Self {
            cluster,
            defaults,
            ring_records: Vec::new(),
            pods: Vec::new(),
            nodes: None,
            keys: None,
            restart_in_force: None,
            troubles: Vec::new(),
        }
    }

    /// The same with its ring made and all its daemons in it.
    pub fn running(replicas: u32, slots: u32) -> Self {
        let mut world = Self::new(replicas, slots);
        world.make_ring();
        let template = world.decide().template;
        world.pods = (0..replicas).map(|slot| pod(slot, &template)).collect();
        world.see_each_other();
        world
    }

    pub fn make_ring(&mut self) {
        let decision = self.decide();
        self.ring_records = vec![RingRecord {
            slots: Some(decision.ring.slots),
            frozen_image: Some(decision.ring.frozen_image),
        }];
    }

    /// All pods that do not end report all of them.
    pub fn see_each_other(&mut self) {
        let names: Vec<String> =
            self.pods.iter().filter(|pod| !pod.terminating).map(|pod| name(pod.ordinal)).collect();
        for pod in self.pods.iter_mut().filter(|pod| !pod.terminating) {
            pod.ready = true;
            pod.report = Some(report(&names));
        }
    }

    /// Only these see each other.
    pub fn component(&mut self, slots: &[u32]) {
        let names: Vec<String> = slots.iter().map(|slot| name(*slot)).collect();
        for pod in self.pods.iter_mut().filter(|pod| slots.contains(&pod.ordinal)) {
            pod.report = Some(report(&names));
        }
    }

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            cluster: &self.cluster,
            defaults: &self.defaults,
            ring_records: self.ring_records.clone(),
            restart_in_force: self.restart_in_force.clone(),
            current_replicas: u32::try_from(self.pods.len()).unwrap(),
            ip_families: Some(vec![IpFamily::IPv4]),
            external_client: None,
            pods: self.pods.clone(),
            nodes: self.nodes.clone(),
            keys: self.keys.clone(),
            ca_certificate: None,
            troubles: self.troubles.clone(),
        }
    }

    pub fn decide(&self) -> Decision {
        decide(&self.facts())
    }

    /// Status and reason of a condition.
    pub fn condition(&self, kind: &str) -> (String, String, String) {
        let facts = self.facts();
        let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        );
        let status = spread_plan::status(&facts, &self.decide(), &now);
        let found = status.conditions.into_iter().find(|one| one.type_ == kind).unwrap();
        (found.status, found.reason, found.message)
    }
}

pub fn name(slot: u32) -> String {
    spread_plan::slot_name(slot)
}

pub fn pod(ordinal: u32, template: &str) -> PodFact {
    PodFact {
        ordinal,
        uid: format!("pod-{ordinal}"),
        node: Some(format!("n{ordinal}")),
        template: template.to_owned(),
        ready: true,
        ..PodFact::default()
    }
}

pub fn report(members: &[String]) -> DaemonReport {
    DaemonReport {
        version: "1".to_owned(),
        configuration_hash: "h".to_owned(),
        key_id: 1,
        members: members.to_vec(),
        sessions: 2,
        ..DaemonReport::default()
    }
}
