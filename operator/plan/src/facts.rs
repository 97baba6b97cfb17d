//! What the Kubernetes driver has seen of one cluster.

use crate::keys::RingKeys;
use crate::names::{FROZEN_IMAGE_ANNOTATION, SLOTS_ANNOTATION};
use crate::nodes::NodeFact;
use crate::trouble::Trouble;
use spread_operator_api::{IpFamily, SpreadCluster, requests};
use std::collections::BTreeMap;

/// What the operator was started with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorDefaults {
    /// Image of daemons where the object names none.
    pub image: String,
    /// The operator's version.
    pub version: String,
    /// The operator's namespace: its pods may reach admin endpoints.
    pub namespace: String,
}

/// All facts about one cluster at one moment.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What the user asks for.
    pub cluster: &'a SpreadCluster,
    /// What the operator was started with.
    pub defaults: &'a OperatorDefaults,
    /// What the ring's StatefulSet and ConfigMap record of it, those that are there.
    pub ring_records: Vec<RingRecord>,
    /// The restart request that the StatefulSet's pods were last made for.
    pub restart_in_force: Option<String>,
    /// Ordinals that the StatefulSet has now.
    pub current_replicas: u32,
    /// Address families of the client Service, as the API server filled them in. None: it is not there.
    pub ip_families: Option<Vec<IpFamily>>,
    /// Host and port of the client Service where it has one outside the cluster.
    pub external_client: Option<(String, u16)>,
    /// The ring's pods.
    pub pods: Vec<PodFact>,
    /// Nodes, with placement PerNode. None: they may not be read.
    pub nodes: Option<Vec<NodeFact>>,
    /// The managed keys. None: there are none yet.
    pub keys: Option<RingKeys>,
    /// Certificate of the authority that clients have to trust.
    pub ca_certificate: Option<String>,
    /// What went wrong in this pass.
    pub troubles: Vec<Trouble>,
}

/// What an object of the ring records of how the ring was made. Somebody may have taken that away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RingRecord {
    /// Slots.
    pub slots: Option<u32>,
    /// Image where the object names none.
    pub frozen_image: Option<String>,
}

impl RingRecord {
    /// From the object's annotations.
    pub fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let text = |name: &str| annotations.and_then(|all| all.get(name));
        Self {
            slots: text(SLOTS_ANNOTATION).and_then(|text| text.parse().ok()),
            frozen_image: text(FROZEN_IMAGE_ANNOTATION).filter(|text| !text.is_empty()).cloned(),
        }
    }
}

/// A pod of the ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFact {
    /// Its slot.
    pub ordinal: u32,
    /// Its uid.
    pub uid: String,
    /// Node that it runs on. None: it has none yet.
    pub node: Option<String>,
    /// Ready, as the kubelet says.
    pub ready: bool,
    /// Asked to end.
    pub terminating: bool,
    /// What of the object it was made from.
    pub template: String,
    /// Secret that it mounts its certificate from. None: it mounts none.
    pub tls_secret: Option<String>,
    /// Why the scheduler finds no node.
    pub unschedulable: Option<String>,
    /// What its daemon says. None: nothing new for a while.
    pub report: Option<DaemonReport>,
}

/// What a daemon says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonReport {
    /// Its version.
    pub version: String,
    /// Hash of its configuration.
    pub configuration_hash: String,
    /// How often it took over a changed configuration.
    pub generation: u32,
    /// Key that seals its packets, 0 for none.
    pub key_id: u32,
    /// Names of the daemons in its component.
    pub members: Vec<String>,
    /// Its sessions.
    pub sessions: u32,
    /// Its endpoints.
    pub endpoints: u32,
}

/// What a ring keeps from the moment it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Which ring of the cluster.
    pub number: u32,
    /// Slots that its configuration lists.
    pub slots: u32,
    /// Image where the object names none.
    pub frozen_image: String,
    /// It has objects already.
    pub exists: bool,
}

impl Facts<'_> {
    /// The ring: as status and its objects say, else a new one. Somebody may have edited one of them.
    pub fn ring(&self) -> Ring {
        let status = self.cluster.status.as_ref().and_then(|status| status.rings.first());
        let slots = status
            .map(|ring| ring.slots)
            .filter(|slots| *slots > 0)
            .or(self.ring_records.iter().find_map(|record| record.slots))
            .unwrap_or(self.cluster.spec.slots.initial);
        let images: Vec<&String> =
            self.ring_records.iter().filter_map(|record| record.frozen_image.as_ref()).collect();
        let told = status.map(|ring| ring.image.clone()).filter(|image| !image.is_empty());
        let frozen_image = match (&told, images.first()) {
            (Some(told), Some(_)) if images.contains(&told) => told.clone(),
            (_, Some(image)) => (*image).clone(),
            (Some(told), None) => told.clone(),
            (None, None) => self.defaults.image.clone(),
        };
        Ring { number: 1, slots, frozen_image, exists: !self.ring_records.is_empty() }
    }

    /// Image of the ring's daemons.
    pub fn image(&self, ring: &Ring) -> String {
        let asked = &self.cluster.spec.image;
        if asked.is_empty() { ring.frozen_image.clone() } else { asked.clone() }
    }

    /// A request of the user's.
    pub fn request(&self, name: &str) -> Option<&str> {
        self.cluster.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The restart request that pods are made for: taking the annotation away restarts nothing.
    pub fn restart(&self) -> Option<String> {
        self.request(requests::RESTART).map(str::to_owned).or(self.restart_in_force.clone())
    }

    /// The pod of a slot.
    pub fn pod(&self, ordinal: u32) -> Option<&PodFact> {
        self.pods.iter().find(|pod| pod.ordinal == ordinal)
    }
}
