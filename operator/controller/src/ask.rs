//! One daemon that is asked: at once and often after anything changed, more and more seldom while nothing does.

use crate::admin::{Answer, ClusterKey, Target};
use crate::connectors::Connectors;
use crate::metrics::Metrics;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Method;
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use spread_plan::DaemonReport;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer, in bytes.
const ANSWER_MAX_BYTES: usize = 8 << 20;
/// Time between two questions after something changed; it doubles while nothing more does.
const QUICK_INTERVAL: Duration = Duration::from_millis(500);
/// Longest time between two questions to one that does not answer.
const SILENT_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two questions to a cluster at rest: its daemons are asked in turn, since each of them sees when
/// another one goes.
const TURN_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time between two questions to one daemon, however many there are.
const SLOW_INTERVAL: Duration = Duration::from_secs(60);
/// After so many failures in a row the last answer no longer counts.
const FAILURES_UNTIL_SILENT: u32 = 3;

/// What the cluster's passes want of one daemon's questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orders {
    /// Where the cluster's daemons are, as JSON: they are told, because the operator sees a pod's address before a
    /// name server does.
    pub addresses: Arc<str>,
    /// Nothing is to come.
    pub at_rest: bool,
    /// This daemon's place among the cluster's.
    pub turn: usize,
    /// So many daemons are asked.
    pub daemons: usize,
}

/// Asks one daemon.
pub struct Asker {
    /// The daemon's cluster.
    pub cluster: ClusterKey,
    /// The daemon.
    pub target: Arc<Target>,
    /// How it is spoken to.
    pub connectors: Arc<Connectors>,
    /// Where its last answer is kept.
    pub answer: Arc<Mutex<Answer>>,
    /// How it is to be asked.
    pub orders: watch::Receiver<Orders>,
    /// What changed at the cluster's other daemons.
    pub heard: watch::Receiver<u64>,
    /// The same, to be told.
    pub news: Arc<watch::Sender<u64>>,
    /// Gets the cluster when something changed.
    pub changed: mpsc::UnboundedSender<ClusterKey>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Places for questions.
    pub places: Arc<Semaphore>,
    /// Places for questions to those that did not answer.
    pub silent_places: Arc<Semaphore>,
}

