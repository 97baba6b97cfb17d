//! A cluster: control plane in the hub's namespace, nodes in theirs, a port on loopback for those outside.

use crate::addresses::{API_PORT, Family};
use crate::cgroups::Cgroups;
use crate::containerd::{Containerd, PAUSE_IMAGE};
use crate::control_plane::{self, Setting};
use crate::go_commands::{self, Module};
use crate::image::Image;
use crate::kubectl::Kubectl;
use crate::kubelet::{self, Node};
use crate::launch::{Launch as _, Services};
use crate::options::Options;
use crate::progress::Step;
use crate::static_build::Arch;
use crate::{coredns, network, packages, static_build, teardown};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pods of the cluster itself may take this long.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// A cluster that is up.
pub struct Cluster {
    options: Options,
    folder: PathBuf,
    pub(crate) cgroups: Cgroups,
    kubectl: Kubectl,
}

/// What is there of a cluster.
#[derive(Debug)]
pub struct Status {
    /// What it was made with.
    pub options: Options,
    /// Its administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// Running services by name.
    pub services: Vec<(String, bool)>,
}

impl Cluster {
    /// Builds what is needed and brings a cluster up; ready when all nodes are and names resolve.
    ///
    /// # Errors
    /// What could not be made, with the end of the log of what failed. What was made by then is removed.
    pub fn up(options: Options) -> Result<Self> {
        options.check()?;
        if let Some(missing) = crate::missing() {
            bail!(missing);
        }
        let folder = options.folder();
        ensure!(
            !folder.exists(),
            "cluster {0} is there already: `cargo e2e down --name {0}` removes it",
            options.name
        );
        packages::install()?;
        for module in [Module::Etcd, Module::Kubernetes, Module::CoreDns] {
            go_commands::ensure(module)?;
        }
        let images = [pause_image()?, coredns::image()?];
        let name = options.name.clone();
        Self::make(options, &images).inspect_err(|_| {
            if let Err(error) = Self::down(&name) {
                eprintln!("and what was made could not be removed: {error:#}");
            }
        })
    }

