//! The daemons' own view: their admin endpoints are asked all the time, each in a task of its own, and
//! a pass over an object takes what is known. So a daemon that hangs delays nobody.

use crate::metrics::Metrics;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Method;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use spread_plan::DaemonReport;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const ANSWER_MAX_BYTES: usize = 8 << 20;
/// Time between two questions while something changes.
const QUICK_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two questions otherwise, and to one that does not answer.
const SLOW_INTERVAL: Duration = Duration::from_secs(10);
/// After so many failures in a row the last answer no longer counts.
const FAILURES_UNTIL_SILENT: u32 = 3;

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

struct Poll {
    target: Target,
    fingerprint: u64,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Default)]
struct Shared {
    report: Mutex<Option<DaemonReport>>,
    /// Where the cluster's daemons are, as JSON: they are told, because the operator sees a pod's address
    /// before a name server does.
    addresses: Mutex<String>,
    quick: AtomicBool,
    poke: Notify,
}

/// Asks all daemons of all clusters.
pub struct Poller {
    polls: Mutex<BTreeMap<ClusterKey, BTreeMap<String, Poll>>>,
    changed: mpsc::UnboundedSender<ClusterKey>,
    metrics: Arc<Metrics>,
}

impl Poller {
    /// One that asks nobody yet; the receiver gets the clusters in which something changed. It is read
    /// by the controller's queue, which keeps each cluster once.
    pub fn new(metrics: Arc<Metrics>) -> (Self, mpsc::UnboundedReceiver<ClusterKey>) {
        let (changed, changes) = mpsc::unbounded_channel();
        (Self { polls: Mutex::default(), changed, metrics }, changes)
    }

