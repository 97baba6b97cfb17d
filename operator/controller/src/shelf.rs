//! Objects of one kind as they are watched, by namespace and name. Children of a cluster begin with its name, so they
//! are found without looking at those of others.

use kube::Resource;
use kube::ResourceExt as _;
use kube::runtime::watcher;
use spread_plan::names::CLUSTER_LABEL;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// A cluster that something happened to: namespace and name.
pub type Trigger = (String, String);

/// Namespace and name.
type Place = (Box<str>, Box<str>);

struct Kept<V> {
    /// The cluster that its label names.
    cluster: Box<str>,
    /// Whose it is, as far as clusters are concerned; also where the label names another one.
    triggers: Box<[Box<str>]>,
    /// The listing in which it was last seen.
    listing: u32,
    value: Arc<V>,
}

struct Objects<V> {
    by_place: BTreeMap<Place, Kept<V>>,
    /// How often all were listed; the watch starts anew after a gap.
    listing: u32,
}

/// All objects of one kind that are watched.
pub struct Shelf<V> {
    objects: RwLock<Objects<V>>,
    complete: watch::Sender<bool>,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        let objects = Objects { by_place: BTreeMap::new(), listing: 0 };
        Self { objects: RwLock::new(objects), complete: watch::Sender::new(false) }
    }
}

impl<V: PartialEq> Shelf<V> {
    /// Takes what happened; gives the clusters that it matters to. While nothing was complete yet, nobody has acted on
    /// anything, and all clusters are looked at anyway.
    pub fn take<K: Resource>(
        &self,
        event: watcher::Event<K>,
        keep: impl Fn(&K) -> V,
    ) -> Vec<Trigger> {
        // Made before anybody is kept waiting.
        let value = match &event {
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => Some(keep(object)),
            _ => None,
        };
        let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
        let touched = match event {
            watcher::Event::Init => {
                objects.listing += 1;
                Vec::new()
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                value.map(|value| objects.put(&object, value)).unwrap_or_default()
            }
            watcher::Event::Delete(object) => objects.remove(&place(&object)),
            watcher::Event::InitDone => {
                let listing = objects.listing;
                let gone = objects.by_place.iter().filter(|(_, kept)| kept.listing != listing);
                let gone: Vec<Place> = gone.map(|(place, _)| place.clone()).collect();
                gone.iter().flat_map(|place| objects.remove(place)).collect()
            }
        };
        drop(objects);
        if *self.complete.borrow() { touched } else { Vec::new() }
    }
}

impl<V> Shelf<V> {
    /// All were listed.
    pub fn set_complete(&self) {
        self.complete.send_replace(true);
    }

    /// Waits until all were listed once.
    pub async fn complete(&self) {
        // The sender is this shelf's.
        let _ = self.complete.subscribe().wait_for(|complete| *complete).await;
    }

    /// One object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<V>> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let kept = objects.by_place.get(&(namespace.into(), name.into()))?;
        Some(Arc::clone(&kept.value))
    }

    /// Those of a cluster, by its label, with their names.
    pub fn of(&self, namespace: &str, cluster: &str) -> Vec<(String, Arc<V>)> {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let prefix = format!("{cluster}-");
        let first: Place = (namespace.into(), prefix.as_str().into());
        let range = objects.by_place.range((Bound::Included(first), Bound::Unbounded));
        range
            .take_while(|((of, name), _)| **of == *namespace && name.starts_with(&prefix))
            .filter(|(_, kept)| *kept.cluster == *cluster)
            .map(|((_, name), kept)| (name.to_string(), Arc::clone(&kept.value)))
            .collect()
    }
}

impl<V: PartialEq> Objects<V> {
    fn put<K: Resource>(&mut self, object: &K, value: V) -> Vec<Trigger> {
        let place = place(object);
        let cluster: Box<str> =
            object.labels().get(CLUSTER_LABEL).map(String::as_str).unwrap_or_default().into();
        let kept = Kept {
            triggers: clusters_of(object),
            cluster,
            listing: self.listing,
            value: Arc::new(value),
        };
        let (now, matters) = (kept.triggers.clone(), kept.cluster.clone());
        match self.by_place.get_mut(&place) {
            Some(before) => {
                let same = before.value == kept.value && before.cluster == matters;
                let mut before = std::mem::replace(before, kept).triggers.into_vec();
                if same && *before == *now {
                    return Vec::new();
                }
                before.extend(now);
                before.sort_unstable();
                before.dedup();
                in_namespace(&place, &before)
            }
            None => {
                let touched = in_namespace(&place, &now);
                self.by_place.insert(place, kept);
                touched
            }
        }
    }

