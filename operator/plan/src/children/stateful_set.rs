//! The daemons: slot i is ordinal i.

use super::meta::{annotations, meta, select};
use crate::decision::Decision;
use crate::facts::Facts;
use crate::names::{
    ACCESS_DIRECTORY, ADMIN_PORT, CONF_DIRECTORY, CONF_KEY, FROZEN_IMAGE_ANNOTATION, HEALTH_PORT,
    KEYS_DIRECTORY, Names, SLOTS_ANNOTATION, SOCKET_DIRECTORY, SPREAD_PORT, TEMPLATE_ANNOTATION,
    TLS_DIRECTORY, TLS_VOLUME,
};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource,
    EnvVar, EnvVarSource, HTTPGetAction, LocalObjectReference, ObjectFieldSelector,
    PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ResourceRequirements, SeccompProfile, SecretVolumeSource, SecurityContext,
    TopologySpreadConstraint, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use spread_operator_api::{
    AuthenticationType, Limits, PlacementType, RingEncryptionType, SpreadClusterSpec, TlsType,
    requests,
};

/// Memory of a daemon without messages, in MiB.
const BASE_MEMORY_MIB: u64 = 256;
/// Messages that are under way at a time, each of the largest size.
const MESSAGES_UNDER_WAY: u64 = 8;
/// One of so many sessions has a full queue: the others read.
const FULL_QUEUES_ONE_OF: u64 = 16;
/// Seconds in which the event loop has to have turned, at the third try.
const LIVENESS_PERIOD_SECONDS: i32 = 10;

pub(super) fn stateful_set(facts: &Facts<'_>, decision: &Decision) -> StatefulSet {
    let names = Names::of(facts.cluster);
    let ring = &decision.ring;
    let mut metadata = meta(facts, names.ring(ring.number));
    metadata.annotations = annotations([
        (SLOTS_ANNOTATION, ring.slots.to_string()),
        (FROZEN_IMAGE_ANNOTATION, ring.frozen_image.clone()),
    ]);
    StatefulSet {
        metadata,
        spec: Some(StatefulSetSpec {
            service_name: Some(names.ring(ring.number)),
            replicas: i32::try_from(decision.replicas).ok(),
            selector: select(names.selector(ring.number)),
            pod_management_policy: Some("Parallel".to_owned()),
            // The operator replaces pods itself, one at a time and only while the ring is whole.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            revision_history_limit: Some(2),
            template: PodTemplateSpec {
                metadata: Some(pod_meta(facts, decision, &names)),
                spec: Some(pod(facts, decision, &names)),
            },
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn pod_meta(facts: &Facts<'_>, decision: &Decision, names: &Names) -> ObjectMeta {
    let template = &facts.cluster.spec.pod_template;
    let mut labels = template.labels.clone();
    labels.extend(names.labels());
    labels.extend(names.selector(decision.ring.number));
    // A mesh would put a proxy before ring packets.
    labels.insert("sidecar.istio.io/inject".to_owned(), "false".to_owned());
    let mut annotations = template.annotations.clone();
    annotations.insert("linkerd.io/inject".to_owned(), "disabled".to_owned());
    annotations.insert(TEMPLATE_ANNOTATION.to_owned(), decision.template.clone());
    if let Some(restart) = facts.restart() {
        annotations.insert(requests::RESTART.to_owned(), restart);
    }
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

fn pod(facts: &Facts<'_>, decision: &Decision, names: &Names) -> PodSpec {
    let spec = &facts.cluster.spec;
    let template = &spec.pod_template;
    let secrets: Vec<LocalObjectReference> = spec
        .image_pull_secrets
        .iter()
        .map(|secret| LocalObjectReference { name: secret.name.clone() })
        .collect();
    let mut node_selector = template.node_selector.clone();
    node_selector.extend(spec.placement.node_selector.clone());
    PodSpec {
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(i64::from(
            template.termination_grace_period_seconds,
        )),
        node_selector: (!node_selector.is_empty()).then_some(node_selector),
        tolerations: (!template.tolerations.is_empty()).then(|| template.tolerations.clone()),
        affinity: affinity(spec, names, decision.ring.number),
        topology_spread_constraints: spread(spec, names, decision.ring.number),
        priority_class_name: (!template.priority_class_name.is_empty())
            .then(|| template.priority_class_name.clone()),
        containers: vec![container(facts, decision)],
        volumes: Some(volumes(spec, decision, names)),
        ..PodSpec::default()
    }
}

fn container(facts: &Facts<'_>, decision: &Decision) -> Container {
    let spec = &facts.cluster.spec;
    let argument = |text: &str| text.to_owned();
    Container {
        name: "spreadd".to_owned(),
        image: Some(facts.image(&decision.ring)),
        image_pull_policy: Some(format!("{:?}", spec.image_pull_policy)),
        args: Some(vec![
            argument("-c"),
            format!("{CONF_DIRECTORY}/{CONF_KEY}"),
            argument("-n"),
            argument("d$(SPREAD_SLOT)"),
        ]),
        env: Some(vec![EnvVar {
            name: "SPREAD_SLOT".to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    api_version: Some("v1".to_owned()),
                    field_path: "metadata.labels['apps.kubernetes.io/pod-index']".to_owned(),
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        }]),
        ports: Some(vec![
            port("spread", "TCP", SPREAD_PORT),
            port("ring", "UDP", SPREAD_PORT),
            port("admin", "TCP", ADMIN_PORT),
            port("health", "TCP", HEALTH_PORT),
        ]),
        startup_probe: Some(Probe { failure_threshold: Some(60), ..probe("/healthz", 1) }),
        liveness_probe: Some(Probe {
            failure_threshold: Some(3),
            ..probe("/healthz", LIVENESS_PERIOD_SECONDS)
        }),
        readiness_probe: Some(Probe { failure_threshold: Some(2), ..probe("/readyz", 1) }),
        resources: Some(resources(spec)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                ..Capabilities::default()
            }),
            ..SecurityContext::default()
        }),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(spec)),
        ..Container::default()
    }
}

fn port(name: &str, protocol: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    }
}

