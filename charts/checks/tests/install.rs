//! Helm against a real API server: install, upgrade, rollback, uninstall. Needs Go once, no root; else it is left out.

use spread_charts::{checkout, documents};
use spread_e2e::ControlPlane;
use spread_e2e::go_commands::{self, Module};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// An API server without nodes, and Helm.
struct Site {
    plane: ControlPlane,
    helm: PathBuf,
}

impl Site {
    fn new() -> Option<Self> {
        if let Some(missing) = spread_e2e::missing_for_api_server() {
            eprintln!("left out: charts on a real API server: {missing}");
            return None;
        }
        let helm = match go_commands::command(Module::Helm, "helm") {
            Ok(helm) => helm,
            Err(error) => {
                eprintln!("left out: charts on a real API server: {error:#}");
                return None;
            }
        };
        Some(Self { plane: ControlPlane::start().expect("an API server"), helm })
    }

    /// Runs Helm; what it says if it fails.
    fn helm(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.helm)
            .args(arguments)
            .arg("--kubeconfig")
            .arg(self.plane.kubeconfig())
            .current_dir(checkout("."))
            .env("HELM_CACHE_HOME", self.plane.folder().join("helm-cache"))
            .env("HELM_CONFIG_HOME", self.plane.folder().join("helm-config"))
            .env("HELM_DATA_HOME", self.plane.folder().join("helm-data"))
            .output()
            .expect("Helm starts");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn done(&self, arguments: &[&str]) -> String {
        self.helm(arguments).unwrap_or_else(|said| panic!("helm {arguments:?}: {said}"))
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        self.plane.kubectl().run(arguments).map_err(|error| format!("{error:#}"))
    }

    fn get(&self, arguments: &[&str]) -> String {
        self.kubectl(arguments).unwrap_or_else(|said| panic!("kubectl {arguments:?}: {said}"))
    }
}

const SYSTEM: [&str; 2] = ["--namespace", "spread-system"];
const OPERATOR: [&str; 2] = ["spread-operator", "charts/spread-operator"];

fn uid(site: &Site) -> String {
    site.get(&["get", "spreadcluster", "orders", "--output=jsonpath={.metadata.uid}"])
}

/// One API server for all of it: each step goes on from the one before.
#[test]
fn charts_install_upgrade_roll_back_and_uninstall() {
    let Some(site) = Site::new() else { return };
    site.done(&["install", "spread-operator-crds", "charts/spread-operator-crds"]);
    site.get(&[
        "wait",
        "--for=condition=Established",
        "crd/spreadclusters.spread-operator.dev",
        "--timeout=60s",
    ]);
    site.done(&[&["install"], &OPERATOR[..], &SYSTEM, &["--create-namespace"]].concat());
    examples_are_accepted(&site);
    let cluster = uid(&site);

    // Another set of values, and back: the objects follow, clusters stay.
    let listed = ["--set", "watchNamespaces={default},replicas=1"];
    site.done(&[&["upgrade"], &OPERATOR[..], &SYSTEM, &listed].concat());
    let roles = [
        "get",
        "clusterrole",
        "--selector=app.kubernetes.io/instance=spread-operator",
        "--output=name",
    ];
    assert_eq!(site.get(&roles).trim(), "", "Roles only");
    site.get(&["get", "role", "spread-operator", "--namespace=default"]);
    site.done(&[&["rollback", "spread-operator", "1"], &SYSTEM[..]].concat());
    assert!(site.get(&roles).contains("spread-system:spread-operator"));
    assert!(site.kubectl(&["get", "role", "spread-operator", "--namespace=default"]).is_err());
    // A new version of the definitions is an upgrade like any other.
    site.done(&[
        "upgrade",
        "spread-operator-crds",
        "charts/spread-operator-crds",
        "--set",
        "labels.team=a",
    ]);
    assert_eq!(uid(&site), cluster);

    let said =
        site.helm(&[&["upgrade"], &OPERATOR[..], &SYSTEM, &["--set", "replicaCount=3"]].concat());
    assert!(said.unwrap_err().contains("replicaCount"), "values that do not exist are refused");

    site.done(&[&["uninstall", "spread-operator"], &SYSTEM[..]].concat());
    let deployments = ["get", "deployment", "--namespace=spread-system", "--output=name"];
    assert_eq!(site.get(&deployments).trim(), "");
    assert_eq!(uid(&site), cluster, "without the operator the cluster stays");
    site.done(&["uninstall", "spread-operator-crds"]);
    assert_eq!(uid(&site), cluster, "definitions are kept, and so is what they define");
}

/// Each example as the server takes it: strict about fields, with all rules.
fn examples_are_accepted(site: &Site) {
    let mut files: Vec<PathBuf> = fs::read_dir(checkout("examples/kubernetes"))
        .expect("examples")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.push(checkout("examples/orders.yaml"));
    for file in files {
        assert!(!documents(&fs::read_to_string(&file).expect("text")).expect("YAML").is_empty());
        let path = file.display().to_string();
        site.get(&["apply", "--server-side", "--validate=strict", "--filename", &path]);
    }
}

/// The objects of the chart as a server sees them: strict, with everything on.
#[test]
fn a_real_api_server_knows_every_field_of_both_charts() {
    let Some(site) = Site::new() else { return };
    site.get(&["create", "namespace", "spread-system"]);
    site.done(&["install", "spread-operator-crds", "charts/spread-operator-crds"]);
    site.get(&[
        "wait",
        "--for=condition=Established",
        "crd/spreadclusters.spread-operator.dev",
        "--timeout=60s",
    ]);
    // The Prometheus operator's kinds are not on this server; rendered.rs looks at them.
    let on = ["--set", "dashboard.enabled=true"];
    let text = site.done(&[&["template"], &OPERATOR[..], &SYSTEM, &on].concat());
    let file = site.plane.folder().join("rendered.yaml");
    fs::write(&file, text).expect("written");
    let path = file.display().to_string();
    // The restricted profile is enforced by the server, too.
    let label = "pod-security.kubernetes.io/warn=restricted";
    site.get(&["label", "namespace", "spread-system", label]);
    let apply =
        ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", &path];
    let output = site.plane.kubectl().command(&apply).output().expect("kubectl starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("would violate PodSecurity"), "{said}");
}