    fn remove(&mut self, place: &Place) -> Vec<Trigger> {
        let removed = self.by_place.remove(place);
        removed.map(|kept| in_namespace(place, &kept.triggers)).unwrap_or_default()
    }
}

fn place<K: Resource>(object: &K) -> Place {
    (object.namespace().unwrap_or_default().into(), object.name_any().into())
}

/// Whose an object is, by its owner and by its label: somebody may have edited one of them.
fn clusters_of<K: Resource>(object: &K) -> Box<[Box<str>]> {
    let owners = object.owner_references().iter().filter(|owner| owner.kind == "SpreadCluster");
    let mut names: Vec<Box<str>> = owners.map(|owner| owner.name.as_str().into()).collect();
    names.extend(object.labels().get(CLUSTER_LABEL).map(|name| name.as_str().into()));
    names.dedup();
    names.into()
}

fn in_namespace(place: &Place, clusters: &[Box<str>]) -> Vec<Trigger> {
    clusters.iter().map(|cluster| (place.0.to_string(), cluster.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::{Shelf, Trigger};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt as _;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    fn object(name: &str, cluster: &str, content: &str) -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": name, "labels": {"spread-operator.dev/cluster": cluster},
            },
            "data": {"content": content},
        }))
        .unwrap()
    }

    fn take(shelf: &Shelf<String>, event: Event<ConfigMap>) -> Vec<Trigger> {
        shelf.take(event, |object| object.data.as_ref().unwrap()["content"].clone())
    }

    fn listed(shelf: &Shelf<String>, objects: Vec<ConfigMap>) -> Vec<Trigger> {
        let mut touched = take(shelf, Event::Init);
        touched.extend(objects.into_iter().flat_map(|one| take(shelf, Event::InitApply(one))));
        touched.extend(take(shelf, Event::InitDone));
        shelf.set_complete();
        touched
    }

    fn trigger(cluster: &str) -> Trigger {
        ("shop".to_owned(), cluster.to_owned())
    }

    #[test]
    fn children_are_found_by_cluster_though_names_begin_alike() {
        let shelf = Shelf::default();
        let touched = listed(
            &shelf,
            vec![
                object("orders-r1", "orders", "a"),
                object("orders-eu-r1", "orders-eu", "b"),
                object("orders-client", "orders", "c"),
                object("ordersx-r1", "ordersx", "d"),
            ],
        );
        assert!(touched.is_empty(), "all clusters are looked at anyway: {touched:?}");
        let names = |cluster: &str| -> Vec<String> {
            shelf.of("shop", cluster).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("orders"), ["orders-client", "orders-r1"]);
        assert_eq!(names("orders-eu"), ["orders-eu-r1"]);
        assert!(shelf.of("other", "orders").is_empty());
        assert_eq!(shelf.get("shop", "orders-r1").as_deref(), Some(&"a".to_owned()));
    }

    #[test]
    fn only_what_differs_matters() {
        let shelf = Shelf::default();
        listed(&shelf, vec![object("orders-r1", "orders", "a")]);
        let mut same = object("orders-r1", "orders", "a");
        same.annotations_mut().insert("not".to_owned(), "read".to_owned());
        assert!(take(&shelf, Event::Apply(same)).is_empty());
        let other = object("orders-r1", "orders", "b");
        assert_eq!(take(&shelf, Event::Apply(other)), [trigger("orders")]);
        let moved = object("orders-r1", "shops", "b");
        assert_eq!(
            take(&shelf, Event::Apply(moved.clone())),
            [trigger("orders"), trigger("shops")]
        );
        assert_eq!(take(&shelf, Event::Delete(moved)), [trigger("shops")]);
        assert!(shelf.get("shop", "orders-r1").is_none());
    }

    #[test]
    fn what_a_new_list_lacks_is_gone_and_matters() {
        let shelf = Shelf::default();
        let (first, second) = (object("a-r1", "a", "1"), object("b-r1", "b", "1"));
        listed(&shelf, vec![first.clone(), second]);
        assert_eq!(listed(&shelf, vec![first]), [trigger("b")]);
        assert!(shelf.get("shop", "b-r1").is_none() && shelf.get("shop", "a-r1").is_some());
    }
}
