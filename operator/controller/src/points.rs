//! Every write is a point at which this process may die. Each has a name, so that a test can end the
//! process before and after every one of them, and finds a new one without being told.

use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// A kind of write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// First status of an object.
    Accept,
    /// A Service.
    Service,
    /// The Secret of the ring's keys.
    RingSecret,
    /// The Secret of the cluster's own authority.
    Authority,
    /// The Secret of the daemons' certificate.
    DaemonCertificate,
    /// A request to cert-manager.
    Certificate,
    /// A ConfigMap.
    ConfigMap,
    /// A PodDisruptionBudget.
    Budget,
    /// A NetworkPolicy.
    Policy,
    /// A StatefulSet.
    StatefulSet,
    /// A pod that is replaced.
    DeletePod,
    /// A child that is no longer wanted.
    DeleteOrphan,
    /// The request to cert-manager, that is no longer wanted.
    DeleteCertificate,
    /// The Secret that cert-manager has written, which becomes the operator's.
    TakeOver,
    /// Status.
    Status,
    /// An event.
    Event,
    /// The Lease of the election.
    Lease,
}

impl Point {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Accept,
        Self::Service,
        Self::RingSecret,
        Self::Authority,
        Self::DaemonCertificate,
        Self::Certificate,
        Self::ConfigMap,
        Self::Budget,
        Self::Policy,
        Self::StatefulSet,
        Self::DeletePod,
        Self::DeleteOrphan,
        Self::DeleteCertificate,
        Self::TakeOver,
        Self::Status,
        Self::Event,
        Self::Lease,
    ];
}

/// Before or after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// Nothing was sent yet.
    Before,
    /// The API server has answered.
    After,
}

type Hook = dyn Fn(Point, Moment) -> BoxFuture<'static, ()> + Send + Sync;

/// What happens at each point: nothing, but in tests.
#[derive(Clone, Default)]
pub struct Points(Option<Arc<Hook>>);

impl Points {
    /// Calls this at each point; one that never returns is this process's death there.
    pub fn hooked(
        hook: impl Fn(Point, Moment) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// A point is passed.
    pub async fn pass(&self, point: Point, moment: Moment) {
        if let Some(hook) = &self.0 {
            hook(point, moment).await;
        }
    }
}

impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Points(hooked)" } else { "Points" })
    }
}