    fn polls(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, BTreeMap<String, Poll>>> {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these daemons of a cluster are asked, often while it is not at rest.
    pub fn watch(
        &self,
        cluster: &ClusterKey,
        targets: Vec<Target>,
        credentials: &Credentials,
        at_rest: bool,
    ) {
        let addresses = addresses(&targets);
        let mut polls = self.polls();
        let of_cluster = polls.entry(cluster.clone()).or_default();
        of_cluster.retain(|_, poll| {
            poll.fingerprint == credentials.fingerprint && targets.contains(&poll.target)
        });
        for target in targets {
            let poll = of_cluster
                .entry(target.pod_uid.clone())
                .or_insert_with(|| self.start(cluster.clone(), target, credentials));
            let mut told = poll.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            if *told != addresses {
                told.clone_from(&addresses);
                poll.shared.poke.notify_one();
            }
            drop(told);
            if poll.shared.quick.swap(!at_rest, Ordering::Relaxed) == at_rest && !at_rest {
                poll.shared.poke.notify_one();
            }
        }
    }

    /// Nobody of this cluster is asked any more.
    pub fn forget(&self, cluster: &ClusterKey) {
        self.polls().remove(cluster);
    }

    /// The last answer of a pod's daemon.
    pub fn report(&self, cluster: &ClusterKey, pod_uid: &str) -> Option<DaemonReport> {
        let polls = self.polls();
        let shared = &polls.get(cluster)?.get(pod_uid)?.shared;
        shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn start(&self, cluster: ClusterKey, target: Target, credentials: &Credentials) -> Poll {
        let shared = Arc::new(Shared::default());
        shared.quick.store(true, Ordering::Relaxed);
        let task = tokio::spawn(ask_always(Asker {
            cluster,
            target: target.clone(),
            tls: TlsConnector::from(Arc::clone(&credentials.config)),
            shared: Arc::clone(&shared),
            changed: self.changed.clone(),
            metrics: Arc::clone(&self.metrics),
        }));
        Poll { target, fingerprint: credentials.fingerprint, shared, task }
    }
}

/// Addresses by slot, as daemons take them.
fn addresses(targets: &[Target]) -> String {
    let slots: BTreeMap<&str, [IpAddr; 1]> =
        targets.iter().map(|target| (&*target.slot, [target.address.ip()])).collect();
    serde_json::to_string(&slots).unwrap_or_default()
}

struct Asker {
    cluster: ClusterKey,
    target: Target,
    tls: TlsConnector,
    shared: Arc<Shared>,
    changed: mpsc::UnboundedSender<ClusterKey>,
    metrics: Arc<Metrics>,
}

async fn ask_always(asker: Asker) {
    let mut failures = 0_u32;
    // What the daemon was told, and in which of its lives.
    let mut told = (String::new(), String::new());
    loop {
        asker.metrics.polls.inc();
        let addresses =
            asker.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, async {
            let answer = asker.ask().await?;
            if told != (answer.boot.clone(), addresses.clone()) {
                asker.tell(&addresses).await?;
                told = (answer.boot.clone(), addresses);
            }
            anyhow::Ok(answer.into_report())
        });
        let report = match answer.await {
            Ok(Ok(report)) => Some(report),
            Ok(Err(error)) => {
                tracing::debug!(pod = asker.target.server_name, "no answer: {error:#}");
                None
            }
            Err(_) => None,
        };
        failures = if report.is_some() { 0 } else { failures.saturating_add(1) };
        if report.is_none() {
            asker.metrics.polls_failed.inc();
        }
        if report.is_some() || failures >= FAILURES_UNTIL_SILENT {
            asker.keep(report);
        }
        let quick = asker.shared.quick.load(Ordering::Relaxed);
        let pause = match failures {
            0 if !quick => SLOW_INTERVAL,
            0 => QUICK_INTERVAL,
            times => QUICK_INTERVAL.saturating_mul(1 << times.min(8)).min(SLOW_INTERVAL),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asker.shared.poke.notified() => {}
        }
    }
}

impl Asker {
    async fn ask(&self) -> anyhow::Result<StatusAnswer> {
        let body = self.request(Method::GET, "/status?brief", String::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn tell(&self, addresses: &str) -> anyhow::Result<()> {
        self.request(Method::PUT, "/addresses", addresses.to_owned()).await.map(drop)
    }

    /// One request on a connection of its own: thousands that wait idle would cost more memory than
    /// handshakes cost time.
    async fn request(&self, method: Method, path: &str, body: String) -> anyhow::Result<Bytes> {
        let stream = TcpStream::connect(self.target.address).await?;
        let name = ServerName::try_from(self.target.server_name.clone())?;
        let stream = self.tls.connect(name, stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.target.server_name)
            .body(Full::new(Bytes::from(body)))?;
        let answer = async {
            let response = sender.send_request(request).await?;
            anyhow::ensure!(
                response.status().is_success(),
                "{path}: answers {}",
                response.status()
            );
            let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
            Ok(body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes())
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            ended = &mut connection => {
                ended?;
                answer.await
            }
        }
    }

    /// Keeps the answer; what an object's status depends on is told at once.
    fn keep(&self, report: Option<DaemonReport>) {
        let mut kept = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner);
        let told =
            |report: &DaemonReport| DaemonReport { sessions: 0, endpoints: 0, ..report.clone() };
        let differs = kept.as_ref().map(told) != report.as_ref().map(told);
        *kept = report;
        drop(kept);
        if differs {
            // The receiver is gone only when the operator ends.
            let _ = self.changed.send(self.cluster.clone());
        }
    }
}

/// What is read of a daemon's `/status`.
#[derive(Deserialize)]
struct StatusAnswer {
    #[serde(default)]
    boot: String,
    version: String,
    configuration_hash: String,
    #[serde(default)]
    configuration_generation: u32,
    #[serde(default)]
    key_id: u32,
    #[serde(default)]
    members: Vec<MemberAnswer>,
    #[serde(default)]
    session_count: u32,
    #[serde(default)]
    endpoints: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct MemberAnswer {
    name: String,
}

impl StatusAnswer {
    fn into_report(self) -> DaemonReport {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        DaemonReport {
            version: self.version,
            configuration_hash: self.configuration_hash,
            generation: self.configuration_generation,
            key_id: self.key_id,
            members: self.members.into_iter().map(|member| member.name).collect(),
            sessions: self.session_count,
            endpoints: count(self.endpoints.len()),
        }
    }
}
