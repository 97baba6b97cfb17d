//! What of an object is this operator's, as the API server keeps it: the managed fields name it, and their values are
//! those of the last apply unless somebody changed them since. So whether an object is as wanted can be seen without
//! writing, by a process that has not written it itself.

use kube::api::{DynamicObject, ObjectMeta};
use serde_json::{Map, Value};
use spread_plan::names::FIELD_MANAGER;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// A hash of the fields of ours with their values. None: this operator has applied nothing to it.
pub fn content(object: &DynamicObject) -> Option<u64> {
    let fields = object.metadata.managed_fields.iter().flatten().find(|fields| {
        fields.manager.as_deref() == Some(FIELD_MANAGER)
            && fields.operation.as_deref() == Some("Apply")
            && fields.subresource.is_none()
    })?;
    let fields = &fields.fields_v1.as_ref()?.0;
    let metadata = applied_metadata(&object.metadata)?;
    let mut hasher = DefaultHasher::new();
    let mut owned = named(fields, &object.data);
    if let Some(fields) = fields.get("f:metadata") {
        owned.push(("metadata", fields, &metadata));
    }
    feed_named(owned, &mut hasher);
    Some(hasher.finish())
}

/// What can be applied of metadata. Who owns which field is not of it, and more than all the rest.
fn applied_metadata(metadata: &ObjectMeta) -> Option<Value> {
    let applied = ObjectMeta {
        annotations: metadata.annotations.clone(),
        finalizers: metadata.finalizers.clone(),
        labels: metadata.labels.clone(),
        owner_references: metadata.owner_references.clone(),
        ..ObjectMeta::default()
    };
    serde_json::to_value(applied).ok()
}

/// The same hash of what is to be applied.
pub fn wanted_content(wanted: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    let of_metadata = ["name", "namespace", "resourceVersion", "uid"];
    feed_without(wanted, &["apiVersion", "kind"], &mut hasher, |name, value, hasher| {
        if name == "metadata" {
            feed_without(value, &of_metadata, hasher, |_, value, hasher| feed(value, hasher));
        } else {
            feed(value, hasher);
        }
    });
    hasher.finish()
}

/// Feeds a map without some of its fields.
fn feed_without(
    value: &Value,
    without: &[&str],
    hasher: &mut DefaultHasher,
    mut feed_field: impl FnMut(&str, &Value, &mut DefaultHasher),
) {
    let fields = value.as_object().into_iter().flatten();
    let mut fields: Vec<_> = fields.filter(|(name, _)| !without.contains(&name.as_str())).collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    (5_u8, fields.len()).hash(hasher);
    for (name, value) in fields {
        name.as_str().hash(hasher);
        feed_field(name, value, hasher);
    }
}

/// The fields of a map that a tree of managed fields names, with their part of the tree.
fn named<'a>(tree: &'a Value, live: &'a Value) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let steps = tree.as_object().into_iter().flatten();
    let field = |(step, fields): (&'a String, &'a Value)| {
        let name = step.strip_prefix("f:")?;
        Some((name, fields, live.get(name)?))
    };
    steps.filter_map(field).collect()
}

fn feed_named(mut fields: Vec<(&str, &Value, &Value)>, hasher: &mut DefaultHasher) {
    fields.sort_unstable_by_key(|(name, _, _)| *name);
    (5_u8, fields.len()).hash(hasher);
    for (name, tree, live) in fields {
        name.hash(hasher);
        feed_part(tree, live, hasher);
    }
}

/// Feeds the part of a value that a tree of managed fields names. A tree without branches names the whole value.
fn feed_part(tree: &Value, live: &Value, hasher: &mut DefaultHasher) {
    let Some(steps) = tree.as_object().filter(|steps| !steps.is_empty()) else {
        return feed(live, hasher);
    };
    match live {
        Value::Object(_) => feed_named(named(tree, live), hasher),
        Value::Array(items) => {
            let steps: Vec<(Step, &Value)> =
                steps.iter().filter_map(|(step, tree)| Some((Step::parse(step)?, tree))).collect();
            let tree_of = |item: &Value| steps.iter().find(|(step, _)| step.names(item));
            let ours: Vec<(&Value, &Value)> =
                items.iter().filter_map(|item| Some((tree_of(item)?.1, item))).collect();
            (4_u8, ours.len()).hash(hasher);
            ours.into_iter().for_each(|(tree, item)| feed_part(tree, item, hasher));
        }
        other => feed(other, hasher),
    }
}

/// A step of a path that names an item of a list.
enum Step {
    /// By its keys.
    Keys(Map<String, Value>),
    /// By its value.
    Value(Value),
}

impl Step {
    fn parse(step: &str) -> Option<Self> {
        match step.split_once(':')? {
            ("k", keys) => serde_json::from_str(keys).ok().map(Self::Keys),
            ("v", value) => serde_json::from_str(value).ok().map(Self::Value),
            _ => None,
        }
    }

    fn names(&self, item: &Value) -> bool {
        match self {
            Self::Keys(keys) => keys.iter().all(|(name, value)| item.get(name) == Some(value)),
            Self::Value(value) => value == item,
        }
    }
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
        Value::Object(_) => {
            feed_without(value, &[], hasher, |_, value, hasher| feed(value, hasher))
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
