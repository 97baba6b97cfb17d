//! Helm, and what it installs: the two charts of this checkout.

use crate::go_commands::{self, Module};
use crate::kubectl::Kubectl;
use crate::product::checkout;
use crate::progress::Step;
use crate::run;
use anyhow::Result;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Namespace of the operator.
pub const SYSTEM: &str = "spread-system";
/// Release and chart of the operator.
pub const OPERATOR: &str = "spread-operator";
/// Release and chart of its definitions.
pub const DEFINITIONS: &str = "spread-operator-crds";
/// Replicas of the operator may take this long to be ready.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs Helm against one API server.
#[derive(Clone, Debug)]
pub struct Helm {
    program: PathBuf,
    home: PathBuf,
    kubectl: Kubectl,
}

impl Helm {
    /// With the kubeconfig of kubectl; builds Helm if need be.
    ///
    /// # Errors
    /// Helm can't be built.
    pub fn new(kubectl: &Kubectl) -> Result<Self> {
        Ok(Self {
            program: go_commands::command(Module::Helm, "helm")?,
            home: go_commands::cache()?.join("helm-home"),
            kubectl: kubectl.clone(),
        })
    }

    /// The program's path.
    pub fn program(&self) -> &std::path::Path {
        &self.program
    }

    /// Runs Helm at the root of the checkout and returns what it wrote.
    ///
    /// # Errors
    /// Helm ended with an error; what it said is part of it.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--kubeconfig").arg(self.kubectl.kubeconfig());
        // A person's own repositories and plugins are of no use here.
        for folder in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{folder}_HOME"), self.home.join(folder.to_lowercase()));
        }
        run::output(command.current_dir(checkout(".")))
    }

    /// Installs or upgrades both charts and waits until the operator is ready.
    ///
    /// # Errors
    /// Helm refuses, or the operator does not become ready in three minutes.
    pub fn install(&self) -> Result<()> {
        let step = Step::start("chart of the definitions");
        self.run(&["upgrade", "--install", DEFINITIONS, "charts/spread-operator-crds"])?;
        let definition = "crd/spreadclusters.spread-operator.dev";
        self.kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", definition])?;
        step.done();
        self.install_operator()
    }

    /// Installs or upgrades the operator's chart and waits until it is ready.
    ///
    /// # Errors
    /// As [`Helm::install`].
    pub fn install_operator(&self) -> Result<()> {
        self.install_operator_with(&[])
    }

    /// The same with values, each as `--set` takes it.
    ///
    /// # Errors
    /// As [`Helm::install`].
    pub fn install_operator_with(&self, values: &[&str]) -> Result<()> {
        let step = Step::start("chart of the operator");
        // Values of an earlier release do not count.
        let namespace = ["--namespace", SYSTEM, "--create-namespace", "--reset-values"];
        let install = ["upgrade", "--install", OPERATOR, "charts/spread-operator"];
        let values: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
        self.run(&[&install[..], &namespace, &values].concat())?;
        self.kubectl.wait("the operator to be ready", START_TIMEOUT, |kubectl| {
            let namespace = format!("--namespace={SYSTEM}");
            let found = kubectl.get(&["deployment", OPERATOR, &namespace])?;
            let number = |path: &str| found.pointer(path).and_then(|it| it.as_u64()).unwrap_or(0);
            let (wanted, ready) = (number("/spec/replicas"), number("/status/readyReplicas"));
            step.detail(format!("{ready} of {wanted} replicas ready"));
            let current = number("/status/observedGeneration") == number("/metadata/generation")
                && number("/status/updatedReplicas") == wanted;
            Ok((current && ready == wanted && number("/status/replicas") == wanted).then_some(()))
        })?;
        step.done();
        Ok(())
    }

    /// Removes the operator; rings go on.
    ///
    /// # Errors
    /// As [`Helm::run`].
    pub fn uninstall_operator(&self) -> Result<()> {
        self.run(&["uninstall", OPERATOR, "--namespace", SYSTEM, "--wait"]).map(drop)
    }
}
