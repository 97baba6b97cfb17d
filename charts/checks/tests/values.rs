//! The values of both charts: nothing beyond the schema, everything in README and templates.

use serde_json::Value;
use spread_charts::{checkout, read};
use std::fs;

const CHARTS: [&str; 2] = ["charts/spread-operator", "charts/spread-operator-crds"];

fn schema(chart: &str) -> Value {
    serde_json::from_str(&read(&format!("{chart}/values.schema.json")).expect("a schema"))
        .expect("JSON")
}

fn values(chart: &str) -> Value {
    serde_saphyr::from_str(&read(&format!("{chart}/values.yaml")).expect("values")).expect("YAML")
}

/// Objects that the Kubernetes API describes, or whose keys are the user's.
const OPEN: [&str; 2] = ["As in the Kubernetes API.", "Helm's own"];

fn is_open(schema: &Value) -> bool {
    let description = schema["description"].as_str().unwrap_or_default();
    OPEN.iter().any(|open| description.contains(open))
}

fn closed(schema: &Value, path: &str) {
    if schema["type"] == "object" && !is_open(schema) {
        let more = &schema["additionalProperties"];
        assert!(*more == false || more["type"] == "string", "{path} takes anything");
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            closed(property, &format!("{path}.{name}"));
        }
    }
    if schema["items"]["properties"].is_object() {
        closed(&schema["items"], &format!("{path}[]"));
    }
}

#[test]
fn no_schema_takes_what_it_does_not_name() {
    for chart in CHARTS {
        closed(&schema(chart), chart);
    }
}

/// Paths of the leaves of the defaults.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value.as_object().filter(|fields| !fields.is_empty()) {
        None => found.push(path.to_owned()),
        Some(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(field, &path, found);
            }
        }
    }
}

#[test]
fn every_default_is_in_the_schema_and_every_property_has_a_default() {
    for chart in CHARTS {
        let (schema, values) = (schema(chart), values(chart));
        let mut found = Vec::new();
        leaves(&values, "", &mut found);
        for path in &found {
            let mut at = &schema;
            for name in path.split('.') {
                let own = &at["properties"][name];
                at = if own.is_null() { &at["additionalProperties"] } else { own };
                assert!(!at.is_null() && *at != false, "{chart}: {path} is not in the schema");
            }
        }
        for name in schema["properties"].as_object().expect("properties").keys() {
            assert!(name == "global" || !values[name].is_null(), "{chart}: {name} has no default");
        }
    }
}

fn templates(chart: &str) -> String {
    let mut text = String::new();
    for folder in ["templates", "templates/tests"] {
        let Ok(entries) = fs::read_dir(checkout(chart).join(folder)) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
            text += &fs::read_to_string(entry.path()).expect("a template");
        }
    }
    text
}

#[test]
fn every_value_is_used_and_in_the_table() {
    for chart in CHARTS {
        let templates = templates(chart);
        for name in values(chart).as_object().expect("values").keys() {
            assert!(templates.contains(&format!(".Values.{name}")), "{chart}: {name} is not used");
        }
    }
    let readme = read("charts/spread-operator/README.md").expect("a README");
    let mut paths = Vec::new();
    leaves(&values("charts/spread-operator"), "", &mut paths);
    for path in paths {
        // Of `image.tag`, both words are in one row.
        let words: Vec<&str> = path.split('.').collect();
        let in_row = |row: &str| words.iter().take(2).all(|word| row.contains(&format!("`{word}")));
        assert!(
            readme.lines().any(|row| row.starts_with("| `") && in_row(row)),
            "{path} is not in the table of charts/spread-operator/README.md"
        );
    }
}

#[test]
fn versions_are_those_of_the_workspace() {
    for chart in CHARTS {
        let chart: Value =
            serde_saphyr::from_str(&read(&format!("{chart}/Chart.yaml")).expect("a chart"))
                .expect("YAML");
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    }
}
