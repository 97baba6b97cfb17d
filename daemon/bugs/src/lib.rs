//! Mistakes that can be planted into the daemon, to show that the simulator finds them.
//!
//! Each is one that somebody could make. The place of a bug asks `planted(Bug::Name)`. Without the feature `planted` that is
//! the constant `false`, and the compiler leaves the wrong code out; with it the bug chosen for the current thread is
//! there. Only `spread-sim` turns the feature on, by its own feature `planted-bugs`.

#[cfg(feature = "planted")]
mod chosen;

#[cfg(feature = "planted")]
pub use chosen::{plant, planted};

/// Whether the bug is in this build and chosen: never, without the feature.
#[cfg(not(feature = "planted"))]
#[inline(always)]
#[must_use]
pub const fn planted(_bug: Bug) -> bool {
    false
}

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $name:literal,)*) => {
        /// A mistake that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// Those that take so many faults at once that seeds find them seldom: a scenario finds them.
            pub const SELDOM: &[Self] = &[
                Self::LastReportCounts,
                Self::HeldAgain,
                Self::TablesNotSafe,
                Self::FewerRequestsStay,
                Self::AcknowledgedEarly,
                Self::SeenTwice,
                Self::GapUnlimited,
                Self::HeldForgotten,
                Self::HearsayCounts,
                Self::AttemptsUntold,
                Self::RestAlone,
            ];

            /// The name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }

            /// What is wrong.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$bug => concat!($($what),+).trim_ascii_start(),)*
                }
            }
        }
    };
}

bugs! {
    /// ring: SAFE is delivered as soon as it is received
    SafeAtOnce = "safe-at-once",
    /// ring: what every daemon had at one visit of the token counts as stable, though it was given out since
    StableTooEarly = "stable-too-early",
    /// ring: a daemon tells others that all have what it has itself
    OwnIsAll = "own-is-all",
    /// ring: a token that rested with its only sender counts as one that has been round
    RestIsRound = "rest-is-round",
    /// ring: a daemon that lacks packets does not lower the token's aru
    AruNotLowered = "aru-not-lowered",
    /// ring: nobody answers requests for packets again
    NoRetransmission = "no-retransmission",
    /// ring: a token that was there already is taken once more
    TokenTwice = "token-twice",
    /// ring: the first packet that nobody has ends the delivery of an old configuration
    HoleEndsDelivery = "hole-ends-delivery",
    /// ring: a payload that was cut is not begun anew in the next configuration
    NotBegunAnew = "not-begun-anew",
    /// ring: pieces of all senders are put together in one place
    PiecesMixed = "pieces-mixed",
    /// ring: only the first piece of a payload says that it is SAFE
    SafeOnFirstPiece = "safe-on-first-piece",
    /// ring: packets run ahead of what everybody received without a bound
    GapUnlimited = "gap-unlimited",
    /// ring: the backlog takes everything
    BacklogUnlimited = "backlog-unlimited",
    /// ring: daemons of a ring that could not come in as a whole are taken back because others name them
    HearsayCounts = "hearsay-counts",
    /// ring: members do not learn which joins a proposal rests on, and gather again for each that is still on its way
    AttemptsUntold = "attempts-untold",
    /// ring: a daemon installs before it has what others of its component have
    RecoveredTooEarly = "recovered-too-early",
    /// ring: packets that came after the reports are delivered with those that were reported
    UnreportedKept = "unreported-kept",
    /// ring: a member's second report replaces its first, though plans were made of that
    LastReportCounts = "last-report-counts",
    /// ring: the next configuration takes the epoch of the last one
    EpochTwice = "epoch-twice",
    /// ring: a daemon forgets to count itself to those whose packets follow a hole
    OwnAfterHoleLost = "own-after-hole-lost",
    /// engine: messages that came during a state exchange are dropped with its completion
    HeldDropped = "held-dropped",
    /// engine: requests that an abandoned exchange held are not submitted again
    HeldForgotten = "held-forgotten",
    /// engine: what an abandoned exchange held is submitted again, though others may have applied it
    HeldAgain = "held-again",
    /// engine: tables are exchanged as AGREED
    TablesNotSafe = "tables-not-safe",
    /// engine: a part of a table replaces the one before it
    ChunkReplaces = "chunk-replaces",
    /// engine: two components' groups become one without a view
    SilentMerge = "silent-merge",
    /// engine: a merge puts all members into one vs-set
    OneVsSet = "one-vs-set",
    /// engine: the transitional signal is left out
    NoSignal = "no-signal",
    /// engine: a leave does not raise the group's id
    IdNotRaised = "id-not-raised",
    /// engine: members are listed by name, whatever their daemon
    MembersByName = "members-by-name",
    /// engine: who left still is in the list of receivers that was kept
    LeaverStillReceives = "leaver-still-receives",
    /// engine: who joined is not in the list of receivers that was kept
    JoinerNotReceiving = "joiner-not-receiving",
    /// engine: a group that lost members gets no view
    LossWithoutView = "loss-without-view",
    /// engine: an endpoint does not learn that parts of its large message were dropped
    PartsLostUntold = "parts-lost-untold",
    /// front: what a session sends after a large message does not wait for it
    OwnOvertaken = "own-overtaken",
    /// front: a large message is begun anew though its parts are all still to come, or its end was ordered
    AnewThoughWhole = "anew-though-whole",
    /// front: at another daemon only the end of a large message is sent again
    RestAlone = "rest-alone",
    /// front: SELF_DISCARD is ignored
    DiscardIgnored = "discard-ignored",
    /// front: SELF_DISCARD drops the message at every session of the sender's number, whichever endpoint it has
    DiscardElsewhere = "discard-elsewhere",
    /// front: a name is free as soon as the socket is closed
    NameFreedEarly = "name-freed-early",
    /// front: reading goes on no more after a pause
    PausedForEver = "paused-for-ever",
    /// front: a request that comes in two parts is malformed
    PartsMalformed = "parts-malformed",
    /// front: a full queue of a session is not noticed
    FullUnnoticed = "full-unnoticed",
    /// front: a leave that a session asked for is told to it as to others
    LeaveUnconfirmed = "leave-unconfirmed",
    /// wire: CAUSAL becomes FIFO on the way
    CausalAsFifo = "causal-as-fifo",
    /// wire: the offset of the own vs-set leaves out the counts before it
    OffsetWithoutCounts = "offset-without-counts",
    /// wire: a daemon's report of what it has is read one packet too low
    ReportOffByOne = "report-off-by-one",
    /// wire: tables do not say which groups lost members
    MarksNotTold = "marks-not-told",
    /// engine: an attach may say itself what was ordered of the endpoint
    AttachBelieved = "attach-believed",
    /// engine: requests are acknowledged to other processes before all daemons have them
    AcknowledgedEarly = "acknowledged-early",
    /// engine: where components merge, an endpoint's highest epoch counts, though another component ordered more of its requests
    FewerRequestsStay = "fewer-requests-stay",
    /// front: an endpoint that attaches in another component takes what it has seen for new
    SeenTwice = "seen-twice",
    /// front: an endpoint that attaches elsewhere does not tell its sessions of the cut
    CutNotTold = "cut-not-told",
    /// front: what was ordered while an endpoint had no daemon is not caught up with
    NotCaughtUp = "not-caught-up",
}
