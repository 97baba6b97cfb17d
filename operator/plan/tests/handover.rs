//! The daemons' certificate changes hands.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod world;

use spread_operator_api::{IssuerRef, TlsType};
use spread_plan::CertificateObject::{self, Absent, Foreign, Leaving, Owned};
use spread_plan::HandoverStep::{
    AwaitDeletion, DeleteCertificate, Done, Keep, RefuseCertificate, RefuseSecret, TakeOver,
};
use spread_plan::{Action, HandoverStep, SecretOrigin, handover_step, wanted_names};
use world::World;

/// What is done next, by what is there. Daemons that run use the Secret, but where a row says that they do not.
#[test]
fn each_state_has_its_next_step() {
    use SecretOrigin::Issued;
    let (managed, issued) = (TlsType::Managed, TlsType::CertManager);
    let cases: &[(TlsType, CertificateObject, SecretOrigin, HandoverStep)] = &[
        // The way to Managed: cert-manager stops first.
        (managed, Owned, Issued, DeleteCertificate),
        (managed, Owned, SecretOrigin::Absent, DeleteCertificate),
        (managed, Owned, SecretOrigin::Owned, DeleteCertificate),
        (managed, Owned, SecretOrigin::Foreign, DeleteCertificate),
        (managed, Leaving, Issued, AwaitDeletion),
        (managed, Leaving, SecretOrigin::Absent, AwaitDeletion),
        (managed, Absent, Issued, TakeOver),
        (managed, Absent, SecretOrigin::Absent, Done),
        (managed, Absent, SecretOrigin::Owned, Done),
        (managed, Absent, SecretOrigin::Foreign, Done),
        (managed, Foreign, Issued, RefuseCertificate),
        (managed, Foreign, SecretOrigin::Absent, Done),
        (managed, Foreign, SecretOrigin::Owned, Done),
        // The way back: cert-manager takes what is the operator's, and nobody else's.
        (issued, Absent, SecretOrigin::Owned, Keep),
        (issued, Absent, SecretOrigin::Absent, Keep),
        (issued, Owned, Issued, Keep),
        (issued, Absent, SecretOrigin::Foreign, RefuseSecret),
        (issued, Owned, SecretOrigin::Foreign, RefuseSecret),
    ];
    for (tls, certificate, secret, expected) in cases {
        let step = handover_step(*tls, *certificate, *secret, true);
        assert_eq!(step, *expected, "{tls:?}, {certificate:?} Certificate, {secret:?} Secret");
    }
}

/// With a Secret of the user's daemons are replaced; until the last one is, cert-manager goes on.
#[test]
fn a_certificate_stays_while_daemons_use_what_is_written_for_it() {
    for secret in [SecretOrigin::Issued, SecretOrigin::Owned, SecretOrigin::Absent] {
        let step =
            |certificate, in_use| handover_step(TlsType::Secret, certificate, secret, in_use);
        assert_eq!(step(Owned, true), Keep);
        assert_eq!(step(Owned, false), DeleteCertificate);
        assert_eq!(step(Leaving, false), Done);
        assert_eq!(step(Foreign, false), Done);
        assert_eq!(step(Absent, true), Done);
    }
}

/// Doing what is said ends, and nobody else's object is touched on the way.
#[test]
fn steps_end_and_touch_nothing_foreign() {
    let certificates = [Absent, Owned, Leaving, Foreign];
    let secrets =
        [SecretOrigin::Absent, SecretOrigin::Owned, SecretOrigin::Issued, SecretOrigin::Foreign];
    let starts = certificates.into_iter().flat_map(|one| secrets.map(|secret| (one, secret)));
    for (mut certificate, mut secret) in starts {
        let mut steps = 0;
        loop {
            match handover_step(TlsType::Managed, certificate, secret, true) {
                DeleteCertificate => {
                    assert_eq!(certificate, Owned);
                    certificate = Leaving;
                }
                AwaitDeletion => certificate = Absent,
                TakeOver => {
                    assert_eq!((certificate, secret), (Absent, SecretOrigin::Issued));
                    secret = SecretOrigin::Owned;
                }
                Done => {
                    // Nobody writes against the operator.
                    assert!(![Owned, Leaving].contains(&certificate));
                    assert_ne!(secret, SecretOrigin::Issued);
                    break;
                }
                RefuseCertificate => {
                    assert_eq!((certificate, secret), (Foreign, SecretOrigin::Issued));
                    break;
                }
                other => panic!("{other:?} is no step to Managed"),
            }
            steps += 1;
            assert!(steps < 5, "{certificate:?} {secret:?}");
        }
    }
}

fn issued_by_cert_manager(world: &mut World) {
    let tls = &mut world.cluster.spec.security.tls;
    tls.r#type = TlsType::CertManager;
    tls.issuer_ref = Some(IssuerRef { kind: "Issuer".to_owned(), name: "ca".to_owned() });
}

#[test]
fn between_managed_and_cert_manager_no_daemon_is_replaced() {
    let managed = World::running(3, 5).decide();
    let mut world = World::running(3, 5);
    issued_by_cert_manager(&mut world);
    let issued = world.decide();
    assert_eq!(issued.template, managed.template);
    assert_eq!(issued.action, Action::Steady);
    world.cluster.spec.security.tls.issuer_ref = None;
    world.cluster.spec.security.tls.r#type = TlsType::Secret;
    world.cluster.spec.security.tls.name = Some("mine".to_owned());
    assert_eq!(world.decide().action, Action::Roll { slot: 2 }, "they mount another one");
}

/// Daemons that still mount it have to be asked with it, or they are never replaced.
#[test]
fn what_daemons_still_mount_is_no_orphan() {
    let mut world = World::running(3, 5);
    world.cluster.spec.security.tls.r#type = TlsType::Secret;
    world.cluster.spec.security.tls.name = Some("mine".to_owned());
    let secrets = |world: &World| -> Vec<String> {
        let wanted = wanted_names(&world.facts(), &world.decide());
        wanted.into_iter().filter(|(kind, _)| *kind == "Secret").map(|(_, name)| name).collect()
    };
    for pod in &mut world.pods {
        pod.tls_secret = Some("mine".to_owned());
    }
    world.pods[1].tls_secret = Some("orders-tls".to_owned());
    assert_eq!(secrets(&world), ["orders-ring", "mine", "orders-tls", "orders-ca"]);
    world.pods[1].tls_secret = Some("mine".to_owned());
    assert_eq!(secrets(&world), ["orders-ring", "mine"]);
}

/// The Secret that the user names may be one that the operator made once.
#[test]
fn a_secret_that_the_object_names_is_never_an_orphan() {
    let mut world = World::running(3, 5);
    world.cluster.spec.security.tls.r#type = TlsType::Secret;
    world.cluster.spec.security.tls.name = Some("orders-tls".to_owned());
    let wanted = wanted_names(&world.facts(), &world.decide());
    assert!(wanted.contains(&("Secret", "orders-tls".to_owned())));
}
