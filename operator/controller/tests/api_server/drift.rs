//! Somebody edits or deletes what is the operator's: every field of every kind is back, and what is theirs
//! stays.

use crate::world::{CHILDREN, Operator, World, wait};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Paths of what the operator owns in an object, as its managed fields say: only leaves.
fn owned(object: &DynamicObject) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for fields in object.managed_fields() {
        if fields.manager.as_deref() == Some("spread-operator") && fields.subresource.is_none() {
            let tree = fields.fields_v1.clone().unwrap().0;
            walk(&tree, &mut Vec::new(), &mut paths);
        }
    }
    paths
}

fn walk(tree: &Value, path: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    let inner: Vec<(&String, &Value)> =
        tree.as_object().into_iter().flatten().filter(|(name, _)| *name != ".").collect();
    if inner.is_empty() {
        paths.push(path.clone());
    }
    for (name, tree) in inner {
        path.push(name.clone());
        walk(tree, path, paths);
        path.pop();
    }
}

/// The place in an object that a path of managed fields means.
fn find<'a>(value: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    let mut place = value;
    for step in path {
        let (kind, name) = step.split_once(':')?;
        place = match kind {
            "f" => place.get_mut(name)?,
            "k" => {
                let keys: Value = serde_json::from_str(name).ok()?;
                let fits = |item: &Value| {
                    keys.as_object()
                        .into_iter()
                        .flatten()
                        .all(|(key, value)| item.get(key) == Some(value))
                };
                place.as_array_mut()?.iter_mut().find(|item| fits(item))?
            }
            _ => return None,
        };
    }
    Some(place)
}

/// Something else of the same type.
fn other(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Bool(value) => json!(!value),
        Value::Number(value) => json!(value.as_i64()? + 1),
        // Data of Secrets is base64, and stays so.
        Value::String(text) if text.len() % 4 == 0 && text.len() > 40 => json!("YWJj"),
        Value::String(text) => json!(format!("{text}x")),
        _ => return None,
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn every_owned_field_of_every_kind_is_back_after_an_edit() {
    let world = World::new("drift").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    world.reason("orders", "Ready", "RingForming").await;
    for (kind, child) in CHILDREN {
        let name = child.replace("CLUSTER", "orders");
        let api = world.children(kind);
        let paths = owned(&api.get(&name).await.unwrap());
        assert!(paths.len() >= 5, "{kind} {name} has {} owned fields", paths.len());
        let (mut edited, mut refused) = (0, 0);
        for path in paths {
            // An edit may race with the repair of the one before.
            let outcome = loop {
                let live = api.get(&name).await.unwrap();
                let mut value = serde_json::to_value(&live).unwrap();
                let Some(place) = find(&mut value, &path) else { break None };
                let Some(changed) = other(place) else { break None };
                let original = std::mem::replace(place, changed.clone());
                value["metadata"]["managedFields"] = Value::Null;
                let object = serde_json::from_value(value).unwrap();
                match api.replace(&name, &PostParams::default(), &object).await {
                    Ok(after) => {
                        let mut after = serde_json::to_value(after).unwrap();
                        // Some edits are undone by the API server's own rules.
                        let kept = find(&mut after, &path).is_some_and(|place| *place == changed);
                        break kept.then_some(Some(original));
                    }
                    Err(kube::Error::Api(status)) if status.code == 409 => {}
                    Err(_) => break Some(None),
                }
            };
            match outcome {
                Some(Some(original)) => {
                    edited += 1;
                    wait(&format!("{kind} {name} {path:?} is back"), async || {
                        let mut live = serde_json::to_value(api.get(&name).await.unwrap()).unwrap();
                        match find(&mut live, &path) {
                            Some(place) if *place == original => Ok(()),
                            other => Err(format!("{other:?}")),
                        }
                    })
                    .await;
                }
                Some(None) => refused += 1,
                None => {}
            }
        }
        println!("{kind} {name}: {edited} fields edited and back, {refused} edits refused");
        assert!(edited >= 4, "{kind} {name}: only {edited} fields could be edited");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn what_others_add_stays() {
    let world = World::new("additions").await;
    let _operator = Operator::start(&world);
    world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    for (kind, child) in CHILDREN {
        let name = child.replace("CLUSTER", "orders");
        let patch = json!({"metadata": {
            "labels": {"example.org/team": "a", "app.kubernetes.io/name": "edited"},
            "annotations": {"example.org/note": "b"},
        }});
        let api = world.children(kind);
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        wait(&format!("our label of {kind} {name} is back"), async || {
            let live = api.get(&name).await.unwrap();
            let label = live.labels().get("app.kubernetes.io/name").cloned();
            if label.as_deref() == Some("spread") { Ok(()) } else { Err(label) }
        })
        .await;
        let live = api.get(&name).await.unwrap();
        assert_eq!(live.labels()["example.org/team"], "a");
        assert_eq!(live.annotations()["example.org/note"], "b");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the Kubernetes commands: cargo e2e test"]
async fn every_child_that_is_deleted_or_disowned_comes_back() {
    let world = World::new("deleted").await;
    let _operator = Operator::start(&world);
    let cluster = world.apply("orders", &json!({"replicas": 1})).await;
    world.made("orders").await;
    for (kind, child) in CHILDREN {
        let name = child.replace("CLUSTER", "orders");
        let api = world.children(kind);
        let before = api.get(&name).await.unwrap().uid();
        api.delete(&name, &DeleteParams::background()).await.unwrap();
        wait(&format!("{kind} {name} is made again"), async || {
            match api.get_opt(&name).await.unwrap() {
                Some(live) if live.uid() != before => Ok(()),
                _ => Err(()),
            }
        })
        .await;
        // Neither our label nor our owner: what we wrote is known all the same.
        let patch = json!({"metadata": {
            "ownerReferences": null,
            "labels": {"spread-operator.dev/cluster": null},
        }});
        api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        wait(&format!("{kind} {name} is owned again"), async || {
            let live = api.get(&name).await.unwrap();
            let owner = live.owner_references().first().map(|owner| owner.uid.clone());
            if owner == cluster.uid() { Ok(()) } else { Err(owner) }
        })
        .await;
    }
}
