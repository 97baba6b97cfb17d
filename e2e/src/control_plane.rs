//! etcd, API server, controller manager, scheduler: their arguments and the order in which they start.

use crate::go_commands::{self, Module};
use crate::kubectl::Kubectl;
use crate::launch::Launch;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// What differs between a control plane on loopback and one of a cluster.
pub(crate) struct Setting {
    /// Folder with `pki/` and the store.
    pub(crate) folder: PathBuf,
    /// Where the API server listens.
    pub(crate) bind: String,
    /// Where others reach it.
    pub(crate) advertise: String,
    /// Its port.
    pub(crate) port: u16,
    /// etcd's ports on loopback, for clients and for peers.
    pub(crate) etcd: [u16; 2],
    /// Networks of services.
    pub(crate) services: String,
    /// Whether pods need a service account (a controller manager makes them).
    pub(crate) service_accounts: bool,
}

impl Setting {
    fn pki(&self, file: &str) -> String {
        self.folder.join("pki").join(file).display().to_string()
    }

    fn kubeconfig(&self, of: &str) -> String {
        self.folder.join(format!("{of}.kubeconfig")).display().to_string()
    }
}

/// Starts etcd and the API server, and waits until it serves.
pub(crate) fn start_api(
    launch: &mut impl Launch,
    setting: &Setting,
    kubectl: &Kubectl,
) -> Result<()> {
    start_etcd(launch, setting)?;
    start_api_server(launch, setting)?;
    wait_api(launch, kubectl)
}

/// Starts etcd, which forgets what it did not write in time: nobody's data is in it.
pub(crate) fn start_etcd(launch: &mut impl Launch, setting: &Setting) -> Result<()> {
    let [client, peer] = setting.etcd.map(|port| format!("http://127.0.0.1:{port}"));
    let arguments = [
        format!("--data-dir={}", setting.folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    launch.launch("etcd", &go_commands::command(Module::Etcd, "etcd")?, &arguments)
}

/// Starts the API server alone.
pub(crate) fn start_api_server(launch: &mut impl Launch, setting: &Setting) -> Result<()> {
    let mut arguments = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", setting.etcd[0]),
        format!("--bind-address={}", setting.bind),
        format!("--advertise-address={}", setting.advertise),
        format!("--secure-port={}", setting.port),
        format!("--tls-cert-file={}", setting.pki("api.crt")),
        format!("--tls-private-key-file={}", setting.pki("api.key")),
        format!("--client-ca-file={}", setting.pki("ca.crt")),
        format!("--kubelet-client-certificate={}", setting.pki("admin.crt")),
        format!("--kubelet-client-key={}", setting.pki("admin.key")),
        format!("--kubelet-certificate-authority={}", setting.pki("ca.crt")),
        // A node's name resolves nowhere.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        format!("--service-account-key-file={}", setting.pki("sa.pub")),
        format!("--service-account-signing-key-file={}", setting.pki("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={}", setting.services),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ];
    if !setting.service_accounts {
        arguments.push("--disable-admission-plugins=ServiceAccount".to_owned());
    }
    let program = go_commands::command(Module::Kubernetes, "kube-apiserver")?;
    launch.launch("kube-apiserver", &program, &arguments)
}

/// Waits until the API server says that it is ready.
pub(crate) fn wait_api(launch: &mut impl Launch, kubectl: &Kubectl) -> Result<()> {
    launch.wait("kube-apiserver", || kubectl.run(&["get", "--raw=/readyz"]).is_ok())
}

/// Starts the controller manager: garbage collection, namespaces, StatefulSets, endpoints, service accounts.
pub(crate) fn start_controllers(launch: &mut impl Launch, setting: &Setting) -> Result<()> {
    let kubeconfig = setting.kubeconfig("controllers");
    let arguments = [
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        format!("--service-account-private-key-file={}", setting.pki("sa.key")),
        format!("--root-ca-file={}", setting.pki("ca.crt")),
        "--use-service-account-credentials=true".to_owned(),
        "--allocate-node-cidrs=false".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        // A node that is cut off counts as gone after this long.
        "--node-monitor-grace-period=20s".to_owned(),
    ];
    let program = go_commands::command(Module::Kubernetes, "kube-controller-manager")?;
    launch.launch("kube-controller-manager", &program, &arguments)
}

/// Starts the scheduler.
pub(crate) fn start_scheduler(launch: &mut impl Launch, setting: &Setting) -> Result<()> {
    let kubeconfig = setting.kubeconfig("scheduler");
    let arguments = [
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
    ];
    let program = go_commands::command(Module::Kubernetes, "kube-scheduler")?;
    launch.launch("kube-scheduler", &program, &arguments)
}

/// Certificates and kubeconfigs of the control plane's own clients.
pub(crate) fn identities(
    folder: &Path,
    server: &str,
    names: &[String],
) -> Result<crate::pki::Authority> {
    let pki = folder.join("pki");
    let authority = crate::pki::Authority::new(&pki)?;
    authority.sign("api", "kube-apiserver", "spread-e2e", names)?;
    for (name, user, group) in [
        ("admin", "admin", "system:masters"),
        ("controllers", "system:kube-controller-manager", "spread-e2e"),
        ("scheduler", "system:kube-scheduler", "spread-e2e"),
        ("proxy", "system:kube-proxy", "spread-e2e"),
    ] {
        authority.sign(name, user, group, &[])?;
        let file = folder.join(format!("{name}.kubeconfig"));
        crate::kubeconfig::write(&file, server, &pki, name)?;
    }
    Ok(authority)
}
