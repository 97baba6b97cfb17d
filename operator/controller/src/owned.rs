//! What of an object is this operator's, as the API server keeps it: the managed fields name it, and their values are
//! those of the last apply unless somebody changed them since. So whether an object is as wanted can be seen without
//! writing, by a process that has not written it itself.

use kube::api::DynamicObject;
use serde_json::{Map, Value};
use spread_plan::names::FIELD_MANAGER;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// A hash of the fields of ours with their values. None: this operator has applied nothing to it.
pub fn content(object: &DynamicObject) -> Option<u64> {
    let fields = object.metadata.managed_fields.iter().flatten().find(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER)
            && fields.operation.as_deref() == Some("Apply")
            && fields.subresource.is_none()
    })?;
    let fields = &fields.fields_v1.as_ref()?.0;
    let mut owned = match project(fields, &object.data) {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if let Some(fields) = fields.get("f:metadata") {
        let mut metadata = object.metadata.clone();
        metadata.managed_fields = None;
        let metadata = serde_json::to_value(metadata).ok()?;
        owned.insert("metadata".to_owned(), project(fields, &metadata));
    }
    Some(hash(&Value::Object(owned)))
}

/// The same hash of what is to be applied.
pub fn wanted_content(wanted: &Value) -> u64 {
    let mut wanted = wanted.clone();
    if let Some(fields) = wanted.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        for name in ["name", "namespace", "resourceVersion", "uid"] {
            metadata.remove(name);
        }
    }
    hash(&wanted)
}

/// The part of a value that a tree of managed fields names. A tree without branches names the whole value.
fn project(fields: &Value, live: &Value) -> Value {
    let Some(tree) = fields.as_object().filter(|tree| !tree.is_empty()) else {
        return live.clone();
    };
    match live {
        Value::Object(live) => {
            let named = tree.iter().filter_map(|(step, fields)| {
                let name = step.strip_prefix("f:")?;
                Some((name.to_owned(), project(fields, live.get(name)?)))
            });
            Value::Object(named.collect())
        }
        Value::Array(items) => {
            let ours = items.iter().filter_map(|item| {
                let (_, fields) = tree.iter().find(|(step, _)| is_item(step, item))?;
                Some(project(fields, item))
            });
            Value::Array(ours.collect())
        }
        other => other.clone(),
    }
}

/// Whether a step of a path names this item of a list, by its keys or by its value.
fn is_item(step: &str, item: &Value) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let Some(keys) = step.strip_prefix("k:").and_then(parsed) {
        let mut keys = keys.as_object().into_iter().flatten();
        return keys.all(|(name, value)| item.get(name) == Some(value));
    }
    step.strip_prefix("v:").and_then(parsed).is_some_and(|value| value == *item)
}

fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(value, &mut hasher);
    hasher.finish()
}

/// The order of a map's keys does not count.
fn feed(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(value) => (1_u8, value).hash(hasher),
        Value::Number(number) => (2_u8, number.to_string()).hash(hasher),
        Value::String(text) => (3_u8, text).hash(hasher),
        Value::Array(items) => {
            (4_u8, items.len()).hash(hasher);
            items.iter().for_each(|item| feed(item, hasher));
        }
        Value::Object(map) => {
            (5_u8, map.len()).hash(hasher);
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in fields {
                name.hash(hasher);
                feed(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{content, wanted_content};
    use kube::api::DynamicObject;
    use serde_json::{Value, json};

    fn wanted() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "orders-client", "namespace": "shop", "labels": {"a": "1"},
                "ownerReferences": [{"uid": "5f0c", "name": "orders", "controller": true}],
            },
            "spec": {
                "type": "ClusterIP",
                "selector": {"a": "1", "b": "2"},
                "ports": [{"name": "spread", "port": 4803, "protocol": "TCP"}],
                "finalizers": ["x"],
            },
        })
    }

    /// As the API server answers: with defaults, with what others own, and with who owns what.
    fn live() -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "orders-client", "namespace": "shop", "uid": "1", "resourceVersion": "7",
                "labels": {"a": "1", "theirs": "2"},
                "ownerReferences": [{"apiVersion": "", "kind": "", "uid": "5f0c", "name": "orders", "controller": true}],
                "managedFields": [
                    {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {"f:theirs": {}}}}},
                    {"manager": "spread-operator", "operation": "Apply", "fieldsV1": {
                        "f:metadata": {"f:labels": {"f:a": {}}, "f:ownerReferences": {"k:{\"uid\":\"5f0c\"}": {}}},
                        "f:spec": {
                            "f:type": {},
                            "f:selector": {},
                            "f:ports": {"k:{\"port\":4803,\"protocol\":\"TCP\"}":
                                {".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}}},
                            "f:finalizers": {"v:\"x\"": {}},
                        },
                    }},
                ],
            },
            "spec": {
                "type": "ClusterIP", "clusterIP": "10.0.0.1", "sessionAffinity": "None",
                "selector": {"b": "2", "a": "1"},
                "ports": [
                    {"name": "theirs", "port": 80, "protocol": "TCP"},
                    {"name": "spread", "port": 4803, "protocol": "TCP", "nodePort": 30000},
                ],
                "finalizers": ["theirs", "x"],
            },
        })
    }

    fn parse(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    fn wanted_of_live() -> Value {
        let mut wanted = wanted();
        // What a reference to an owner always has.
        wanted["metadata"]["ownerReferences"][0]["apiVersion"] = json!("");
        wanted["metadata"]["ownerReferences"][0]["kind"] = json!("");
        wanted
    }

    #[test]
    fn defaults_and_what_others_own_do_not_count() {
        assert_eq!(content(&parse(live())), Some(wanted_content(&wanted_of_live())));
    }

    #[test]
    fn every_edit_of_what_is_ours_counts() {
        let edits: [(&str, Value); 6] = [
            ("/metadata/labels/a", json!("edited")),
            ("/spec/type", json!("NodePort")),
            ("/spec/selector/b", json!("edited")),
            ("/spec/selector", json!({"a": "1", "b": "2", "c": "3"})),
            ("/spec/ports/1/name", json!("edited")),
            ("/spec/finalizers", json!([])),
        ];
        for (path, value) in edits {
            let mut edited = live();
            *edited.pointer_mut(path).unwrap() = value;
            assert_ne!(content(&parse(edited)), Some(wanted_content(&wanted_of_live())), "{path}");
        }
    }

    /// A field that somebody else has set is no longer named as ours, whatever its value is now.
    #[test]
    fn a_field_that_was_taken_from_us_counts() {
        let mut taken = live();
        let ours = &mut taken["metadata"]["managedFields"][1]["fieldsV1"]["f:spec"];
        ours.as_object_mut().unwrap().remove("f:type");
        assert_ne!(content(&parse(taken)), Some(wanted_content(&wanted_of_live())));
    }

    #[test]
    fn a_field_that_is_no_longer_wanted_counts() {
        let mut less = wanted_of_live();
        less["spec"].as_object_mut().unwrap().remove("finalizers");
        assert_ne!(content(&parse(live())), Some(wanted_content(&less)));
    }

    #[test]
    fn an_object_that_was_not_applied_has_no_content_of_ours() {
        let mut foreign = live();
        foreign["metadata"]["managedFields"] = json!([]);
        assert_eq!(content(&parse(foreign)), None);
    }
}
