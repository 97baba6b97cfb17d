//! Passes over the objects of one scope: which one is next, several at a time, each a task of its own.

use crate::admin::ClusterKey;
use crate::caches::bounded;
use crate::context::Context;
use crate::copies::release;
use crate::queue::{Queue, Urgency};
use crate::reconcile::reconcile;
use crate::shelf::Trigger;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store, store, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Resource as _, ResourceExt as _};
use spread_operator_api::{SpreadCluster, requests};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Objects that are worked on at a time, of one scope.
const AT_A_TIME: usize = 16;
/// Time between two searches for clusters that are gone.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// As it is watched: what this operator cannot read is an object too.
pub type Guarded = DeserializeGuard<SpreadCluster>;

/// Passes over objects.
pub struct Passes {
    context: Arc<Context>,
    clusters: Store<Guarded>,
    writer: Writer<Guarded>,
    events: BoxStream<'static, watcher::Result<watcher::Event<Guarded>>>,
    queue: Queue<ClusterKey>,
    under_way: JoinSet<(ClusterKey, Option<Duration>)>,
}

impl Passes {
    /// Over the objects of this scope; nothing is done before they are run.
    pub fn new(api: Api<Guarded>, context: Arc<Context>) -> Self {
        let (clusters, writer) = store();
        let events = watcher(api, bounded()).default_backoff().modify(prune).boxed();
        Self {
            context,
            clusters,
            writer,
            events,
            queue: Queue::default(),
            under_way: JoinSet::new(),
        }
    }

    /// The objects that are there.
    pub fn clusters(&self) -> Store<Guarded> {
        self.clusters.clone()
    }

    /// Runs until `stop`, then lets the passes under way end.
    pub async fn run(
        mut self,
        mut triggers: mpsc::Receiver<Trigger>,
        mut leadership: watch::Receiver<bool>,
        mut stop: watch::Receiver<bool>,
    ) {
        let context = Arc::clone(&self.context);
        let usable = context.caches.usable();
        tokio::pin!(usable);
        let mut begun = false;
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            while begun
                && self.under_way.len() < AT_A_TIME
                && let Some(key) = self.queue.take(Instant::now())
            {
                self.begin(key);
            }
            let room = begun && self.under_way.len() < AT_A_TIME;
            let due = self.queue.next_due().filter(|_| room);
            tokio::select! {
                () = &mut usable, if !begun => begun = true,
                Some(event) = self.events.next() => self.take(event),
                Some((namespace, name)) = triggers.recv() => {
                    self.queue.add((namespace, name), Urgency::Usual, Instant::now());
                }
                Some(ended) = self.under_way.join_next() => self.ended(ended),
                () = wait_until(due) => {}
                Ok(()) = leadership.changed() => {
                    if *leadership.borrow_and_update() {
                        self.add_all();
                    }
                }
                _ = sweep.tick() => self.sweep(),
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        while self.under_way.join_next().await.is_some() {}
    }

    /// Begins a pass; one over an object that is gone has nothing to do.
    fn begin(&mut self, key: ClusterKey) {
        let reference = ObjectRef::new(&key.1).within(&key.0);
        let context = Arc::clone(&self.context);
        let Some(object) = self.clusters.get(&reference) else {
            if context.copies.as_ref().is_some_and(|copies| copies.has(&key)) {
                self.under_way.spawn(async move {
                    let again = release(&context, &key).await;
                    (key, again)
                });
            } else {
                self.queue.done(key, None, Instant::now());
            }
            return;
        };
        self.under_way.spawn(async move {
            let again = reconcile(object, context).await;
            (key, again)
        });
    }

    fn ended(&mut self, ended: Result<(ClusterKey, Option<Duration>), tokio::task::JoinError>) {
        let now = Instant::now();
        match ended {
            Ok((key, after)) => self.queue.done(key, after.map(|after| now + after), now),
            // Its object would never be looked at again: the next process does better.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn take(&mut self, event: watcher::Result<watcher::Event<Guarded>>) {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "the watch of SpreadClusters failed and is tried again");
                return;
            }
        };
        self.writer.apply_watcher_event(&event);
        match event {
            watcher::Event::Apply(object) => {
                let urgency = if is_edit(&object) { Urgency::Edit } else { Urgency::Usual };
                self.queue.add(key(&object), urgency, Instant::now());
            }
            watcher::Event::InitDone => self.add_all(),
            // Those that are gone are found by the sweep.
            watcher::Event::Delete(_) | watcher::Event::Init | watcher::Event::InitApply(_) => {}
        }
    }

    fn add_all(&mut self) {
        for object in self.clusters.state() {
            self.queue.add(key(&object), Urgency::Usual, Instant::now());
        }
    }

    fn sweep(&mut self) {
        self.context.sweep(|(namespace, name)| {
            self.clusters.get(&ObjectRef::new(name).within(namespace)).is_some()
        });
        let copied = self.context.copies.iter().flat_map(|copies| copies.clusters());
        for key in copied {
            if self.clusters.get(&ObjectRef::new(&key.1).within(&key.0)).is_none() {
                self.queue.add(key, Urgency::Usual, Instant::now());
            }
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

fn key(object: &Guarded) -> ClusterKey {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether the user asks for something that was not answered yet; all else is a status, by this operator.
fn is_edit(object: &Guarded) -> bool {
    let Ok(cluster) = &object.0 else { return true };
    let Some(status) = &cluster.status else { return true };
    let mut asked = cluster.metadata.annotations.iter().flatten();
    let answered = |(name, value): (&String, &String)| {
        let is_request = name == requests::RESTART || name == requests::ROTATE_KEYS;
        !is_request || status.last_handled_requests.get(name) == Some(value)
    };
    cluster.metadata.generation != Some(status.observed_generation) || !asked.all(answered)
}

/// Who owns which field of an object is more than all the rest of it, and read by nobody here.
fn prune(cluster: &mut Guarded) {
    cluster.meta_mut().managed_fields = None;
}

/// Forwards what happened from a task of its own, so that reading it keeps no pass waiting.
pub fn forward(
    triggers: impl Stream<Item = Trigger> + Send + 'static,
    into: mpsc::Sender<Trigger>,
    tasks: &mut JoinSet<()>,
) {
    tasks.spawn(async move {
        let mut triggers = std::pin::pin!(triggers);
        while let Some(trigger) = triggers.next().await {
            if into.send(trigger).await.is_err() {
                return;
            }
        }
    });
}
