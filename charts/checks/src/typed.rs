//! A manifest against the type of its kind: what the type does not know is lost on the way through it.

use crate::monitoring::{PodMonitor, PrometheusRule};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use spread_operator_api::SpreadCluster;

/// All fields of the manifest are known to its kind and have the right types.
///
/// # Errors
/// The path of the first field that is not, or a kind that this does not know.
pub fn validate(manifest: &Value) -> Result<(), String> {
    let word = |name: &str| manifest[name].as_str().unwrap_or_default();
    match (word("apiVersion"), word("kind")) {
        ("apps/v1", "Deployment") => through::<Deployment>(manifest),
        ("batch/v1", "Job") => through::<Job>(manifest),
        ("v1", "ConfigMap") => through::<ConfigMap>(manifest),
        ("v1", "ServiceAccount") => through::<ServiceAccount>(manifest),
        ("networking.k8s.io/v1", "NetworkPolicy") => through::<NetworkPolicy>(manifest),
        ("policy/v1", "PodDisruptionBudget") => through::<PodDisruptionBudget>(manifest),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => through::<ClusterRole>(manifest),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            through::<ClusterRoleBinding>(manifest)
        }
        ("rbac.authorization.k8s.io/v1", "Role") => through::<Role>(manifest),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => through::<RoleBinding>(manifest),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            through::<CustomResourceDefinition>(manifest)
        }
        ("monitoring.coreos.com/v1", "PodMonitor") => through::<PodMonitor>(manifest),
        ("monitoring.coreos.com/v1", "PrometheusRule") => through::<PrometheusRule>(manifest),
        ("spread-operator.dev/v1alpha1", "SpreadCluster") => through::<SpreadCluster>(manifest),
        (version, kind) => Err(format!("{version} {kind} is no kind that is checked")),
    }
}

fn through<T: DeserializeOwned + Serialize>(manifest: &Value) -> Result<(), String> {
    let typed: T = serde_json::from_value(manifest.clone()).map_err(|error| error.to_string())?;
    let back = serde_json::to_value(typed).map_err(|error| error.to_string())?;
    kept(manifest, &back, String::new())
}

/// Everything of the first is in the second.
fn kept(from: &Value, to: &Value, path: String) -> Result<(), String> {
    match (from, to) {
        (Value::Object(fields), Value::Object(others)) => {
            for (name, field) in fields {
                let path = format!("{path}.{name}");
                let empty = matches!(field, Value::Null)
                    || field.as_array().is_some_and(Vec::is_empty)
                    || field.as_object().is_some_and(serde_json::Map::is_empty);
                match others.get(name) {
                    Some(other) => kept(field, other, path)?,
                    None if empty => {}
                    None => return Err(format!("{path} is no field")),
                }
            }
            Ok(())
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            let pairs = items.iter().zip(others).enumerate();
            for (index, (item, other)) in pairs {
                kept(item, other, format!("{path}[{index}]"))?;
            }
            Ok(())
        }
        // 255 and 255.0 are one number.
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => Ok(()),
        _ if from == to => Ok(()),
        _ => Err(format!("{path} is {from} and would be taken as {to}")),
    }
}

#[cfg(test)]
mod typed_tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_no_type_has_are_named() {
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}});
        assert_eq!(validate(&account), Ok(()));
        let mut wrong = account.clone();
        wrong["metadata"]["lables"] = json!({"a": "b"});
        assert_eq!(validate(&wrong), Err(".metadata.lables is no field".to_owned()));
        let mut wrong = account;
        wrong["automountServiceAccountToken"] = json!("yes");
        assert!(validate(&wrong).is_err());
        let monitor = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor",
            "metadata": {"name": "a"}, "spec": {"selector": {}, "podMetricsEndpoints": [{"prot": "metrics"}]}});
        assert!(validate(&monitor).unwrap_err().contains("prot"));
    }
}
