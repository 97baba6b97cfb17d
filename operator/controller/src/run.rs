//! The operator as a whole: election, a controller per scope, and the end in order.

use crate::admin::{ClusterKey, Poller};
use crate::caches::{Caches, bounded};
use crate::context::{Context, Memory};
use crate::copies::Copies;
use crate::held::node_fact;
use crate::leader::{Candidate, Leadership};
use crate::metrics::Metrics;
use crate::passes::{Guarded, Passes, forward};
use crate::points::Points;
use crate::settings::Settings;
use crate::web;
use crate::wide::Wide;
use crate::write::Writer;
use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::Api;
use kube::runtime::events::{Recorder, Reporter};
use spread_operator_api::PRODUCT;
use spread_plan::{NodeFact, OperatorDefaults};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Name of the Lease.
const LEASE: &str = "spread-operator";
/// Things that happened and were not put into the queue yet; more wait where they come from.
const TRIGGERS: usize = 1024;

/// What a test may change.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Called at each write.
    pub points: Points,
    /// Port of admin endpoints.
    pub admin_port: Option<u16>,
}

/// Runs until `stop`, then ends in order.
pub async fn run(
    client: Client,
    settings: Settings,
    hooks: Hooks,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let metrics = Arc::new(Metrics::default());
    let synced = Arc::new(AtomicBool::new(false));
    let listener = web::bind(settings.listen).await?;
    let mut side_tasks = JoinSet::new();
    let (served_metrics, served_synced) = (Arc::clone(&metrics), Arc::clone(&synced));
    side_tasks.spawn(async move {
        if let Err(error) = web::serve(listener, served_metrics, served_synced).await {
            tracing::error!("the metrics endpoint ended: {error:#}");
        }
    });
    let (give_back, election_stop) = watch::channel(false);
    let (leadership, mut election) = elect(&client, &settings, &hooks, election_stop);
    follow_leadership(&mut side_tasks, &leadership, &metrics);
    // Read by the queues, which keep each cluster once.
    let (changed, changes) = mpsc::unbounded_channel();
    let shared = Shared {
        writer: Arc::new(Writer::new(
            client.clone(),
            leadership.clone(),
            hooks.points.clone(),
            Arc::clone(&metrics),
        )),
        poller: Arc::new(Poller::new(Arc::clone(&metrics), changed.clone())),
        nodes: Arc::new(Wide::new(client.clone(), bounded(), node_fact, changed.clone())),
        changed,
        metrics,
        leadership,
        client,
        settings,
        hooks,
        stop,
    };
    run_scopes(&shared, changes, &synced).await?;
    // Nothing is written any more: others may go on.
    give_back.send_replace(true);
    while let Some(ended) = election.join_next().await {
        ended.context("the election ended badly")?;
    }
    Ok(())
}

struct Shared {
    client: Client,
    settings: Settings,
    hooks: Hooks,
    writer: Arc<Writer>,
    poller: Arc<Poller>,
    nodes: Arc<Wide<Node, NodeFact>>,
    changed: mpsc::UnboundedSender<ClusterKey>,
    metrics: Arc<Metrics>,
    leadership: Leadership,
    stop: watch::Receiver<bool>,
}

fn elect(
    client: &Client,
    settings: &Settings,
    hooks: &Hooks,
    stop: watch::Receiver<bool>,
) -> (Leadership, JoinSet<()>) {
    let mut election = JoinSet::new();
    if !settings.leader_election {
        return (Leadership::always(), election);
    }
    let api = Api::namespaced(client.clone(), &settings.namespace);
    let candidate = Candidate::new(api, LEASE, &settings.identity, hooks.points.clone());
    let leadership = candidate.leadership();
    election.spawn(candidate.run(stop));
    (leadership, election)
}

