//! The command line.

use clap::Parser;
use std::net::SocketAddr;

/// Runs SpreadCluster objects.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "Runs SpreadCluster objects on Kubernetes", after_help = EXAMPLES)]
pub struct Settings {
    /// Namespaces that are watched, separated by commas. Roles in them are enough. Empty: all, which needs a ClusterRole.
    #[arg(
        long,
        env = "SPREAD_OPERATOR_WATCH_NAMESPACES",
        value_delimiter = ',',
        value_name = "NAMESPACES"
    )]
    pub watch_namespaces: Vec<String>,
    /// Namespace of this operator: its Lease is there, and its pods may reach the daemons.
    #[arg(
        long,
        env = "SPREAD_OPERATOR_NAMESPACE",
        default_value = "default",
        value_name = "NAMESPACE"
    )]
    pub namespace: String,
    /// Image of daemons where an object names none; frozen per ring when the ring is made.
    #[arg(long, env = "SPREAD_OPERATOR_DAEMON_IMAGE", default_value = concat!("spreadd:", env!("CARGO_PKG_VERSION")), value_name = "IMAGE")]
    pub daemon_image: String,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(
        long,
        env = "SPREAD_OPERATOR_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub listen: SocketAddr,
    /// Elect one of several replicas to write, by a Lease. Off: this one always writes.
    #[arg(long, env = "SPREAD_OPERATOR_LEADER_ELECTION", default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub leader_election: bool,
    /// Name of this replica in the election.
    #[arg(long, env = "SPREAD_OPERATOR_IDENTITY", default_value_t = own_name(), value_name = "NAME")]
    pub identity: String,
    /// What is logged: a level, or a filter such as info,kube=debug.
    #[arg(long, env = "SPREAD_OPERATOR_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// Log lines are JSON objects, or text for people.
    #[arg(long, env = "SPREAD_OPERATOR_LOG_FORMAT", default_value = "json", value_parser = ["json", "text"], value_name = "json|text")]
    pub log_format: String,
}

const EXAMPLES: &str = "\
Examples:
  spread-operator                                    all namespaces, from inside a cluster or with KUBECONFIG
  spread-operator --watch-namespaces shop,billing    these namespaces; Roles are enough
  spread-operator --leader-election false --log-format text --listen 127.0.0.1:8080

Every option is an environment variable too. SIGTERM finishes the write under way, gives the lease back and ends.";

/// A pod's host name is its own.
fn own_name() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| format!("spread-operator-{}", std::process::id()))
}