/// Liveness is progress of the event loop, never membership: a restart heals no partition.
fn probe(path: &str, period_seconds: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("health".to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

fn mounts(spec: &SpreadClusterSpec) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![
        mount("conf", CONF_DIRECTORY, true),
        mount(TLS_VOLUME, TLS_DIRECTORY, true),
        mount("sockets", SOCKET_DIRECTORY, false),
    ];
    if spec.security.ring_encryption.r#type != RingEncryptionType::None {
        mounts.push(mount("keys", KEYS_DIRECTORY, true));
    }
    if spec.clients.authentication.r#type == AuthenticationType::Secret {
        mounts.push(mount("access", ACCESS_DIRECTORY, true));
    }
    mounts
}

/// Whole folders, never single files of them: those would not follow a change.
fn volumes(spec: &SpreadClusterSpec, decision: &Decision, names: &Names) -> Vec<Volume> {
    let secret = |name: &str, secret: String| Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret),
            default_mode: Some(0o444),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    let (encryption, tls) = (&spec.security.ring_encryption, &spec.security.tls);
    let tls_secret = match (&tls.r#type, &tls.name) {
        (TlsType::Secret, Some(name)) => name.clone(),
        _ => names.tls_secret(),
    };
    let mut volumes = vec![
        Volume {
            name: "conf".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: names.ring(decision.ring.number),
                default_mode: Some(0o444),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        secret(TLS_VOLUME, tls_secret),
        Volume {
            name: "sockets".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        },
    ];
    match (&encryption.r#type, &encryption.name) {
        (RingEncryptionType::None, _) => {}
        (RingEncryptionType::Secret, Some(name)) => volumes.push(secret("keys", name.clone())),
        _ => volumes.push(secret("keys", names.ring_secret())),
    }
    let authentication = &spec.clients.authentication;
    if let (AuthenticationType::Secret, Some(name)) = (&authentication.r#type, &authentication.name)
    {
        volumes.push(secret("access", name.clone()));
    }
    volumes
}

/// As asked for, or a CPU request and a memory limit that follows from the bounds.
fn resources(spec: &SpreadClusterSpec) -> ResourceRequirements {
    if let Some(asked) = &spec.pod_template.resources {
        return asked.clone();
    }
    let quantity = |name: &str, text: String| (name.to_owned(), Quantity(text));
    ResourceRequirements {
        requests: Some(
            [quantity("cpu", "100m".to_owned()), quantity("memory", "64Mi".to_owned())].into(),
        ),
        limits: Some([quantity("memory", format!("{}Mi", memory_mib(&spec.limits)))].into()),
        ..ResourceRequirements::default()
    }
}

fn memory_mib(limits: &Limits) -> u64 {
    let messages = MESSAGES_UNDER_WAY * u64::from(limits.max_message_bytes);
    let queues =
        u64::from(limits.max_sessions) * u64::from(limits.session_queue_bytes) / FULL_QUEUES_ONE_OF;
    BASE_MEMORY_MIB + (messages + queues) / (1 << 20)
}

/// The user's rules; with a daemon on each node, never two on one.
fn affinity(spec: &SpreadClusterSpec, names: &Names, ring: u32) -> Option<Affinity> {
    let mut affinity = spec.pod_template.affinity.clone();
    if spec.placement.r#type == PlacementType::PerNode {
        let apart = affinity
            .get_or_insert_default()
            .pod_anti_affinity
            .get_or_insert_with(PodAntiAffinity::default);
        apart.required_during_scheduling_ignored_during_execution.get_or_insert_default().push(
            PodAffinityTerm {
                label_selector: Some(select(names.selector(ring))),
                topology_key: "kubernetes.io/hostname".to_owned(),
                ..PodAffinityTerm::default()
            },
        );
    }
    affinity
}

/// Over hosts and zones, where that is possible.
fn spread(
    spec: &SpreadClusterSpec,
    names: &Names,
    ring: u32,
) -> Option<Vec<TopologySpreadConstraint>> {
    let asked = &spec.pod_template.topology_spread_constraints;
    if !asked.is_empty() {
        return Some(asked.clone());
    }
    let constraint = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(select(names.selector(ring))),
        ..TopologySpreadConstraint::default()
    };
    Some(vec![constraint("kubernetes.io/hostname"), constraint("topology.kubernetes.io/zone")])
}
