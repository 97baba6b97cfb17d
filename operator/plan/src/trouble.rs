//! What goes wrong outside: seen by the driver, told in the status.

/// One thing that went wrong, with what the user can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Which kind.
    pub kind: TroubleKind,
    /// What, where, and the remedy.
    pub message: String,
}

/// Kinds of trouble, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// The object has what this operator does not know.
    OperatorTooOld,
    /// The definition lacks what this operator writes.
    DefinitionTooOld,
    /// An object of a child's name is not ours.
    ForeignObject,
    /// A verb on a resource is not allowed.
    MissingPermission,
    /// A Secret that the spec names is missing or lacks a key.
    SecretMissing,
    /// A quota or limit range refuses a child.
    QuotaExceeded,
    /// A child is refused for another reason.
    ChildRejected,
    /// The API server failed, or did not answer: tried again without anybody's help.
    Retrying,
}

impl TroubleKind {
    /// The reason of the condition Stalled; none where no help is needed.
    pub fn stalled_reason(self) -> Option<&'static str> {
        Some(match self {
            Self::OperatorTooOld => "OperatorTooOld",
            Self::DefinitionTooOld => "CRDTooOld",
            Self::ForeignObject => "ForeignObject",
            Self::MissingPermission => "MissingPermission",
            Self::SecretMissing => "SecretMissing",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::ChildRejected => "ChildRejected",
            Self::Retrying => return None,
        })
    }
}

/// The gravest of several.
pub(crate) fn gravest(troubles: &[Trouble]) -> Option<&Trouble> {
    troubles.iter().min_by_key(|trouble| trouble.kind)
}
