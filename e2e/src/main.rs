//! `cargo e2e`: a real Kubernetes on this machine.

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use spread_e2e::go_commands::{self, Module};
use spread_e2e::product::Programs;
use spread_e2e::progress::Step;
use spread_e2e::static_build::Arch;
use spread_e2e::suite::{self, Site};
use spread_e2e::{Cluster, ControlPlane, Family, Options, elsewhere, example};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    about = "A real Kubernetes on this machine, in network namespaces",
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

const EXAMPLES: &str = "\
Examples:
  cargo e2e up                        one node, the operator and a SpreadCluster; says what to type next
  cargo e2e up --nodes 3 --name big   three nodes, beside the first cluster
  cargo e2e up --bare                 only Kubernetes
  cargo e2e status
  cargo e2e down --all
  cargo e2e test                      the end-to-end tests, on three nodes of their own
  cargo e2e test --kubeconfig FILE    those that need no node of this machine, on any cluster
  cargo e2e api-server                only etcd and an API server, in the foreground, without root";

#[derive(Subcommand)]
enum Task {
    /// Bring a cluster up, with the operator and an example that is Ready.
    Up {
        /// Name; clusters of different names stand side by side.
        #[arg(long, default_value = "spread")]
        name: String,
        /// Nodes, 1 to 3.
        #[arg(long, default_value_t = 1)]
        nodes: usize,
        /// Addresses of nodes, pods and services.
        #[arg(long, value_enum, default_value = "ipv4")]
        ip_family: Family,
        /// Only Kubernetes: neither operator nor example.
        #[arg(long)]
        bare: bool,
    },
    /// Remove a cluster: nothing of it stays.
    Down {
        /// Its name.
        #[arg(long, default_value = "spread")]
        name: String,
        /// Remove all clusters of this machine.
        #[arg(long)]
        all: bool,
    },
    /// Show clusters and whether their parts run.
    Status,
    /// Build this project's images and put them on a cluster's nodes.
    Load {
        /// The cluster's name.
        #[arg(long, default_value = "spread")]
        name: String,
    },
    /// Build this project's images and write them as archives.
    Images {
        /// Folder to write them to.
        #[arg(long, value_name = "FOLDER")]
        output: PathBuf,
        /// What they are for; without it, machines like this one.
        #[arg(long, value_enum)]
        arch: Option<Arch>,
    },
    /// Build kubectl and Helm if need be, and print their folders for a PATH.
    Commands,
    /// Run the end-to-end tests on a cluster of their own, which is removed afterwards.
    Test {
        /// Only tests whose names contain this.
        filter: Option<String>,
        /// Use this cluster, as it is, and leave it.
        #[arg(long, conflicts_with = "kubeconfig")]
        cluster: Option<String>,
        /// Use the cluster of this kubeconfig. Images are loaded into one of `kind`; others must have them.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
        /// Nodes of the tests' own cluster.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
        /// Addresses of the tests' own cluster. Without it: IPv4, then a part of the tests on IPv6 and on both.
        #[arg(long, value_enum, conflicts_with_all = ["cluster", "kubeconfig"])]
        ip_family: Option<Family>,
    },
    /// Say in one line why no cluster can be had here, and exit with 1; or nothing, and exit with 0.
    Missing {
        /// Why no API server alone can be had.
        #[arg(long)]
        api_server: bool,
    },
    /// Install and build what a cluster needs, and try a container; says in one line of its output what can't be had,
    /// and exits with 1.
    Prepare {
        /// Only what an API server alone needs.
        #[arg(long)]
        api_server: bool,
    },
    /// Run etcd and an API server in the foreground until Ctrl-C.
    ApiServer {
        /// With Kubernetes' controllers.
        #[arg(long)]
        controllers: bool,
    },
    /// Pass connections on into a cluster's network.
    #[command(hide = true)]
    Relay {
        /// Port on loopback.
        port: u16,
        /// Network namespace to connect in.
        namespace: PathBuf,
        /// Address and port there.
        target: String,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Load { name } => example::load(&Cluster::find(&name)?, &Programs::build()?),
        Task::Images { output, arch } => images(&output, arch),
        Task::Commands => commands(),
        Task::Test { filter, cluster, kubeconfig, nodes, ip_family } => {
            let given = kubeconfig.map(Site::Kubeconfig).or(cluster.map(Site::Up));
            let site = given.unwrap_or(Site::Own { nodes, family: ip_family });
            suite::run(site, filter.as_deref())
        }
        Task::Missing { api_server: false } => say(spread_e2e::missing()),
        Task::Missing { api_server: true } => say(spread_e2e::missing_for_api_server()),
        Task::Prepare { api_server: false } => say(reason(spread_e2e::prepare())),
        Task::Prepare { api_server: true } => say(reason(spread_e2e::prepare_api_server())),
        Task::Up { name, nodes, ip_family, bare } => {
            up(Options { name, nodes, family: ip_family }, bare)
        }
        Task::Down { name, all } => down(if all { Cluster::names() } else { vec![name] }),
        Task::Status => status(),
        Task::ApiServer { controllers } => api_server(controllers),
        Task::Relay { port, namespace, target } => {
            spread_e2e::serve_relay(port, &namespace, &target)
        }
    }
}