    fn make(options: Options, images: &[Image]) -> Result<Self> {
        let folder = options.folder();
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} can't be made", folder.display()))?;
        options.write()?;
        let kubectl = Kubectl::new(&folder.join("admin.kubeconfig"))?;
        let cgroups = Cgroups::new(&options.name)?;
        cgroups.weigh(options.nodes)?;
        let cluster = Self { options, folder, cgroups, kubectl };
        let step = Step::start("network namespaces");
        network::make(&cluster.options.name, cluster.options.nodes, cluster.options.family)?;
        step.done();
        let step = Step::start("control plane");
        cluster.start_control_plane()?;
        step.done();
        let step = Step::start(format!("{} node(s)", cluster.options.nodes));
        cluster.start_nodes(images)?;
        cluster.wait_nodes()?;
        step.done();
        let step = Step::start("name service");
        cluster.start_dns()?;
        step.done();
        Ok(cluster)
    }

    /// A cluster that was brought up before.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn find(name: &str) -> Result<Self> {
        let options = Options::read(name)?;
        let folder = options.folder();
        let kubectl = Kubectl::new(&folder.join("admin.kubeconfig"))?;
        Ok(Self { cgroups: Cgroups::new(name)?, options, folder, kubectl })
    }

    /// Removes a cluster: processes, mounts, namespaces, groups, files. None of this name is no error.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn down(name: &str) -> Result<()> {
        let options = Options { name: name.to_owned(), nodes: 1, family: Family::Ipv4 };
        options.check()?;
        teardown::remove(name, &options.folder())
    }

    /// The names of clusters on this machine.
    pub fn names() -> Vec<String> {
        Options::names()
    }

    /// What is there of it.
    pub fn status(&self) -> Status {
        let services = self.service_names().into_iter();
        let services = services.map(|name| {
            let runs = !self.cgroups.service_processes(&name).is_empty();
            (name, runs)
        });
        Status {
            options: self.options.clone(),
            kubeconfig: self.kubectl.kubeconfig().to_owned(),
            services: services.collect(),
        }
    }

    /// kubectl as administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// Folder of everything that is its own; gone with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number of nodes; they are called `node1`, `node2`, …
    pub fn nodes(&self) -> usize {
        self.options.nodes
    }

    /// Addresses of its nodes, pods and services.
    pub fn family(&self) -> Family {
        self.options.family
    }

    /// Name of a node's network namespace, for `nsenter --net=/run/netns/NAME`.
    pub fn namespace(&self, node: usize) -> String {
        network::node(&self.options.name, node)
    }

    /// Puts an image on every node.
    ///
    /// # Errors
    /// It can't be written or loaded.
    pub fn load(&self, image: &Image) -> Result<()> {
        let archive = self.folder.join("image.tar");
        image.write(&archive)?;
        for node in 1..=self.options.nodes {
            let containerd = self.containerd(node);
            containerd.import(&archive).with_context(|| format!("loading {}", image.name))?;
        }
        fs::remove_file(archive)?;
        Ok(())
    }

    /// Starts the API server again and waits until it serves.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_api_server(&self) -> Result<()> {
        let mut hub = self.services(Some(network::hub(&self.options.name)));
        control_plane::start_api_server(&mut hub, &self.setting())?;
        control_plane::wait_api(&mut hub, &self.kubectl)
    }

    /// Starts a node's kubelet again.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_kubelet(&self, node: usize) -> Result<()> {
        let program = go_commands::command(Module::Kubernetes, "kubelet")?;
        let (folder, containerd) = (self.node_folder(node), self.containerd(node).socket());
        let cgroup = self.cgroups.node(node)?;
        let arguments = self.node(node, &folder, &cgroup, &containerd).kubelet()?;
        let (name, registry) = (format!("kubelet-{node}"), Path::new(kubelet::PLUGIN_REGISTRY));
        let mut services = self.services(Some(self.namespace(node)));
        // One after the other: a kubelet ends if another one listens there between its own two steps.
        let _ = fs::remove_file(registry);
        services.launch(&name, &program, &arguments)?;
        services.wait(&name, || registry.exists())
    }

    fn start_control_plane(&self) -> Result<()> {
        let family = self.options.family;
        let mut names = family.hub();
        names.extend(family.kubernetes_service());
        names.extend(["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned));
        let authority = control_plane::identities(&self.folder, &family.api_url(), &names)?;
        for node in 1..=self.options.nodes {
            let name = kubelet::name(node);
            let mut names = family.node(node);
            names.push(name.clone());
            authority.sign(&name, &format!("system:node:{name}"), "system:nodes", &names)?;
            let file = self.folder.join(format!("{name}.kubeconfig"));
            crate::kubeconfig::write(&file, &family.api_url(), &self.folder.join("pki"), &name)?;
        }
        self.start_relay()?;
        let mut hub = self.services(Some(network::hub(&self.options.name)));
        let setting = self.setting();
        control_plane::start_api(&mut hub, &setting, &self.kubectl)?;
        control_plane::start_controllers(&mut hub, &setting)?;
        control_plane::start_scheduler(&mut hub, &setting)
    }

    /// Gives the administrator's kubeconfig a port of this machine.
    fn start_relay(&self) -> Result<()> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let server = format!("https://127.0.0.1:{port}");
        crate::kubeconfig::write(
            self.kubectl.kubeconfig(),
            &server,
            &self.folder.join("pki"),
            "admin",
        )?;
        let hub = Path::new("/run/netns").join(network::hub(&self.options.name));
        let arguments = [
            "relay".to_owned(),
            port.to_string(),
            hub.display().to_string(),
            self.options.family.api_socket(),
        ];
        self.services(None).launch("relay", &relay_program()?, &arguments)
    }

    fn start_nodes(&self, images: &[Image]) -> Result<()> {
        let proxy = go_commands::command(Module::Kubernetes, "kube-proxy")?;
        for node in 1..=self.options.nodes {
            let containerd = self.containerd(node);
            let network = teardown::network_name(&self.options.name, Some(node));
            containerd.configure(&network, self.options.family, node)?;
            let arguments =
                ["--config".to_owned(), containerd.configuration().display().to_string()];
            let mut services = self.services(Some(self.namespace(node)));
            services.launch(&format!("containerd-{node}"), Path::new("containerd"), &arguments)?;
        }
        for node in 1..=self.options.nodes {
            let mut services = self.services(Some(self.namespace(node)));
            let containerd = self.containerd(node);
            services.wait(&format!("containerd-{node}"), || containerd.ready())?;
        }
        for image in images {
            self.load(image)?;
        }
        for node in 1..=self.options.nodes {
            self.start_kubelet(node)?;
            let (folder, containerd) = (self.node_folder(node), self.containerd(node).socket());
            let arguments = self.node(node, &folder, "", &containerd).proxy();
            let mut services = self.services(Some(self.namespace(node)));
            services.launch(&format!("kube-proxy-{node}"), &proxy, &arguments)?;
        }
        Ok(())
    }

    fn wait_nodes(&self) -> Result<()> {
        for node in 1..=self.options.nodes {
            let name = kubelet::name(node);
            let kubelet = format!("kubelet-{node}");
            let mut services = self.services(Some(self.namespace(node)));
            services.wait(&kubelet, || {
                let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
                self.kubectl
                    .run(&["get", "node", &name, "--output", ready])
                    .is_ok_and(|status| status.trim() == "True")
            })?;
        }
        Ok(())
    }

    fn start_dns(&self) -> Result<()> {
        self.kubectl.apply(&coredns::manifest(self.options.family, self.options.nodes))?;
        self.kubectl.wait("the name service", START_TIMEOUT, |kubectl| {
            let found = kubectl.get(&["deployment", "coredns", "--namespace=kube-system"])?;
            let (spec, status) = (&found["spec"]["replicas"], &found["status"]["readyReplicas"]);
            Ok((spec == status).then_some(()))
        })
    }

    fn setting(&self) -> Setting {
        let family = self.options.family;
        Setting {
            folder: self.folder.clone(),
            bind: family.any().to_owned(),
            advertise: family.hub()[0].clone(),
            port: API_PORT,
            etcd: [2379, 2380],
            services: family.services(),
            service_accounts: true,
        }
    }

    fn services(&self, namespace: Option<String>) -> Services<'_> {
        Services { logs: &self.folder, cgroups: &self.cgroups, namespace }
    }

    fn service_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            ["relay", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
                .map(str::to_owned)
                .into();
        for node in 1..=self.options.nodes {
            names.extend(
                ["containerd", "kubelet", "kube-proxy"].map(|name| format!("{name}-{node}")),
            );
        }
        names
    }

    fn node_folder(&self, node: usize) -> PathBuf {
        // Short, since sockets' paths are bounded by 108 bytes.
        self.folder.join(format!("n{node}"))
    }

    fn containerd(&self, node: usize) -> Containerd {
        Containerd { folder: self.node_folder(node) }
    }

    fn node<'a>(
        &'a self,
        node: usize,
        folder: &'a Path,
        cgroup: &'a str,
        containerd: &'a Path,
    ) -> Node<'a> {
        Node {
            cluster: &self.folder,
            folder,
            node,
            family: self.options.family,
            cgroup,
            containerd,
        }
    }
}

/// The image that holds a pod's namespaces.
pub(crate) fn pause_image() -> Result<Image> {
    let program = go_commands::cache()?.join("pause");
    if !program.is_file() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("pause/pause.rs");
        let partial = program.with_extension(std::process::id().to_string());
        static_build::build_file(&source, &partial)?;
        fs::rename(partial, &program)?;
    }
    Ok(Image {
        name: PAUSE_IMAGE.to_owned(),
        files: vec![(program, "/pause".to_owned())],
        entrypoint: vec!["/pause".to_owned()],
        user: crate::image::USER,
        arch: Arch::here()?,
    })
}

/// This crate's own program, beside whatever runs (a test lies one folder deeper).
fn relay_program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("spread-e2e")).find(|path| path.is_file());
    found.with_context(|| format!("spread-e2e is not beside {}", own.display()))
}
