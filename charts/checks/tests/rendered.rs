//! Both charts rendered by Helm with the values that people set, each manifest against the API's types.
//!
//! Helm and helm-unittest are Go modules of `e2e/go`, built once and kept outside the tree; without Go these tests are left
//! out.

use serde_json::Value;
use spread_charts::{checkout, documents, read, restricted, validate};
use spread_e2e::go_commands::{self, Module};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

/// A program; `None`: this machine has no Go, and it was said.
fn tool(module: Module, name: &str) -> Option<PathBuf> {
    let has_go =
        Command::new("go").arg("version").output().is_ok_and(|output| output.status.success());
    if !has_go {
        eprintln!("left out: {name} is built with Go, which is not there");
        return None;
    }
    Some(go_commands::command(module, name).expect("it is built"))
}

/// `None`: there is no Helm.
fn render(chart: &str, values: &[&str]) -> Option<Vec<Value>> {
    let mut command = Command::new(tool(Module::Helm, "helm")?);
    command.args(["template", "spread-operator"]).arg(checkout(&format!("charts/{chart}")));
    command.args(["--namespace", "spread-system"]);
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().expect("Helm starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{values:?}: {errors}");
    Some(documents(&String::from_utf8_lossy(&output.stdout)).expect("YAML"))
}

const ALL_ON: &str = "podMonitor.enabled=true,prometheusRule.enabled=true,dashboard.enabled=true";
const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn sets() -> Vec<Vec<String>> {
    let sets = [
        "",
        ALL_ON,
        "watchNamespaces={shop,billing}",
        "replicas=1,serviceAccount.create=false,serviceAccount.name=other,rbac.create=false",
        "podDisruptionBudget.enabled=false,networkPolicy.enabled=false,rbac.aggregate=false",
        "priorityClassName=high,nodeSelector.disk=ssd,podLabels.team=a,podAnnotations.note=b,imagePullSecrets[0].name=pull",
        "tolerations[0].key=a,tolerations[0].operator=Exists,affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring,serviceAccount.annotations.a=b",
        "topologySpreadConstraints[0].maxSkew=1,topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
    ];
    let mut sets: Vec<Vec<String>> =
        sets.iter().map(|set| set.split_terminator(',').map(str::to_owned).collect()).collect();
    // Commas inside braces are one value.
    sets[2] = vec!["watchNamespaces={shop,billing}".to_owned()];
    sets.push(vec![format!("image.digest={DIGEST}"), format!("daemonImage.digest={DIGEST}")]);
    sets
}

#[test]
fn every_manifest_keeps_to_the_types_of_the_api() {
    for set in sets() {
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        // The affinity of one set is not complete: Helm passes it through, and an API server would refuse it.
        let incomplete = set.iter().any(|value| value.starts_with("affinity"));
        let Some(manifests) = render("spread-operator", &set) else { return };
        assert!(manifests.len() >= 3, "{set:?}");
        for manifest in manifests.iter().filter(|one| !incomplete || one["kind"] != "Deployment") {
            validate(manifest).unwrap_or_else(|wrong| panic!("{set:?}: {wrong}: {manifest:#}"));
            let pod = &manifest["spec"]["template"]["spec"];
            if !pod.is_null() {
                restricted(pod).unwrap_or_else(|wrong| panic!("{set:?}: {wrong}: {pod:#}"));
            }
            if !is_cluster_wide(manifest) {
                assert!(manifest["metadata"]["namespace"].is_string(), "{manifest:#}");
            }
        }
    }
}

fn is_cluster_wide(manifest: &Value) -> bool {
    ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"]
        .contains(&manifest["kind"].as_str().unwrap_or_default())
}

#[test]
fn with_a_list_of_namespaces_nothing_is_cluster_wide() {
    let Some(manifests) = render("spread-operator", &["watchNamespaces={shop,billing}"]) else {
        return;
    };
    assert!(manifests.iter().all(|manifest| !is_cluster_wide(manifest)));
    let namespaces: BTreeSet<&str> =
        manifests.iter().filter_map(|one| one["metadata"]["namespace"].as_str()).collect();
    assert_eq!(namespaces, ["billing", "shop", "spread-system"].into());
}

#[test]
fn names_are_unique_and_short_enough() {
    let long = "fullnameOverride=a123456789b123456789c123456789d123456789";
    let Some(manifests) = render("spread-operator", &[long]) else { return };
    let mut seen = BTreeSet::new();
    for manifest in &manifests {
        let name = manifest["metadata"]["name"].as_str().expect("a name");
        assert!(name.len() <= 63, "{name}");
        assert!(manifest["kind"] != "SpreadCluster" || name.len() <= 40, "{name}");
        let key =
            (manifest["kind"].to_string(), manifest["metadata"]["namespace"].to_string(), name);
        assert!(seen.insert(key.clone()), "{key:?} is there twice");
    }
}

#[test]
fn the_definition_is_the_generated_one_and_is_kept() {
    let Some(manifests) = render("spread-operator-crds", &[]) else { return };
    let generated =
        documents(&read("crds/spreadclusters.yaml").expect("it is there")).expect("YAML");
    assert_eq!(manifests.len(), 1);
    // Too long to be shown whole; numbers may be written with and without a fraction.
    let (rendered, generated_spec) = (plain(&manifests[0]["spec"]), plain(&generated[0]["spec"]));
    assert!(rendered == generated_spec, "the chart's definition is not crds/spreadclusters.yaml");
    assert_eq!(manifests[0]["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    if let Some(annotations) = generated[0]["metadata"]["annotations"].as_object() {
        for (name, value) in annotations {
            assert_eq!(manifests[0]["metadata"]["annotations"][name], *value, "{name}");
        }
    }
    validate(&manifests[0]).expect("its fields are known");
}

fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), plain(field))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_charts_own_unit_tests_pass() {
    let Some(unittest) = tool(Module::HelmUnittest, "helm-unittest") else { return };
    let output = Command::new(unittest)
        .args(["charts/spread-operator", "charts/spread-operator-crds"])
        .current_dir(checkout("."))
        .output()
        .expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}
