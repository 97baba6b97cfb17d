//! The operator as a whole: election, a controller per scope, and the end in order.

use crate::admin::{ClusterKey, Poller};
use crate::caches::Caches;
use crate::context::{Context, Parts};
use crate::leader::{Candidate, Leadership};
use crate::metrics::Metrics;
use crate::points::Points;
use crate::reconcile::reconcile;
use crate::settings::Settings;
use crate::web;
use crate::write::Writer;
use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Config as ControllerConfig, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::{self, ObjectRef, reflector};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource as _};
use spread_operator_api::{PRODUCT, SpreadCluster};
use spread_plan::OperatorDefaults;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Name of the Lease.
const LEASE: &str = "spread-operator";
/// Objects that are worked on at a time, of one scope.
const CONCURRENCY: u16 = 16;
/// Events of one object within so long make one pass.
const DEBOUNCE: Duration = Duration::from_millis(20);
/// Time between two searches for clusters that are gone.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Changes that daemons' answers may bring at a time; more wait with the sender.
const CHANGES: usize = 1024;

type Guarded = DeserializeGuard<SpreadCluster>;

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
    let (poller, changes) = Poller::new(Arc::clone(&metrics));
    let shared = Shared {
        writer: Arc::new(Writer::new(
            client.clone(),
            leadership.clone(),
            hooks.points.clone(),
            Arc::clone(&metrics),
        )),
        poller: Arc::new(poller),
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
        let (queue, changed) = mpsc::channel(CHANGES);
        let (done, is_done) = watch::channel(false);
        queues.insert(namespace.clone(), queue);
        complete.push(is_done);
        controllers.spawn(run_scope(shared, namespace, changed, done));
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
    changed: mpsc::Receiver<ClusterKey>,
    complete: watch::Sender<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let api: Api<Guarded> = match &namespace {
        Some(namespace) => Api::namespaced(shared.client.clone(), namespace),
        None => Api::all(shared.client.clone()),
    };
    let (caches, child_triggers) = Caches::watch(&shared.client, namespace.as_deref());
    let reporter =
        Reporter { controller: PRODUCT.into(), instance: Some(shared.settings.identity.clone()) };
    let context = Arc::new(Context::new(Parts {
        client: shared.client.clone(),
        writer: Arc::clone(&shared.writer),
        poller: Arc::clone(&shared.poller),
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
    }));
    let daemon_triggers = stream::unfold(changed, |mut changed| async {
        changed.recv().await.map(|key| (key, changed))
    });
    let triggers = stream::select(child_triggers, daemon_triggers);
    let mut stop = shared.stop.clone();
    let (clusters, writer) = reflector::store();
    let watched = reflector(writer, watcher(api, watcher::Config::default()).modify(prune_cluster));
    let controller = Controller::for_stream(watched.applied_objects(), clusters.clone())
        .with_config(ControllerConfig::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .reconcile_on(triggers.map(|(namespace, name)| ObjectRef::new(&name).within(&namespace)))
        .reconcile_all_on(on_promotion(&shared.leadership))
        .graceful_shutdown_on(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
    let passes = {
        let context = Arc::clone(&context);
        controller.run(reconcile, |_, error: &std::convert::Infallible, _| match *error {}, context)
    };
    async move {
        let side = async {
            let _ = clusters.wait_until_ready().await;
            context.caches.complete().await;
            complete.send_replace(true);
            loop {
                tokio::time::sleep(SWEEP_INTERVAL).await;
                context.sweep(|(namespace, name)| {
                    let reference = ObjectRef::new(name).within(namespace);
                    clusters.get(&reference).is_some()
                });
            }
        };
        let passes = passes.for_each(|pass| async move {
            if let Err(error) = pass {
                tracing::debug!(%error, "a pass ended early");
            }
        });
        tokio::select! {
            () = passes => {}
            () = side => {}
        }
    }
}

/// Who owns which field of an object is more than all the rest of it, and read by nobody here.
fn prune_cluster(cluster: &mut Guarded) {
    cluster.meta_mut().managed_fields = None;
}

/// Everything is looked at when this replica begins to lead.
fn on_promotion(leadership: &Leadership) -> impl futures::Stream<Item = ()> + Send + 'static {
    stream::unfold(leadership.changes(), |mut changes| async {
        loop {
            changes.changed().await.ok()?;
            if *changes.borrow_and_update() {
                return Some(((), changes));
            }
        }
    })
}
