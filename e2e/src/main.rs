//! `cargo e2e`: a real Kubernetes on this machine.

use anyhow::Result;
use clap::{Parser, Subcommand};
use spread_e2e::progress::Step;
use spread_e2e::{Cluster, ControlPlane, Family, Options};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(
    about = "A real Kubernetes on this machine, in network namespaces",
    after_help = "Examples:\n  cargo e2e up                        one node\n  cargo e2e up --nodes 3 --name big   three nodes, beside the first cluster\n  cargo e2e status\n  cargo e2e down --all\n  cargo e2e test                      the end-to-end tests, on three nodes of their own\n  cargo e2e api-server                only etcd and an API server, in the foreground, without root"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring a cluster up.
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
    /// Run the end-to-end tests on a cluster of their own, which is removed afterwards.
    Test {
        /// Only tests whose names contain this.
        filter: Option<String>,
        /// Use this cluster, as it is, and leave it.
        #[arg(long)]
        cluster: Option<String>,
        /// Nodes of the tests' own cluster.
        #[arg(long, default_value_t = 3)]
        nodes: usize,
    },
    /// Say in one line why no cluster can be had here, and exit with 1; or nothing, and exit with 0.
    Missing,
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
        Task::Load { name } => load(&Cluster::find(&name)?),
        Task::Test { filter, cluster, nodes } => test(filter, cluster, nodes),
        Task::Missing => {
            if let Some(missing) = spread_e2e::missing() {
                println!("{missing}");
                std::process::exit(1);
            }
            Ok(())
        }
        Task::Up { name, nodes, ip_family } => up(Options { name, nodes, family: ip_family }),
        Task::Down { name, all } => down(if all { Cluster::names() } else { vec![name] }),
        Task::Status => status(),
        Task::ApiServer { controllers } => api_server(controllers),
        Task::Relay { port, namespace, target } => {
            spread_e2e::serve_relay(port, &namespace, &target)
        }
    }
}

fn up(options: Options) -> Result<()> {
    let cluster = Cluster::up(options)?;
    println!("\nexport KUBECONFIG={}", cluster.kubectl().kubeconfig().display());
    Ok(())
}

fn load(cluster: &Cluster) -> Result<()> {
    for image in spread_e2e::product::images()? {
        let step = Step::start(format!("loading {}", image.name));
        cluster.load(&image)?;
        step.done();
    }
    Ok(())
}

/// The tests' own cluster goes whatever their outcome.
fn test(filter: Option<String>, given: Option<String>, nodes: usize) -> Result<()> {
    const OWN: &str = "test";
    let name = given.clone().unwrap_or_else(|| OWN.to_owned());
    if given.is_none() {
        Cluster::down(OWN)?;
        Cluster::up(Options { name: name.clone(), nodes, family: Family::Ipv4 })?;
    }
    let outcome = Cluster::find(&name).and_then(|cluster| load(&cluster)).and_then(|()| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--locked", "--package", "spread-e2e", "--tests", "--"]);
        cargo.args(["--ignored", "--test-threads=1", "--nocapture"]).args(filter);
        let status = cargo.env("SPREAD_E2E_CLUSTER", &name).status()?;
        anyhow::ensure!(status.success(), "the end-to-end tests ended with {status}");
        Ok(())
    });
    if given.is_none() {
        down(vec![name])?;
    }
    outcome
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
