//! `docs/api.md` from the definition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;
use spread_operator_api::{CONDITIONS, GROUP, VERSION, requests};
use std::fmt::Write as _;

/// Fields whose type is Kubernetes' own: named, not walked.
const KUBERNETES_OWN: &[&str] = &[
    "spec.podTemplate.resources",
    "spec.podTemplate.tolerations",
    "spec.podTemplate.affinity",
    "spec.podTemplate.topologySpreadConstraints",
    "status.conditions",
];

/// The whole page.
pub fn render(crd: &CustomResourceDefinition) -> String {
    let crd = serde_json::to_value(crd).unwrap();
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let mut text = format!(
        "# SpreadCluster: every field\n\nGenerated from `operator/api`; `UPDATE_CRDS=1 cargo test -p \
         spread-operator-api` writes it.\n\n`apiVersion: {GROUP}/{VERSION}`, `kind: SpreadCluster`, namespaced; short \
         name `sprc`.\n`kubectl explain spreadcluster.spec` has the same text.\n\n* [Spec](#spec)\n* \
         [Rules](#rules)\n* [Requests](#requests)\n* [Status](#status)\n* [Conditions](#conditions)\n* \
         [Columns](#columns)\n"
    );
    for (title, name) in [("Spec", "spec"), ("Status", "status")] {
        let _ = write!(
            text,
            "\n## {title}\n\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n"
        );
        fields(&schema["properties"][name], name, &mut text);
        if name == "spec" {
            rules(schema, &mut text);
            one_off_requests(&mut text);
        }
    }
    conditions(&mut text);
    columns(version, &mut text);
    text
}

fn fields(node: &Value, path: &str, text: &mut String) {
    for (name, field) in node["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let default = match &field["default"] {
            Value::Null | Value::Object(_) => String::new(),
            value => format!("`{value}`"),
        };
        let meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(text, "| `{path}` | {} | {default} | {meaning} |", kind(field, &path));
        if KUBERNETES_OWN.contains(&path.as_str()) {
            continue;
        }
        fields(field, &path, text);
        if field["items"]["properties"].is_object() {
            fields(&field["items"], &format!("{path}[]"), text);
        }
    }
}

fn kind(field: &Value, path: &str) -> String {
    if KUBERNETES_OWN.contains(&path) {
        return "as in Kubernetes".to_owned();
    }
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|word| match word.as_str() {
                Some("") => "empty".to_owned(),
                word => format!("`{}`", word.unwrap_or_default()),
            })
            .collect();
        return words.join(", ");
    }
    let number = |name: &str| field[name].as_f64();
    match field["type"].as_str() {
        Some("integer") => match (number("minimum"), number("maximum")) {
            (Some(low), Some(high)) => format!("integer, {low} to {high}"),
            _ => "integer".to_owned(),
        },
        Some("string") => match number("maxLength") {
            Some(longest) => format!("string, at most {longest}"),
            None => field["format"].as_str().unwrap_or("string").to_owned(),
        },
        Some("array") => format!("list, at most {}", number("maxItems").unwrap_or_default()),
        Some("object") => match number("maxProperties") {
            Some(most) => format!("map, at most {most}"),
            None => "object".to_owned(),
        },
        other => other.unwrap_or_default().to_owned(),
    }
}

fn rules(schema: &Value, text: &mut String) {
    text.push_str("\n## Rules\n\nA manifest that breaks one is refused at once, with this text.\n\n| field | message |\n| --- | --- |\n");
    walk(schema, "", text);
}

fn walk(node: &Value, path: &str, text: &mut String) {
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let field = rule["fieldPath"].as_str().unwrap_or(".metadata.name");
        let place = format!("{path}{field}");
        let message = rule["message"].as_str().unwrap_or_default();
        let _ = writeln!(text, "| `{}` | {message} |", place.trim_start_matches('.'));
    }
    for (name, inner) in node["properties"].as_object().into_iter().flatten() {
        walk(inner, &format!("{path}.{name}"), text);
    }
}

fn one_off_requests(text: &mut String) {
    text.push_str(
        "\n## Requests\n\nAnnotations with a value of your choice, answered in `status.lastHandledRequests`. The same \
         value is acted on once.\n\n| annotation | effect |\n| --- | --- |\n",
    );
    for (name, effect) in [
        (requests::RESTART, "all daemons restart, one after the other"),
        (
            requests::ROTATE_KEYS,
            "the ring gets a new key; the old one is dropped when all daemons use the new one",
        ),
        (requests::SWITCHOVER, "a switch-over that waits begins; not in force yet"),
        (requests::ABORT, "a switch-over goes back; not in force yet"),
    ] {
        let _ = writeln!(text, "| `{name}` | {effect} |");
    }
}

fn conditions(text: &mut String) {
    text.push_str("\n## Conditions\n\nAll are present from the first write on; each has `observedGeneration`.\n");
    for condition in CONDITIONS {
        let _ = write!(
            text,
            "\n**{}** is True when {}.\n\n| reason | |\n| --- | --- |\n",
            condition.r#type, condition.meaning
        );
        for (word, says) in condition.reasons {
            let _ = writeln!(text, "| `{word}` | {says} |");
        }
    }
}

fn columns(version: &Value, text: &mut String) {
    text.push_str("\n## Columns\n\n| column | shows | |\n| --- | --- | --- |\n");
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let wide = if column["priority"] == 1 { "with `-o wide`" } else { "" };
        let _ = writeln!(
            text,
            "| {} | `{}` | {wide} |",
            column["name"].as_str().unwrap_or_default(),
            column["jsonPath"].as_str().unwrap_or_default()
        );
    }
}
