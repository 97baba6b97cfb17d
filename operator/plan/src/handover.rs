//! The daemons' certificate changes hands: from cert-manager to the operator, or to a Secret of the user's. What is not
//! recognised as made for this cluster is never touched.

use crate::facts::Facts;
use crate::names::Names;
use spread_operator_api::TlsType;

/// The Certificate of cert-manager's that has the name of the daemons' one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateObject {
    /// There is none.
    Absent,
    /// It is owned by this cluster.
    Owned,
    /// So it was, and it is being deleted.
    Leaving,
    /// It is somebody else's.
    Foreign,
}

/// Whose the Secret of the daemons' certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOrigin {
    /// There is none.
    Absent,
    /// It is this cluster's, and the operator has written it.
    Owned,
    /// cert-manager has written it for this cluster's Certificate.
    Issued,
    /// It is somebody else's.
    Foreign,
}

/// What is to be done before the daemons' certificate comes from where the object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverStep {
    /// Nothing.
    Done,
    /// Nothing yet: daemons still use what cert-manager writes.
    Keep,
    /// Delete the Certificate: cert-manager writes no more.
    DeleteCertificate,
    /// Wait until the Certificate is gone.
    AwaitDeletion,
    /// Make the Secret that cert-manager has written the operator's.
    TakeOver,
    /// The Certificate is somebody else's and its Secret is where the operator's has to be.
    RefuseCertificate,
    /// cert-manager would write over somebody else's Secret.
    RefuseSecret,
}

/// The next step. `in_use` tells whether pods still mount the Secret.
pub fn handover_step(
    tls: TlsType,
    certificate: CertificateObject,
    secret: SecretOrigin,
    in_use: bool,
) -> HandoverStep {
    use CertificateObject::{Absent, Foreign, Leaving, Owned};
    match (tls, certificate, secret) {
        (TlsType::CertManager, _, SecretOrigin::Foreign) => HandoverStep::RefuseSecret,
        (TlsType::CertManager, ..) => HandoverStep::Keep,
        (TlsType::Secret, Owned, _) if in_use => HandoverStep::Keep,
        (_, Owned, _) => HandoverStep::DeleteCertificate,
        (TlsType::Secret, ..) => HandoverStep::Done,
        (TlsType::Managed, Leaving, _) => HandoverStep::AwaitDeletion,
        (TlsType::Managed, Foreign, SecretOrigin::Issued) => HandoverStep::RefuseCertificate,
        (TlsType::Managed, Absent, SecretOrigin::Issued) => HandoverStep::TakeOver,
        // What is foreign is refused where it would be written.
        (TlsType::Managed, ..) => HandoverStep::Done,
    }
}

/// Whether a pod of the cluster mounts the Secret that is the operator's or cert-manager's to write.
pub fn mounts_own_certificate(facts: &Facts<'_>) -> bool {
    let own = Names::of(facts.cluster).tls_secret();
    facts.pods.iter().any(|pod| pod.tls_secret.as_ref() == Some(&own))
}
