//! What the operator knows may be old: a watch over which nothing comes any more, and lists that are older than what
//! an operator before has done already.

use crate::world::{Operator, Start, World, config, wait};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use serde_json::json;
use spread_operator::caches::WATCH_TIMEOUT;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tower::{BoxError, Layer, Service};

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// Between the operator and the API server.
#[derive(Clone, Default)]
struct Between {
    /// Watches that were opened before so many freezes get nothing more.
    freezes: Arc<AtomicU64>,
    /// Answers to lists, by their address.
    lists: Arc<Mutex<BTreeMap<String, Bytes>>>,
    /// Lists of SpreadClusters are answered as they were before, and no watch of them is opened.
    past: Arc<watch::Sender<bool>>,
    /// Questions about one SpreadCluster.
    asked: Arc<AtomicU64>,
}

impl Between {
    async fn client(&self) -> Client {
        ClientBuilder::try_from(config().await).unwrap().with_layer(self).build()
    }
}

impl<S> Layer<S> for Between {
    type Service = Tampered<S>;
    fn layer(&self, inner: S) -> Self::Service {
        Tampered { inner, between: self.clone() }
    }
}

#[derive(Clone)]
struct Tampered<S> {
    inner: S,
    between: Between,
}

/// A body that ends in silence when it is frozen.
struct Freezing {
    inner: Answer,
    opened_at: u64,
    freezes: Arc<AtomicU64>,
}

impl http_body::Body for Freezing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        if self.freezes.load(Ordering::SeqCst) > self.opened_at { Poll::Pending } else { frame }
    }
}

impl<S, B> Service<Request<Body>> for Tampered<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError> + Send + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let between = self.between.clone();
        let address = request.uri().to_string();
        let is_watch = address.contains("watch=true");
        let of_clusters = address.contains("/spreadclusters?");
        let is_list = of_clusters && address.contains("limit=");
        if request.method() == Method::GET && address.contains("/spreadclusters/orders") {
            between.asked.fetch_add(1, Ordering::SeqCst);
        }
        // Nothing is sent before it is awaited.
        let answer = self.inner.call(request);
        Box::pin(async move {
            if is_watch && of_clusters {
                let mut past = between.past.subscribe();
                past.wait_for(|past| !past).await?;
            }
            let recorded = between.lists.lock().unwrap().get(&address).cloned();
            if let (true, true, Some(list)) = (is_list, *between.past.borrow(), recorded) {
                let body = Full::new(list).map_err(|never| match never {}).boxed_unsync();
                return Ok(Response::builder().body(body)?);
            }
            let opened_at = between.freezes.load(Ordering::SeqCst);
            let answer = answer.await?;
            let (head, body) = answer.into_parts();
            let body = body.map_err(Into::into).boxed_unsync();
            if is_list {
                let bytes = body.collect().await?.to_bytes();
                between.lists.lock().unwrap().insert(address, bytes.clone());
                let body = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
                return Ok(Response::from_parts(head, body));
            }
            let freezes = Arc::clone(&between.freezes);
            let body = if is_watch {
                Freezing { inner: body, opened_at, freezes }.boxed_unsync()
            } else {
                body
            };
            Ok(Response::from_parts(head, body))
        })
    }
}

async fn scaled_to(world: &World, replicas: u32) {
    wait(&format!("there are {replicas} daemons"), async || {
        let set = world.child("StatefulSet", "orders-r1").await;
        let found = &set.data["spec"]["replicas"];
        if *found == replicas { Ok(()) } else { Err(found.clone()) }
    })
    .await;
}

/// The connections stay open and nothing comes: nobody says that something is wrong.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn behind_watches_that_fell_silent_an_edit_is_seen_in_bounded_time() {
    let world = World::new("frozen").await;
    let between = Between::default();
    let client = Some(between.client().await);
    let _operator = Operator::start_with(&world, Start { client, ..Start::default() });
    world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    world.reason("orders", "Stalled", "Progressing").await;
    between.freezes.fetch_add(1, Ordering::SeqCst);
    world.apply("orders", &json!({"replicas": 2})).await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let set = world.child("StatefulSet", "orders-r1").await;
    assert_eq!(set.data["spec"]["replicas"], 1, "the watch is not silent: the test shows nothing");
    scaled_to(&world, 2).await;
    // The silence may be a little older than the edit; this machine may be slow.
    let bound = WATCH_TIMEOUT + Duration::from_secs(30);
    assert!(began.elapsed() < bound, "it took {:?}", began.elapsed());
}

/// A restarted operator is answered as if the last minutes had not been: it must not undo what they brought.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn lists_from_the_past_are_not_acted_on() {
    let world = World::new("past").await;
    let spec = |replicas: u32, budget: &str| json!({"replicas": replicas, "podDisruptionBudget": {"type": budget}});
    let operator = Operator::start(&world);
    world.apply("orders", &spec(4, "None")).await;
    world.child("StatefulSet", "orders-r1").await;
    world.reason("orders", "Stalled", "Progressing").await;
    operator.end().await;
    // One more starts and reads these lists; then the user asks for less, and later for more again.
    let between = Between::default();
    let client = Some(between.client().await);
    let operator = Operator::start_with(&world, Start { client, ..Start::default() });
    world.apply("orders", &spec(2, "None")).await;
    scaled_to(&world, 2).await;
    operator.end().await;
    let operator = Operator::start(&world);
    world.apply("orders", &spec(6, "Managed")).await;
    scaled_to(&world, 6).await;
    world.child("PodDisruptionBudget", "orders-r1").await;
    operator.end().await;

    // Each change of a spec is a generation; versions count what the controllers say of it, too.
    let before = world.child("StatefulSet", "orders-r1").await.metadata.generation;
    between.past.send_replace(true);
    between.asked.store(0, Ordering::SeqCst);
    let client = Some(between.client().await);
    let _operator = Operator::start_with(&world, Start { client, ..Start::default() });
    wait("a pass has asked whether its object is the newest", async || {
        if between.asked.load(Ordering::SeqCst) > 0 { Ok(()) } else { Err(()) }
    })
    .await;
    // Passes go on meanwhile.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = world.child("StatefulSet", "orders-r1").await.metadata.generation;
    assert_eq!(before, after, "it acted on the past");
    world.child("PodDisruptionBudget", "orders-r1").await;
    // The watches bring the present.
    between.past.send_replace(false);
    world.apply("orders", &spec(5, "Managed")).await;
    scaled_to(&world, 5).await;
}
