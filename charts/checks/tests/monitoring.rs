//! What alerts and dashboard name is there.

use serde_json::Value;
use spread_charts::read;
use std::collections::BTreeSet;

fn alerts() -> Vec<Value> {
    serde_saphyr::from_str(&read("charts/spread-operator/files/alerts.yaml").expect("alerts"))
        .expect("YAML")
}

fn dashboard() -> Value {
    serde_json::from_str(&read("charts/spread-operator/files/dashboard.json").expect("a dashboard"))
        .expect("JSON")
}

/// Every string below `expr`, `query` or `definition`.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("expr" | "query" | "definition", Value::String(text)) => {
                        found.push(text.clone())
                    }
                    _ => queries(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// Words that begin as our metrics do.
fn metrics(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("spread_"))
        .map(str::to_owned)
        .collect()
}

/// All metrics that the operator and the daemons have, as a scraper names them: from the calls that register them.
fn known() -> BTreeSet<String> {
    let source = read("operator/controller/src/metrics.rs").expect("the operator's metrics");
    let mut known = BTreeSet::new();
    for call in source.split("registry.register(").skip(1) {
        let name = call.split('"').nth(1).expect("a name");
        known.insert(format!("spread_operator_{name}"));
        known.insert(format!("spread_operator_{name}_total"));
        known.insert(format!("spread_operator_{name}_bucket"));
    }
    let source = read("daemon/spreadd/src/admin/metrics.rs").expect("the daemons' metrics");
    for call in source.split("gauge(").skip(1) {
        if let Some(name) = call.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
            known.insert(format!("spread_{name}"));
        }
    }
    known
}

#[test]
fn every_metric_that_is_named_exists() {
    let known = known();
    assert!(known.contains("spread_operator_leader") && known.contains("spread_members"));
    let mut named = Vec::new();
    queries(&dashboard(), &mut named);
    named.extend(
        alerts().iter().map(|alert| alert["expr"].as_str().expect("an expression").to_owned()),
    );
    assert!(named.len() > 20, "{named:?}");
    for query in &named {
        for metric in metrics(query) {
            assert!(known.contains(&metric), "{metric} is in no program: {query}");
        }
    }
    let runbooks = read("docs/runbooks.md").expect("runbooks");
    for metric in metrics(&runbooks).iter().filter(|word| word.starts_with("spread_operator_")) {
        assert!(known.contains(metric), "docs/runbooks.md names {metric}");
    }
}

#[test]
fn every_condition_that_is_named_exists() {
    let source = read("operator/api/src/conditions.rs").expect("the conditions");
    for alert in alerts() {
        let expression = alert["expr"].as_str().expect("an expression");
        for part in expression.split("condition=\"").skip(1) {
            let condition = part.split('"').next().expect("its name");
            let named = source.contains(&format!("r#type: \"{condition}\""));
            assert!(named, "{condition} is no condition: {expression}");
        }
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let runbooks = read("docs/runbooks.md").expect("runbooks");
    let sections: BTreeSet<&str> =
        runbooks.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let alerts = alerts();
    let names: BTreeSet<&str> =
        alerts.iter().map(|alert| alert["alert"].as_str().expect("a name")).collect();
    assert_eq!(sections, names);
    for name in names {
        // The chart links to the section's anchor.
        assert!(runbooks.contains(&format!("[{name}](#{})", name.to_lowercase())), "{name}");
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    for panel in dashboard()["panels"].as_array().expect("panels") {
        assert!(panel["description"].as_str().is_some_and(|text| text.ends_with('.')), "{panel}");
    }
}
