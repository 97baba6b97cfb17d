//! A real Kubernetes on one Linux machine, for tests and to try things on.
//!
//! * [`ControlPlane`]: etcd and an API server on loopback, up in a few seconds, gone when dropped; needs no root;
//! * [`Cluster`]: a control plane and one to three nodes with real pods, in network namespaces; needs root;
//! * [`image`] and [`static_build`]: container images without a container engine.
//!
//! The Kubernetes commands are Go modules (`e2e/go`), built once by [`go_commands`] and kept outside the tree.

mod addresses;
pub mod cert_manager;
mod cgroups;
mod cluster;
mod containerd;
mod control_plane;
mod coredns;
mod cross;
mod elf;
pub mod elsewhere;
pub mod example;
mod faults;
pub mod go_commands;
pub mod helm;
pub mod image;
mod kubeconfig;
mod kubectl;
mod kubelet;
mod launch;
mod local;
mod missing;
mod mounts;
mod network;
mod options;
mod packages;
mod pki;
mod prepare;
pub mod product;
pub mod progress;
mod relay;
mod run;
pub mod static_build;
pub mod suite;
mod teardown;

pub use addresses::Family;
pub use cluster::{Cluster, Status};
pub use kubectl::Kubectl;
pub use local::ControlPlane;
pub use missing::{missing, missing_for_api_server};
pub use options::Options;
pub use prepare::{prepare, prepare_api_server};
pub use relay::serve as serve_relay;