impl Asker {
    /// Asks until it is aborted. What is large exists only while a question is under way: thousands wait most
    /// of the time.
    pub async fn ask_always(mut self) {
        let (mut failures, mut unchanged) = (0_u32, 0_u32);
        // A hash of what the daemon was told, and in which of its lives.
        let mut told = 0;
        let begin = Instant::now();
        loop {
            let orders = self.orders.borrow_and_update().clone();
            self.heard.mark_unchanged();
            let report = Box::pin(self.ask_once(&orders, failures, &mut told)).await;
            failures = if report.is_some() { 0 } else { failures.saturating_add(1) };
            let known = report.is_some() || failures >= FAILURES_UNTIL_SILENT;
            let differs = known && self.keep(report.map_or(Answer::Silent, Answer::Says));
            unchanged = if differs { 0 } else { unchanged.saturating_add(1) };
            let pause = pause(failures, unchanged, &orders, begin.elapsed());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The senders live as long as this task.
                _ = self.orders.changed() => unchanged = 0,
                _ = self.heard.changed() => unchanged = 0,
            }
        }
    }

    /// One question, and the addresses if it does not know them yet.
    async fn ask_once(
        &self,
        orders: &Orders,
        failures: u32,
        told: &mut u64,
    ) -> Option<DaemonReport> {
        let places = if failures == 0 { &self.places } else { &self.silent_places };
        // They are never closed.
        let _place = places.acquire().await.ok()?;
        self.metrics.polls.inc();
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, async {
            let mut last = Err(anyhow::anyhow!("no certificate to ask with"));
            for (place, tls) in self.connectors.all().iter().enumerate() {
                last = self.exchange(tls, orders, told).await;
                if last.is_ok() {
                    self.connectors.accepted(place);
                    break;
                }
            }
            last
        });
        let problem = match answer.await {
            Ok(Ok(report)) => return Some(report),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("nothing in {} s", ANSWER_TIMEOUT.as_secs()),
        };
        tracing::debug!(pod = self.target.server_name, "no answer: {problem}");
        self.metrics.polls_failed.inc();
        None
    }

    /// All that is asked at a time goes over one connection. None is kept: thousands that wait idle would cost more memory
    /// than handshakes cost time.
    async fn exchange(
        &self,
        tls: &TlsConnector,
        orders: &Orders,
        told: &mut u64,
    ) -> anyhow::Result<DaemonReport> {
        let stream = TcpStream::connect(self.target.address).await?;
        let name = ServerName::try_from(self.target.server_name.clone())?;
        let stream = tls.connect(name, stream).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let questions = async {
            let body = self.request(&mut sender, Method::GET, "/status?brief", String::new()).await;
            let answer: StatusAnswer = serde_json::from_slice(&body?)?;
            let to_tell = hash(&(&answer.boot, &orders.addresses));
            if *told != to_tell {
                sender.ready().await?;
                let body = orders.addresses.to_string();
                self.request(&mut sender, Method::PUT, "/addresses", body).await?;
                *told = to_tell;
            }
            Ok(answer.into_report())
        };
        tokio::pin!(questions, connection);
        tokio::select! {
            report = &mut questions => report,
            ended = &mut connection => {
                ended?;
                questions.await
            }
        }
    }

    async fn request(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        method: Method,
        path: &str,
        body: String,
    ) -> anyhow::Result<Bytes> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.target.server_name)
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        anyhow::ensure!(status.is_success(), "{path}: answers {status}");
        let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
        Ok(body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes())
    }

    /// Keeps the answer. What an object's status depends on is told at once, and the other daemons are asked: they see
    /// the same change.
    fn keep(&mut self, answer: Answer) -> bool {
        let told = |answer: &Answer| match answer {
            Answer::Says(report) => {
                Answer::Says(DaemonReport { sessions: 0, endpoints: 0, ..report.clone() })
            }
            other => other.clone(),
        };
        let mut kept = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = told(&kept) != told(&answer);
        // The first answer says nothing of the others.
        let is_news = differs && *kept != Answer::Unasked;
        *kept = answer;
        drop(kept);
        if is_news {
            self.news.send_modify(|news| *news += 1);
            self.heard.mark_unchanged();
        }
        if differs {
            // The receiver is gone only when the operator ends.
            let _ = self.changed.send(self.cluster.clone());
        }
        differs
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// How long to wait before the next question. `unchanged` counts answers since the last change, `elapsed` is the time
/// since this daemon was asked first.
fn pause(failures: u32, unchanged: u32, orders: &Orders, elapsed: Duration) -> Duration {
    let doubled = |times: u32| QUICK_INTERVAL.saturating_mul(1 << times.min(8));
    if failures > 0 {
        return doubled(failures - 1).min(SILENT_INTERVAL);
    }
    let daemons = u32::try_from(orders.daemons.max(1)).unwrap_or(u32::MAX);
    let slow = TURN_INTERVAL.saturating_mul(daemons).min(SLOW_INTERVAL);
    if !orders.at_rest && doubled(unchanged) < slow {
        return doubled(unchanged);
    }
    // Each daemon has its place in the cluster's round, so that one of them is asked every few seconds.
    let turn = u32::try_from(orders.turn).unwrap_or(u32::MAX);
    let place = slow.saturating_mul(turn) / daemons;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (round, place, elapsed) = (millis(slow), millis(place), millis(elapsed));
    let wait = round - (elapsed % round + round - place) % round;
    Duration::from_millis(wait).max(QUICK_INTERVAL)
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

#[cfg(test)]
mod tests {
    use super::{Orders, QUICK_INTERVAL, SILENT_INTERVAL, SLOW_INTERVAL, TURN_INTERVAL, pause};
    use std::time::Duration;

    fn orders(at_rest: bool, turn: usize, daemons: usize) -> Orders {
        Orders { addresses: "".into(), at_rest, turn, daemons }
    }

    /// Moments in which a daemon is asked within so long, if nothing changes.
    fn asked(orders: &Orders, within: Duration) -> Vec<Duration> {
        let (mut now, mut unchanged, mut moments) = (Duration::ZERO, 0, Vec::new());
        while now < within {
            moments.push(now);
            now += pause(0, unchanged, orders, now);
            unchanged += 1;
        }
        moments
    }

    /// Whether its cluster is whole or not: a daemon that says the same for minutes is asked seldom.
    #[test]
    fn questions_become_seldom_while_nothing_changes() {
        let minute = Duration::from_secs(60);
        for daemons in [1, 3, 100] {
            let unrest = asked(&orders(false, 0, daemons), 11 * minute);
            assert_eq!(unrest[1], QUICK_INTERVAL);
            let late = unrest.iter().filter(|moment| **moment >= minute).count();
            let slow = TURN_INTERVAL.saturating_mul(daemons as u32).min(SLOW_INTERVAL);
            let most = (10 * minute).as_secs() / slow.as_secs() + 1;
            assert!(late as u64 <= most, "{late} questions in ten minutes, at most {most}");
        }
    }

    /// At rest a cluster is asked as often as if it had one daemon only: in turn.
    #[test]
    fn a_cluster_at_rest_is_asked_in_turn() {
        let mut all: Vec<Duration> = (0..3)
            .flat_map(|turn| asked(&orders(true, turn, 3), Duration::from_secs(301)))
            .filter(|moment| *moment > SLOW_INTERVAL)
            .collect();
        all.sort_unstable();
        for pair in all.windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart >= TURN_INTERVAL / 2 && apart <= TURN_INTERVAL * 3 / 2, "{all:?}");
        }
    }

    #[test]
    fn whoever_does_not_answer_is_asked_less_and_less() {
        let pauses: Vec<Duration> = (1..12)
            .map(|failures| pause(failures, 0, &orders(true, 0, 3), Duration::ZERO))
            .collect();
        assert!(pauses.is_sorted() && pauses[0] == QUICK_INTERVAL, "{pauses:?}");
        assert_eq!(pauses.last(), Some(&SILENT_INTERVAL));
    }
}
