//! Why the API server refused, in words that say what to do.

use kube::core::Status;
use spread_plan::{Trouble, TroubleKind};

/// What an error of a request about an object means to the user.
pub fn trouble(kind: &str, name: &str, error: &kube::Error) -> Trouble {
    let (trouble, message) = match error {
        kube::Error::Api(status) => of_status(kind, name, status),
        other => (
            TroubleKind::Retrying,
            format!("the API server could not be asked about {kind} {name}: {other}"),
        ),
    };
    Trouble { kind: trouble, message }
}

fn of_status(kind: &str, name: &str, status: &Status) -> (TroubleKind, String) {
    let said = &status.message;
    match status.code {
        403 if said.contains("exceeded quota") || said.contains("maximum") => (
            TroubleKind::QuotaExceeded,
            format!("{kind} {name}: {said}: raise the quota of the namespace, or ask for less"),
        ),
        403 if said.contains("being terminated") => {
            (TroubleKind::Retrying, format!("{kind} {name}: the namespace is being deleted"))
        }
        403 if said.contains("User ") => (
            TroubleKind::MissingPermission,
            format!("{kind} {name}: {said}: add the verb to the operator's Role or ClusterRole"),
        ),
        403 | 400 | 422 => (
            TroubleKind::ChildRejected,
            format!("{kind} {name} is refused: {said}: change the spec, or the policy that refuses it"),
        ),
        404 if kind == "Certificate" => (
            TroubleKind::ChildRejected,
            "spec.security.tls.type: CertManager needs cert-manager, which is not installed: install it, or set type \
             Managed"
                .to_owned(),
        ),
        code => (TroubleKind::Retrying, format!("{kind} {name}: {code} {said}")),
    }
}

/// The status could not be written because the definition is older than the operator.
pub fn is_pruned(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if status.code == 400 && status.message.contains("unknown field"))
}

/// The object is gone: nothing is to be told.
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::{is_gone, is_pruned, trouble};
    use kube::core::Status;
    use spread_plan::TroubleKind;

    fn error(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
    }

    #[test]
    fn each_refusal_has_its_kind_and_its_remedy() {
        let forbidden = "services \"a\" is forbidden: User \"system:serviceaccount:a:b\" cannot patch resource \
                         \"services\" in API group \"\" in the namespace \"shop\"";
        let cases = [
            ("Service", 403, forbidden, TroubleKind::MissingPermission, "cannot patch resource"),
            (
                "StatefulSet",
                403,
                "exceeded quota: q, requested: x=1",
                TroubleKind::QuotaExceeded,
                "raise the quota",
            ),
            (
                "StatefulSet",
                403,
                "violates PodSecurity",
                TroubleKind::ChildRejected,
                "change the spec",
            ),
            ("Service", 422, "spec.ports: Invalid", TroubleKind::ChildRejected, "spec.ports"),
            (
                "ConfigMap",
                403,
                "namespace x because it is being terminated",
                TroubleKind::Retrying,
                "deleted",
            ),
            ("Certificate", 404, "not found", TroubleKind::ChildRejected, "install it"),
            ("ConfigMap", 409, "conflict", TroubleKind::Retrying, "409"),
            ("ConfigMap", 429, "slow down", TroubleKind::Retrying, "429"),
            ("ConfigMap", 500, "etcd", TroubleKind::Retrying, "500"),
        ];
        for (kind, code, message, expected, says) in cases {
            let found = trouble(kind, "orders-r1", &error(code, message));
            assert_eq!(found.kind, expected, "{message}");
            assert!(found.message.contains(says), "{}", found.message);
        }
        assert!(is_gone(&error(404, "")) && !is_gone(&error(410, "")));
        assert!(is_pruned(&error(400, "unknown field \"status.x\"")));
    }
}
