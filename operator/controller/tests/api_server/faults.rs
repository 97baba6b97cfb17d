//! A layer between the operator and the API server that fails: replies lost after the write, conflicts,
//! throttling, errors, closed watches.

use crate::world::{Operator, Start, World, config, wait};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use kube::client::{Body, ClientBuilder};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use tower::{BoxError, Layer, Service};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// It is done, and the answer never comes.
    LostAfter,
    /// It is not done, and no answer comes.
    LostBefore,
    /// It is answered so, and not done.
    Answer(u16),
}

type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// Faults from a seed, for so many requests of each kind; then all is well.
#[derive(Clone)]
struct Faults {
    seed: u64,
    left: Arc<AtomicU64>,
    count: Arc<AtomicU64>,
}

impl Faults {
    fn next(&self, request: &Request<Body>) -> Fault {
        let writes = request.method() != http::Method::GET;
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let left =
            self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return Fault::None;
        }
        // A splitmix step: the same seed gives the same faults.
        let mut z = self.seed.wrapping_add(
            self.count.fetch_add(1, Ordering::SeqCst).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        );
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (z ^ (z >> 31)) % 20 {
            0 | 1 if writes => Fault::LostAfter,
            2 => Fault::LostBefore,
            3 if writes => Fault::Answer(409),
            4 if watch => Fault::Answer(410),
            5 => Fault::Answer(429),
            6 => Fault::Answer(500),
            7 => Fault::Answer(503),
            _ => Fault::None,
        }
    }
}

impl<S> Layer<S> for Faults {
    type Service = Faulty<S>;
    fn layer(&self, inner: S) -> Self::Service {
        Faulty { inner, faults: self.clone() }
    }
}

#[derive(Clone)]
struct Faulty<S> {
    inner: S,
    faults: Faults,
}

impl<S, B> Service<Request<Body>> for Faulty<S>
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
        let fault = self.faults.next(&request);
        let lost = || -> BoxError { "the reply is lost".into() };
        match fault {
            Fault::None | Fault::LostAfter => {
                let answer = self.inner.call(request);
                Box::pin(async move {
                    let answer = answer.await?;
                    match fault {
                        Fault::LostAfter => Err(lost()),
                        _ => Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync())),
                    }
                })
            }
            Fault::LostBefore => Box::pin(async move { Err(lost()) }),
            Fault::Answer(code) => Box::pin(async move {
                let body = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                    "message": "planted", "reason": "Planted", "metadata": {}, "details": {},
                });
                let planted = Full::new(Bytes::from(body.to_string()));
                let planted = planted.map_err(|never| match never {}).boxed_unsync();
                let code = StatusCode::from_u16(code)?;
                Ok(Response::builder().status(code).body(planted)?)
            }),
        }
    }
}

async fn faulty_client(seed: u64, requests: u64) -> Client {
    let faults = Faults { seed, left: Arc::new(AtomicU64::new(requests)), count: Arc::default() };
    ClientBuilder::try_from(config().await).unwrap().with_layer(&faults).build()
}

/// Through eighty requests of which every third fails: everything is there in the end, made
/// once, and whatever was random in it stays.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn it_converges_through_lost_replies_conflicts_and_errors() {
    // Side by side: most of the time the operator waits after a failure.
    futures::future::join_all((1..=4).map(converges)).await;
}

async fn converges(seed: u64) {
    let world = World::new(&format!("faults-{seed}")).await;
    let client = Some(faulty_client(seed, 80).await);
    let _operator = Operator::start_with(&world, Start { client, ..Start::default() });
    world.apply("orders", &json!({"replicas": 2})).await;
    world.made("orders").await;
    let ring = world.child("Secret", "orders-ring").await;
    world.apply("orders", &json!({"replicas": 4})).await;
    wait("it is scaled", async || {
        let set = world.child("StatefulSet", "orders-r1").await;
        match &set.data["spec"]["replicas"] {
            replicas if *replicas == 4 => Ok(()),
            replicas => Err(replicas.clone()),
        }
    })
    .await;
    world.reason("orders", "Stalled", "Progressing").await;
    world.reason("orders", "Reconciling", "Scaling").await;
    let again = world.child("Secret", "orders-ring").await;
    assert_eq!(ring.data["data"], again.data["data"]);
    assert_eq!(ring.uid(), again.uid());
}
