//! Each rule of the object is broken once, and names its field.

use spread_operator_api::{GROUP, SpreadCluster, VERSION, validate};

fn cluster(spec: &str) -> SpreadCluster {
    let manifest = format!(
        "apiVersion: {GROUP}/{VERSION}\nkind: SpreadCluster\nmetadata: {{name: orders}}\nspec: {spec}\n"
    );
    serde_saphyr::from_str(&manifest).unwrap_or_else(|error| panic!("{manifest}\n{error}"))
}

fn fields(spec: &str) -> Vec<&'static str> {
    validate(&cluster(spec)).into_iter().map(|violation| violation.field).collect()
}

#[test]
fn a_small_object_has_the_documented_defaults() {
    let cluster = cluster("{replicas: 3}");
    assert_eq!(validate(&cluster), []);
    assert_eq!((cluster.spec.slots.initial, cluster.spec.slots.max), (8, 64));
    assert_eq!(cluster.spec.limits.max_message_bytes, 16_777_216);
    assert_eq!(cluster.spec.switchover.retain_old_ring_seconds, 300);
}

#[test]
fn every_rule_names_the_field_that_breaks_it() {
    let cases: &[(&str, &[&str])] = &[
        ("{}", &["spec.replicas"]),
        ("{replicas: 2, placement: {type: PerNode}}", &["spec.replicas"]),
        ("{placement: {type: PerNode, nodeSelector: {a: b}}}", &[]),
        ("{replicas: 2, placement: {nodeSelector: {a: b}}}", &["spec.placement.nodeSelector"]),
        ("{replicas: 0}", &["spec.replicas"]),
        ("{replicas: 65, slots: {initial: 64}}", &["spec.replicas"]),
        ("{replicas: 1, slots: {initial: 65}}", &["spec.slots.initial"]),
        ("{replicas: 1, slots: {minSpare: 64}}", &["spec.slots.minSpare"]),
        ("{replicas: 1, limits: {maxSessions: 0}}", &["spec.limits.maxSessions"]),
        (
            "{replicas: 1, limits: {slowReader: {type: Disconnect, timeoutSeconds: 3}}}",
            &["spec.limits.slowReader.type"],
        ),
        (
            "{replicas: 1, profile: {type: Custom, tokenTimeoutMilliseconds: 100, hurryTimeoutMilliseconds: 100, gatherTimeoutMilliseconds: 10, lookupTimeoutMilliseconds: 1000}}",
            &["spec.profile.hurryTimeoutMilliseconds"],
        ),
        (
            "{replicas: 1, profile: {tokenTimeoutMilliseconds: 100}}",
            &["spec.profile.tokenTimeoutMilliseconds"],
        ),
        (
            "{replicas: 1, clients: {allowedNamespaces: {from: Selector}}}",
            &["spec.clients.allowedNamespaces.selector"],
        ),
        (
            "{replicas: 1, clients: {authentication: {type: Secret}}}",
            &["spec.clients.authentication.name"],
        ),
        (
            "{replicas: 1, clients: {authentication: {type: IP}}}",
            &["spec.clients.authentication.allow"],
        ),
        (
            "{replicas: 1, security: {ringEncryption: {name: keys}}}",
            &["spec.security.ringEncryption.name"],
        ),
        ("{replicas: 1, security: {tls: {type: Secret}}}", &["spec.security.tls.name"]),
        ("{replicas: 1, security: {tls: {type: CertManager}}}", &["spec.security.tls.issuerRef"]),
        (
            "{replicas: 1, podTemplate: {labels: {spread-operator.dev/ring: x}}}",
            &["spec.podTemplate.labels"],
        ),
    ];
    for (spec, expected) in cases {
        assert_eq!(fields(spec), *expected, "{spec}");
    }
}

#[test]
fn a_name_too_long_for_children_is_refused() {
    let mut cluster = cluster("{replicas: 1}");
    cluster.metadata.name = Some("n".repeat(41));
    assert_eq!(validate(&cluster)[0].field, "metadata.name");
}

#[test]
fn a_misspelt_field_is_an_error_with_its_name() {
    let text = format!(
        "apiVersion: {GROUP}/{VERSION}\nkind: SpreadCluster\nmetadata: {{name: a}}\nspec:\n  replica: 3\n"
    );
    let error = serde_saphyr::from_str::<SpreadCluster>(&text).unwrap_err().to_string();
    assert!(error.contains("replica"), "{error}");
}
