//! The part of the Prometheus operator's kinds that the chart uses. They come from no crate of ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

macro_rules! part {
    ($name:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub(crate) struct $name { $($field: $kind),* }
    };
}

part!(PodMonitor { api_version: String, kind: String, metadata: ObjectMeta, spec: PodMonitorSpec });
part!(PodMonitorSpec { selector: LabelSelector, pod_metrics_endpoints: Vec<Endpoint> });
part!(Endpoint { port: String, path: String, interval: String, honor_labels: bool });
part!(PrometheusRule { api_version: String, kind: String, metadata: ObjectMeta, spec: Rules });
part!(Rules { groups: Vec<Group> });
part!(Group { name: String, rules: Vec<Alert> });
part!(Alert {
    alert: String,
    expr: String,
    r#for: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
});