/// Why something can't be had, if it can't.
fn say(missing: Option<String>) -> Result<()> {
    if let Some(missing) = missing {
        println!("{missing}");
        std::process::exit(1);
    }
    Ok(())
}

/// An error as one line.
fn reason(outcome: Result<()>) -> Option<String> {
    let error = outcome.err()?;
    let text = format!("{error:#}");
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What is up stays where only the example failed: whoever looks for the reason finds it.
fn up(options: Options, bare: bool) -> Result<()> {
    let cluster = Cluster::up(options)?;
    let next = if bare {
        format!("\nexport KUBECONFIG={}", cluster.kubectl().kubeconfig().display())
    } else {
        example::show(&cluster).with_context(|| {
            let name = cluster.name();
            format!("cluster {name} is up and stays; `cargo e2e down --name {name}` removes it")
        })?
    };
    println!("{next}");
    Ok(())
}

fn images(folder: &Path, arch: Option<Arch>) -> Result<()> {
    let programs = Programs::build_for(arch.map_or_else(Arch::here, Ok)?)?;
    for archive in elsewhere::write_images(folder, &programs)? {
        println!("{}", archive.display());
    }
    Ok(())
}

fn commands() -> Result<()> {
    let folders = [Module::Kubernetes, Module::Helm].map(go_commands::ensure);
    let [kubernetes, helm] = folders;
    println!("{}:{}", kubernetes?.display(), helm?.display());
    Ok(())
}

fn down(names: Vec<String>) -> Result<()> {
    for name in names {
        let step = Step::start(format!("removing cluster {name}"));
        Cluster::down(&name)?;
        step.done();
    }
    Ok(())
}

fn status() -> Result<()> {
    let names = Cluster::names();
    if names.is_empty() {
        println!("no cluster; `cargo e2e up` makes one");
    }
    for name in names {
        let status = Cluster::find(&name)?.status();
        println!(
            "{name}: {} node(s), KUBECONFIG={}",
            status.options.nodes,
            status.kubeconfig.display()
        );
        for (service, runs) in status.services {
            println!("  {} {service}", if runs { "runs " } else { "ENDED" });
        }
    }
    Ok(())
}

fn api_server(controllers: bool) -> Result<()> {
    let plane =
        if controllers { ControlPlane::start_with_controllers() } else { ControlPlane::start() }?;
    println!("export KUBECONFIG={}", plane.kubeconfig().display());
    eprintln!("Ctrl-C ends it");
    wait_for_end()
}

/// Until Ctrl-C or a request to end.
fn wait_for_end() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        }
    })
}
