//! What daemons say: the test plays the kubelet and serves their admin endpoints over mutual TLS.

use crate::world::{Operator, Start, World, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use spread_operator::kinds::secret_text;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Port of all stub daemons of a test; each has an address of its own.
pub const PORT: u16 = 24_805;

/// What a stub daemon answers.
#[derive(Clone, PartialEq)]
pub enum Answer {
    Status(Value),
    Hang,
}

/// Plays the kubelet for one cluster: gives pods an address and readiness, and serves their admin
/// endpoints. They have no node: one that sends no heartbeats would be taken for dead.
pub struct Kubelet {
    world: World,
    cluster: String,
    /// Secret that the next daemons have their certificate from.
    pub secret: String,
    /// Second and third byte of the stub daemons' addresses.
    net: u32,
    answers: Arc<Mutex<BTreeMap<u32, Answer>>>,
    servers: BTreeMap<u32, JoinHandle<()>>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.servers.values().for_each(JoinHandle::abort);
    }
}

impl Kubelet {
    pub fn new(world: &World, cluster: &str) -> Self {
        static NET: AtomicU32 = AtomicU32::new(1);
        Self {
            world: world.clone(),
            cluster: cluster.to_owned(),
            secret: format!("{cluster}-tls"),
            net: NET.fetch_add(1, Ordering::Relaxed),
            answers: Arc::default(),
            servers: BTreeMap::new(),
        }
    }

    fn api(world: &World) -> Api<Pod> {
        Api::namespaced(world.client.clone(), &world.namespace)
    }

    pub async fn pods(world: &World, cluster: &str) -> Vec<Pod> {
        let selector = format!("spread-operator.dev/cluster={cluster}");
        let listed = Self::api(world).list(&ListParams::default().labels(&selector)).await.unwrap();
        listed.items
    }

    /// All daemons see each other.
    pub fn whole(&self, slots: &[u32], key_id: u32) {
        self.component(slots, key_id);
    }

    /// These see each other.
    pub fn component(&self, slots: &[u32], key_id: u32) {
        let members: Vec<Value> =
            slots.iter().map(|slot| json!({"name": format!("d{slot}")})).collect();
        for slot in slots {
            let status = json!({
                "version": "1.0.0", "configuration_hash": "00ff", "key_id": key_id,
                "members": members, "session_count": 2,
            });
            self.answers.lock().unwrap().insert(*slot, Answer::Status(status));
        }
    }

    pub fn hang(&self, slot: u32) {
        self.answers.lock().unwrap().insert(slot, Answer::Hang);
    }

    fn address(&self, slot: u32) -> String {
        format!("127.{}.{}.{}", 40 + self.net / 250, self.net % 250, slot + 1)
    }

    /// Runs the pods of these slots as soon as they exist.
    pub async fn run(&mut self, slots: &[u32]) {
        for slot in slots {
            let name = format!("{}-r1-{slot}", self.cluster);
            let api = Self::api(&self.world);
            wait(&format!("pod {name} exists"), async || {
                api.get(&name).await.map(drop).map_err(|error| error.to_string())
            })
            .await;
            let address = self.address(*slot);
            let status = json!({"status": {
                "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }});
            api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
            self.serve(*slot).await;
        }
    }

    /// Shows the daemons of these slots what their Secret has now, as a kubelet does after a while.
    pub async fn refresh(&mut self, slots: &[u32]) {
        for slot in slots {
            if let Some(server) = self.servers.remove(slot) {
                server.abort();
                let _ = server.await;
            }
            self.serve(*slot).await;
        }
    }

    /// Uids of the pods by name.
    pub async fn uids(&self) -> BTreeMap<String, String> {
        let pods = Self::pods(&self.world, &self.cluster).await;
        pods.iter().map(|pod| (pod.name_any(), pod.uid().unwrap())).collect()
    }

    async fn serve(&mut self, slot: u32) {
        if self.servers.contains_key(&slot) {
            return;
        }
        let secret = self.world.child("Secret", &self.secret).await;
        let text = |key: &str| secret_text(&secret, key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(text("ca.crt").as_bytes()).unwrap()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider.clone(),
        );
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(text("tls.crt").as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(text("tls.key").as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind((self.address(slot), PORT)).await.unwrap();
        let (tls, answers) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&self.answers));
        self.servers.insert(
            slot,
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (tls, answers) = (tls.clone(), Arc::clone(&answers));
                    tokio::spawn(async move {
                        let Ok(mut stream) = tls.accept(stream).await else { return };
                        let mut request = [0; 4096];
                        while stream.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                            let answer = answers.lock().unwrap().get(&slot).cloned();
                            let Some(Answer::Status(status)) = answer else {
                                return std::future::pending::<()>().await;
                            };
                            let body = status.to_string();
                            let size = body.len();
                            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                        }
                    });
                }
            }),
        );
    }
}

