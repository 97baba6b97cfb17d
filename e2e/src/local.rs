//! A control plane on loopback, for tests: no node, no root.

use crate::control_plane::{self, Setting};
use crate::kubectl::Kubectl;
use crate::launch::{Children, Launch as _};
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// First part of the folders' names; the process's id follows.
const PREFIX: &str = "spread-e2e-api-";
/// Services' addresses, which nobody reaches.
const SERVICES: &str = "10.79.0.0/16";
/// A port may be taken between looking for it and using it.
const TRIES: usize = 3;
/// What the commands say then.
const PORT_TAKEN: &str = "address already in use";

/// etcd and an API server of their own, ended and removed when dropped (and when this process dies).
///
/// ```no_run
/// let control_plane = spread_e2e::ControlPlane::start()?;
/// let client_config = control_plane.kubeconfig();
/// # Ok::<(), anyhow::Error>(())
/// ```
pub struct ControlPlane {
    folder: PathBuf,
    kubectl: Kubectl,
    /// The thread whose life the processes share.
    keeper: Option<(Sender<Order>, JoinHandle<()>)>,
}

/// What the keeper is asked to do; it answers when done.
enum Order {
    StopApiServer(Sender<Result<()>>),
    StartApiServer(Sender<Result<()>>),
}

impl ControlPlane {
    /// etcd and the API server. Nothing acts on objects: no garbage collection, namespaces stay "terminating",
    /// StatefulSets make no pods. Pods are admitted without a service account.
    ///
    /// # Errors
    /// A command can't be built (see [`crate::missing_for_api_server`]) or does not start; the end of its log is told.
    pub fn start() -> Result<Self> {
        Self::with(false)
    }

    /// The same with Kubernetes' controllers: owners' dependents and namespaces are collected, StatefulSets make pods
    /// (that no node runs), Services have EndpointSlices.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub fn start_with_controllers() -> Result<Self> {
        Self::with(true)
    }

    fn with(controllers: bool) -> Result<Self> {
        if let Some(missing) = crate::missing_for_api_server() {
            bail!(missing);
        }
        sweep();
        let mut tries = 1;
        loop {
            match Self::once(controllers) {
                Err(error) if tries < TRIES && format!("{error:#}").contains(PORT_TAKEN) => {
                    tries += 1
                }
                outcome => return outcome,
            }
        }
    }

    fn once(controllers: bool) -> Result<Self> {
        let folder = fresh_folder()?;
        let [api, client, peer] = free_ports()?;
        let setting = Setting {
            folder: folder.clone(),
            bind: "127.0.0.1".into(),
            // Loopback may not be advertised; this address is for documentation, and nobody asks for it.
            advertise: "192.0.2.1".into(),
            port: api,
            etcd: [client, peer],
            services: SERVICES.into(),
            service_accounts: controllers,
        };
        let server = format!("https://127.0.0.1:{api}");
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        control_plane::identities(&folder, &server, &names)?;
        let kubectl = Kubectl::new(&folder.join("admin.kubeconfig"))?;
        let (orders, ordered) = channel();
        let (started, outcome) = channel();
        let keeper = std::thread::Builder::new().name("control-plane".into());
        let client = kubectl.clone();
        let keeper =
            keeper.spawn(move || keep(&setting, &client, controllers, &started, &ordered))?;
        let plane = Self { folder, kubectl, keeper: Some((orders, keeper)) };
        outcome.recv().context("the control plane's thread ended")??;
        Ok(plane)
    }

    /// Path of the administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Folder with the logs and certificates; gone when dropped.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills the API server; the store stays.
    ///
    /// # Errors
    /// The control plane has ended.
    pub fn stop_api_server(&self) -> Result<()> {
        self.order(Order::StopApiServer)
    }

    /// Starts the API server again on the same port and waits until it serves.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_api_server(&self) -> Result<()> {
        self.order(Order::StartApiServer)
    }

    fn order(&self, order: impl FnOnce(Sender<Result<()>>) -> Order) -> Result<()> {
        let (answer, answered) = channel();
        let (orders, _) = self.keeper.as_ref().context("the control plane has ended")?;
        orders.send(order(answer)).ok().context("the control plane's thread ended")?;
        answered.recv().context("the control plane's thread ended")?
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if let Some((orders, keeper)) = self.keeper.take() {
            drop(orders);
            let _ = keeper.join();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs the processes until nobody can send an order any more.
fn keep(
    setting: &Setting,
    kubectl: &Kubectl,
    controllers: bool,
    started: &Sender<Result<()>>,
    orders: &Receiver<Order>,
) {
    let mut children = Children::new(&setting.folder);
    let outcome = control_plane::start_api(&mut children, setting, kubectl).and_then(|()| {
        if controllers {
            control_plane::start_controllers(&mut children, setting)?;
            wait_controllers(&mut children, kubectl)?;
        }
        Ok(())
    });
    let failed = outcome.is_err();
    if started.send(outcome).is_err() || failed {
        return;
    }
    for order in orders {
        let _ = match order {
            Order::StopApiServer(answer) => {
                children.stop("kube-apiserver");
                answer.send(Ok(()))
            }
            Order::StartApiServer(answer) => {
                let outcome = control_plane::start_api_server(&mut children, setting)
                    .and_then(|()| control_plane::wait_api(&mut children, kubectl));
                answer.send(outcome)
            }
        };
    }
}

/// The controllers work when the default service account is there.
fn wait_controllers(children: &mut Children, kubectl: &Kubectl) -> Result<()> {
    children.wait("kube-controller-manager", || {
        kubectl.run(&["get", "serviceaccount", "default", "--namespace=default"]).is_ok()
    })
}

fn fresh_folder() -> Result<PathBuf> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("{PREFIX}{}-{count}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    Ok(folder)
}

/// Removes folders of processes that were killed before they could.
fn sweep() {
    let Ok(entries) = fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn free_ports() -> Result<[u16; 3]> {
    // All at once, so that they differ.
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