fn follow_leadership(tasks: &mut JoinSet<()>, leadership: &Leadership, metrics: &Arc<Metrics>) {
    let (mut changes, metrics) = (leadership.changes(), Arc::clone(metrics));
    tasks.spawn(async move {
        loop {
            let leads = *changes.borrow_and_update();
            metrics.leader.set(i64::from(leads));
            tracing::info!(leads, "leadership");
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
}

/// A controller for each namespace that is watched, or one for all.
async fn run_scopes(
    shared: &Shared,
    mut changes: mpsc::UnboundedReceiver<ClusterKey>,
    synced: &Arc<AtomicBool>,
) -> Result<()> {
    let namespaces: Vec<Option<String>> = match &*shared.settings.watch_namespaces {
        [] => vec![None],
        listed => listed.iter().cloned().map(Some).collect(),
    };
    let mut controllers = JoinSet::new();
    let mut complete = Vec::new();
    let mut queues = BTreeMap::new();
    for namespace in namespaces {
        let (triggers, triggered) = mpsc::channel(TRIGGERS);
        let (done, is_done) = watch::channel(false);
        queues.insert(namespace.clone(), triggers.clone());
        complete.push(is_done);
        controllers.spawn(run_scope(shared, namespace, triggers, triggered, done));
    }
    let route = async move {
        while let Some(key) = changes.recv().await {
            let queue = queues.get(&Some(key.0.clone())).or_else(|| queues.get(&None));
            if let Some(queue) = queue
                && queue.send(key).await.is_err()
            {
                return;
            }
        }
    };
    let announce = async {
        for mut is_done in complete {
            let _ = is_done.wait_for(|done| *done).await;
        }
        synced.store(true, Ordering::Relaxed);
        tracing::info!("the caches are complete");
        std::future::pending::<()>().await;
    };
    let all_ended = async { while controllers.join_next().await.is_some() {} };
    tokio::select! {
        () = all_ended => {}
        () = route => {}
        () = announce => {}
    }
    Ok(())
}

fn run_scope(
    shared: &Shared,
    namespace: Option<String>,
    triggers: mpsc::Sender<ClusterKey>,
    triggered: mpsc::Receiver<ClusterKey>,
    complete: watch::Sender<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let api: Api<Guarded> = match &namespace {
        Some(namespace) => Api::namespaced(shared.client.clone(), namespace),
        None => Api::all(shared.client.clone()),
    };
    let (caches, child_triggers) = Caches::watch(&shared.client, namespace.as_deref());
    let (copies, copy_triggers) = match &namespace {
        // Namespaces are of the whole cluster.
        Some(_) => (None, None),
        None => {
            let (copies, triggers) = Copies::watch(&shared.client, shared.changed.clone());
            (Some(copies), Some(triggers))
        }
    };
    let reporter =
        Reporter { controller: PRODUCT.into(), instance: Some(shared.settings.identity.clone()) };
    let context = Arc::new(Context {
        client: shared.client.clone(),
        writer: Arc::clone(&shared.writer),
        poller: Arc::clone(&shared.poller),
        nodes: Arc::clone(&shared.nodes),
        copies,
        caches,
        defaults: OperatorDefaults {
            image: shared.settings.daemon_image.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: shared.settings.namespace.clone(),
        },
        leadership: shared.leadership.clone(),
        metrics: Arc::clone(&shared.metrics),
        recorder: Recorder::new(shared.client.clone(), reporter),
        admin_port: shared.hooks.admin_port,
        memory: Memory::default(),
    });
    let (leadership, stop) = (shared.leadership.changes(), shared.stop.clone());
    async move {
        let mut sources = JoinSet::new();
        forward(child_triggers, triggers.clone(), &mut sources);
        if let Some(copy_triggers) = copy_triggers {
            forward(copy_triggers, triggers, &mut sources);
        }
        let passes = Passes::new(api, Arc::clone(&context));
        let clusters = passes.clusters();
        let announce = async {
            // The writer lives as long as the passes.
            let _ = clusters.wait_until_ready().await;
            context.caches.complete().await;
            complete.send_replace(true);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = passes.run(triggered, leadership, stop) => {}
            () = announce => {}
        }
    }
}