/// An operator that asks stub daemons.
pub fn start(world: &World) -> Operator {
    Operator::start_with(world, Start { admin_port: Some(PORT), ..Start::default() })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_ring_that_is_whole_is_ready_and_a_split_one_is_told() {
    let world = World::new("ready").await;
    let _operator = start(&world);
    world.apply("orders", &json!({"replicas": 3, "slots": {"initial": 5}})).await;
    let mut kubelet = Kubelet::new(&world, "orders");
    kubelet.whole(&[0, 1, 2], 1);
    kubelet.run(&[0, 1, 2]).await;
    world.reason("orders", "Ready", "Ready").await;
    let status = world.clusters().get("orders").await.unwrap().status.unwrap();
    let ring = &status.rings[0];
    assert_eq!((ring.members.in_ring, ring.key_id, ring.daemon_version.as_str()), (3, 1, "1.0.0"));
    assert_eq!((status.slots.used, status.slots.free, status.ready_replicas), (3, 2, 3));
    assert_eq!(ring.configuration.hash, "00ff");
    kubelet.component(&[0, 1], 1);
    kubelet.component(&[2], 1);
    world.reason("orders", "Degraded", "MembershipSplit").await;
    world.reason("orders", "MembershipConsistent", "Split").await;
    kubelet.whole(&[0, 1, 2], 1);
    world.reason("orders", "Ready", "Ready").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn a_new_image_takes_one_daemon_at_a_time_and_only_from_a_whole_ring() {
    let world = World::new("roll").await;
    let _operator = start(&world);
    world.apply("orders", &json!({"replicas": 3, "image": "spreadd:1"})).await;
    let mut kubelet = Kubelet::new(&world, "orders");
    kubelet.whole(&[0, 1, 2], 1);
    kubelet.run(&[0, 1, 2]).await;
    world.reason("orders", "Ready", "Ready").await;
    let mut before = kubelet.uids().await;
    world.apply("orders", &json!({"replicas": 3, "image": "spreadd:2"})).await;
    for slot in [2, 1, 0] {
        let taken = format!("orders-r1-{slot}");
        let others: Vec<u32> = [0, 1, 2].into_iter().filter(|other| *other != slot).collect();
        let after = wait(&format!("d{slot} is replaced"), async || {
            let now = kubelet.uids().await;
            match now.get(&taken) {
                Some(uid) if *uid != before[&taken] && now.len() == 3 => Ok(now),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        for other in &others {
            let other = format!("orders-r1-{other}");
            assert_eq!(before[&other], after[&other], "{other} was replaced together with {taken}");
        }
        before = after;
        // Until it is in the ring, nothing more is taken.
        kubelet.component(&others, 1);
        kubelet.hang(slot);
        kubelet.run(&[slot]).await;
        world.reason("orders", "Ready", "Degraded").await;
        assert_eq!(kubelet.uids().await, before);
        kubelet.whole(&[0, 1, 2], 1);
    }
    world.reason("orders", "Ready", "Ready").await;
    let pods = Kubelet::pods(&world, "orders").await;
    assert!(
        pods.iter()
            .all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref()
                == Some("spreadd:2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn keys_rotate_on_request_and_the_old_one_goes_when_nobody_uses_it() {
    let world = World::new("rotate").await;
    let _operator = start(&world);
    world.apply("orders", &json!({"replicas": 2})).await;
    let mut kubelet = Kubelet::new(&world, "orders");
    kubelet.whole(&[0, 1], 1);
    kubelet.run(&[0, 1]).await;
    world.reason("orders", "Ready", "Ready").await;
    let ids = async |expected: &[u32]| {
        wait(&format!("the keys are {expected:?}"), async || {
            let secret = world.child("Secret", "orders-ring").await;
            let ids = spread_plan::key_ids(&secret_text(&secret, "ring.key").unwrap());
            if ids == expected { Ok(()) } else { Err(ids) }
        })
        .await;
    };
    ids(&[1]).await;
    world.annotate("orders", "spread-operator.dev/rotate-keys", "a").await;
    ids(&[1, 2]).await;
    kubelet.whole(&[0, 1], 2);
    ids(&[2]).await;
    wait("it is answered", async || {
        let status = world.clusters().get("orders").await.unwrap().status.unwrap();
        let handled = status.last_handled_requests.get("spread-operator.dev/rotate-keys").cloned();
        if handled.as_deref() == Some("a") { Ok(()) } else { Err(handled) }
    })
    .await;
    // The same value again does nothing.
    world.annotate("orders", "example.org/look", "now").await;
    world.reason("orders", "Ready", "Ready").await;
    ids(&[2]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn daemons_that_hang_delay_no_other_object() {
    let world = World::new("hanging").await;
    let _operator = start(&world);
    let mut hanging = Vec::new();
    for number in 0..5 {
        let name = format!("hangs-{number}");
        world.apply(&name, &json!({"replicas": 2})).await;
        let mut kubelet = Kubelet::new(&world, &name);
        kubelet.run(&[0, 1]).await;
        hanging.push(kubelet);
    }
    world.apply("orders", &json!({"replicas": 2})).await;
    let mut kubelet = Kubelet::new(&world, "orders");
    kubelet.whole(&[0, 1], 1);
    kubelet.run(&[0, 1]).await;
    world.reason("orders", "Ready", "Ready").await;
    let message = world.reason("hangs-0", "Degraded", "MembersMissing").await;
    assert!(message.contains("no answer from d0, d1"), "{message}");
}
