//! An object of any kind as it is watched. The library's type for that has its fields flattened: each object is then read
//! into a buffer first and from there into a value, which took most of the time of an initial list.

use kube::Resource;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{ApiResource, DynamicResourceScope};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// The object, without what its kind is: whoever watches knows that.
#[derive(Clone, Debug)]
pub struct Watched(pub DynamicObject);

impl<'de> Deserialize<'de> for Watched {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Watched;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("an object of Kubernetes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Watched, A::Error> {
        let (mut metadata, mut data) = (None::<ObjectMeta>, Map::new());
        while let Some(name) = fields.next_key::<Cow<'_, str>>()? {
            match &*name {
                "apiVersion" | "kind" => drop(fields.next_value::<IgnoredAny>()?),
                "metadata" => metadata = Some(fields.next_value()?),
                _ => drop(data.insert(name.into_owned(), fields.next_value()?)),
            }
        }
        let metadata = metadata.ok_or_else(|| A::Error::missing_field("metadata"))?;
        Ok(Watched(DynamicObject { types: None, metadata, data: Value::Object(data) }))
    }
}

impl Resource for Watched {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn group(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::group(of)
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::version(of)
    }

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::kind(of)
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        DynamicObject::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::Watched;
    use kube::api::DynamicObject;
    use serde_json::json;

    #[test]
    fn it_reads_as_the_librarys_own_type_does() {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "a", "labels": {"b": "c"}, "resourceVersion": "7"},
            "data": {"d": "ZQ=="}, "immutable": true, "nothing": null,
        });
        let expected: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let Watched(read) = serde_json::from_str(&object.to_string()).unwrap();
        assert_eq!(read.metadata, expected.metadata);
        assert_eq!(read.data, expected.data);
        let error = serde_json::from_str::<Watched>("{}").unwrap_err();
        assert!(error.to_string().contains("metadata"), "{error}");
    }
}
