//! The daemons' own view: their admin endpoints are asked all the time, each in a task of its own, and
//! a pass over an object takes what is known. So a daemon that hangs delays nobody.

use crate::ask::{Asker, Orders};
use crate::connectors::Connectors;
use crate::metrics::Metrics;
use spread_plan::DaemonReport;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Daemons that are asked at a time: each costs a connection's memory meanwhile.
const ASKED_AT_A_TIME: usize = 128;
/// The same of those that did not answer the last time; they have places of their own, so that those that hang keep
/// nobody else waiting.
const SILENT_AT_A_TIME: usize = 256;

/// A cluster, by namespace and name.
pub type ClusterKey = (String, String);

/// A daemon to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its pod's uid.
    pub pod_uid: String,
    /// Its slot's name.
    pub slot: String,
    /// Its admin endpoint.
    pub address: SocketAddr,
    /// The name that its certificate has to have.
    pub server_name: String,
}

/// How a cluster's daemons are spoken to: the configuration, and what it was made from.
#[derive(Clone)]
pub struct Credentials {
    /// For TLS.
    pub config: Arc<rustls::ClientConfig>,
    /// Changes with the certificate.
    pub fingerprint: u64,
}

/// What a daemon said last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked long enough to know.
    #[default]
    Unasked,
    /// Nothing, several times.
    Silent,
    /// This.
    Says(DaemonReport),
}

/// Which of a cluster's daemons are asked, and how quickly.
pub struct Round {
    /// The daemons, and how each is spoken to.
    pub targets: Vec<(Target, Credentials)>,
    /// Nothing is to come: they are asked in turn.
    pub at_rest: bool,
    /// Changes when something about the pods does, so that daemons are asked at once and often again.
    pub revision: u64,
}

struct Poll {
    target: Arc<Target>,
    answer: Arc<Mutex<Answer>>,
    orders: watch::Sender<Orders>,
    task: JoinHandle<()>,
    /// Of the newest of its connectors.
    fingerprint: u64,
    connectors: Arc<Connectors>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Cluster {
    revision: u64,
    polls: BTreeMap<String, Poll>,
    /// Counts what changed at any of the daemons.
    news: Arc<watch::Sender<u64>>,
}

/// Asks all daemons of all clusters.
pub struct Poller {
    clusters: Mutex<BTreeMap<ClusterKey, Cluster>>,
    changed: mpsc::UnboundedSender<ClusterKey>,
    metrics: Arc<Metrics>,
    places: Arc<Semaphore>,
    silent_places: Arc<Semaphore>,
}

impl Poller {
    /// One that asks nobody yet and tells `changed` the clusters in which something changed. That is read by
    /// the queue, which keeps each cluster once.
    pub fn new(metrics: Arc<Metrics>, changed: mpsc::UnboundedSender<ClusterKey>) -> Self {
        Self {
            clusters: Mutex::default(),
            changed,
            metrics,
            places: Arc::new(Semaphore::new(ASKED_AT_A_TIME)),
            silent_places: Arc::new(Semaphore::new(SILENT_AT_A_TIME)),
        }
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Cluster>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these daemons of a cluster are asked.
    pub fn watch(&self, key: &ClusterKey, round: Round) {
        let Round { mut targets, at_rest, revision } = round;
        targets.sort_unstable_by(|(one, _), (other, _)| one.server_name.cmp(&other.server_name));
        let addresses: Arc<str> = addresses(&targets).into();
        let mut clusters = self.clusters();
        let cluster = clusters.entry(key.clone()).or_insert_with(|| Cluster {
            revision,
            polls: BTreeMap::new(),
            news: Arc::default(),
        });
        cluster.polls.retain(|_, poll| targets.iter().any(|(target, _)| *target == *poll.target));
        if std::mem::replace(&mut cluster.revision, revision) != revision {
            cluster.news.send_modify(|news| *news += 1);
        }
        let daemons = targets.len();
        for (turn, daemon) in targets.into_iter().enumerate() {
            let orders = Orders { addresses: Arc::clone(&addresses), at_rest, turn, daemons };
            match cluster.polls.get(&daemon.0.pod_uid) {
                Some(poll) if poll.fingerprint == daemon.1.fingerprint => {
                    poll.orders.send_if_modified(|before| {
                        let differs = *before != orders;
                        *before = orders;
                        differs
                    });
                }
                before => {
                    let news = &cluster.news;
                    let poll = self.start(key, daemon, orders, news, before);
                    cluster.polls.insert(poll.target.pod_uid.clone(), poll);
                }
            }
        }
    }

    /// Nobody of this cluster is asked any more.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.clusters().remove(cluster);
    }

    /// Nobody at all is asked any more.
    pub fn forget_all(&self) {
        self.clusters().clear();
    }

    /// The last answer of a pod's daemon.
    pub fn answer(&self, cluster: &ClusterKey, pod_uid: &str) -> Answer {
        let clusters = self.clusters();
        let poll = clusters.get(cluster).and_then(|cluster| cluster.polls.get(pod_uid));
        poll.map(|poll| poll.answer.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    fn start(
        &self,
        cluster: &ClusterKey,
        (target, credentials): (Target, Credentials),
        orders: Orders,
        news: &Arc<watch::Sender<u64>>,
        before: Option<&Poll>,
    ) -> Poll {
        let target = Arc::new(target);
        // What it said before stays said, and until it has read the new certificate it is spoken to as before.
        let answer = before.map(|poll| Arc::clone(&poll.answer)).unwrap_or_default();
        let newest = TlsConnector::from(credentials.config);
        let connectors = Arc::new(Connectors::new(newest, before.map(|poll| &*poll.connectors)));
        let (orders, ordered) = watch::channel(orders);
        let asker = Asker {
            cluster: cluster.clone(),
            target: Arc::clone(&target),
            connectors: Arc::clone(&connectors),
            answer: Arc::clone(&answer),
            orders: ordered,
            heard: news.subscribe(),
            news: Arc::clone(news),
            changed: self.changed.clone(),
            metrics: Arc::clone(&self.metrics),
            places: Arc::clone(&self.places),
            silent_places: Arc::clone(&self.silent_places),
        };
        let (fingerprint, task) = (credentials.fingerprint, tokio::spawn(asker.ask_always()));
        Poll { target, answer, orders, task, fingerprint, connectors }
    }
}

/// Addresses by slot, as daemons take them.
fn addresses(targets: &[(Target, Credentials)]) -> String {
    let slots: BTreeMap<&str, [IpAddr; 1]> =
        targets.iter().map(|(target, _)| (&*target.slot, [target.address.ip()])).collect();
    serde_json::to_string(&slots).unwrap_or_default()
}
