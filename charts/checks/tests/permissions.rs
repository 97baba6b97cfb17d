//! The chart gives the permissions that docs/operator.md says the operator needs, and no others.

use serde_json::Value;
use spread_charts::read;
use std::collections::{BTreeMap, BTreeSet};

/// Verbs of each group and resource.
type Permissions = BTreeMap<(String, String), BTreeSet<String>>;

/// Rows of the table below `## Permissions`: group, resources, verbs.
fn documented() -> Permissions {
    let text = read("docs/operator.md").expect("the document");
    let (_, section) = text.split_once("## Permissions").expect("its section");
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut found = Permissions::new();
    for row in section.lines().filter(|line| line.starts_with("| ") && !line.contains("---")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [group, resources, verbs, ..] = cells[..] else { continue };
        if group == "group" {
            continue;
        }
        let group = if group == "core" { "" } else { group.trim_matches('`') };
        // What follows a semicolon says when it is needed.
        let verbs = words(verbs.split(';').next().unwrap_or_default());
        for resource in words(resources) {
            found.insert((group.to_owned(), resource), verbs.clone());
        }
    }
    found
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',').map(|word| word.trim().trim_matches('`').to_owned()).collect()
}

/// Rules of one named template, read without Helm: they have no values in them.
fn rules(template: &str) -> Permissions {
    let text = read("charts/spread-operator/templates/_rules.tpl").expect("the rules");
    let (_, rest) =
        text.split_once(&format!("define \"{template}\" -}}}}\n")).expect("its template");
    let (body, _) = rest.split_once("{{- end }}").expect("its end");
    let rules: Vec<Value> = serde_saphyr::from_str(body).expect("YAML");
    let mut found = Permissions::new();
    for rule in rules {
        let list = |name: &str| -> BTreeSet<String> {
            let words = rule[name].as_array().expect("a list").iter();
            words.map(|word| word.as_str().expect("a word").to_owned()).collect()
        };
        for group in list("apiGroups") {
            for resource in list("resources") {
                let verbs = found.entry((group.clone(), resource)).or_default();
                verbs.extend(list("verbs"));
            }
        }
    }
    found
}

#[test]
fn the_charts_rules_are_the_documented_ones() {
    let documented = documented();
    assert!(documented.len() > 8, "{documented:?}");
    let mut rules = rules("spread-operator.rules");
    // Asked for by clusters that guard owner references; the operator never calls it.
    let finalizers = ("spread-operator.dev".to_owned(), "spreadclusters/finalizers".to_owned());
    assert!(rules.remove(&finalizers).is_some());
    assert_eq!(rules, documented);
}

#[test]
fn of_the_whole_cluster_only_nodes_and_namespaces_are_asked_for() {
    let rule = |resource: &str| {
        let verbs = ["list".to_owned(), "watch".to_owned()];
        ((String::new(), resource.to_owned()), verbs.into())
    };
    let expected = [rule("nodes"), rule("namespaces")].into();
    assert_eq!(rules("spread-operator.clusterRules"), expected);
}
