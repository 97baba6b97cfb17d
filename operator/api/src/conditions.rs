//! The conditions of the object: their types, and every reason that each can have. The planner uses
//! these names only, and the reference in `docs/` is made from them.

/// A condition of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionInfo {
    /// Its type.
    pub r#type: &'static str,
    /// What True means.
    pub meaning: &'static str,
    /// Its reasons: word, and what it says or what to do.
    pub reasons: &'static [(&'static str, &'static str)],
}

/// All conditions, in their fixed order. Each is present from the first write on.
pub const CONDITIONS: &[ConditionInfo] = &[
    ConditionInfo {
        r#type: "Ready",
        meaning: "the current spec is in force and the ring serves",
        reasons: &[
            ("Ready", "as asked for"),
            ("Accepted", "the object was seen and nothing is known yet"),
            ("RingForming", "no daemon is in the ring yet"),
            ("SwitchingOver", "clients move to a new ring"),
            ("Rolling", "daemons restart one after the other"),
            ("Degraded", "it serves with less than asked; see Degraded"),
            ("InvalidSpec", "the object breaks a rule; see Stalled"),
            ("Stalled", "no progress without help; see Stalled"),
        ],
    },
    ConditionInfo {
        r#type: "Available",
        meaning: "applications can use the active ring now",
        reasons: &[
            ("MembersPresent", "at least one daemon accepts sessions"),
            ("NoMembers", "no daemon accepts sessions"),
            ("Accepted", "the object was seen and nothing is known yet"),
        ],
    },
    ConditionInfo {
        r#type: "Reconciling",
        meaning: "work is under way",
        reasons: &[
            ("Steady", "nothing is to be done"),
            ("Accepted", "the object was seen and nothing is known yet"),
            ("Scaling", "daemons start or leave"),
            ("Rolling", "daemons restart one after the other"),
            ("CreatingRing", "the ring's objects are made"),
            ("SwitchingOver", "clients move to a new ring"),
            ("Reloading", "the ring's configuration is reloaded"),
            ("Retiring", "the old ring is taken down"),
            ("Retrying", "a request to the API server failed and is tried again"),
            ("InvalidSpec", "it waits for a valid object"),
            ("Stalled", "it waits for help; see Stalled"),
            ("Paused", "it waits for spec.paused to be false"),
        ],
    },
    ConditionInfo {
        r#type: "Stalled",
        meaning: "no progress without help",
        reasons: &[
            ("Progressing", "no help is needed"),
            ("Accepted", "the object was seen and nothing is known yet"),
            ("InvalidSpec", "the object breaks a rule: the message has the field and the remedy"),
            (
                "NewRingUnsupported",
                "more daemons are wanted than the ring has slots, and this version makes no new ring: lower replicas, or make the object again with more slots.initial",
            ),
            (
                "RingNotSchedulable",
                "a daemon's pod finds no node: the message has the scheduler's reason",
            ),
            ("ForeignObject", "an object with a child's name is not ours: delete or rename it"),
            (
                "MissingPermission",
                "the operator may not do something: the message has verb and resource",
            ),
            ("QuotaExceeded", "the namespace's quota or a limit is used up: raise it"),
            (
                "ChildRejected",
                "the API server or an admission policy refused a child: the message has its reason",
            ),
            (
                "SecretMissing",
                "a Secret that the spec names is not there or has not the keys it needs",
            ),
            ("SwitchoverFailing", "switch-overs are aborted again and again"),
            (
                "CRDTooOld",
                "the CustomResourceDefinition is older than the operator: apply the newer one",
            ),
            (
                "OperatorTooOld",
                "the object has what this operator does not know: upgrade the operator",
            ),
        ],
    },
    ConditionInfo {
        r#type: "Degraded",
        meaning: "it serves with less than asked",
        reasons: &[
            ("Whole", "all daemons asked for are in the ring"),
            ("Accepted", "the object was seen and nothing is known yet"),
            ("MembersMissing", "daemons that are asked for are not in the ring"),
            (
                "MembershipSplit",
                "daemons see different members: look at the network between their nodes",
            ),
            ("KeyMismatch", "daemons seal with different keys, or without one"),
            (
                "ConfigurationMismatch",
                "daemons run with a configuration that is not the one written",
            ),
        ],
    },
    ConditionInfo {
        r#type: "SlotsAvailable",
        meaning: "at least spec.slots.minSpare slots are free",
        reasons: &[
            ("EnoughSpare", "so it is"),
            ("Accepted", "the object was seen and nothing is known yet"),
            ("SpareLow", "fewer are free"),
            ("Exhausted", "none is free"),
        ],
    },
    ConditionInfo {
        r#type: "MembershipConsistent",
        meaning: "the daemons' own view equals the operator's",
        reasons: &[
            ("Consistent", "so it is"),
            ("Split", "daemons see different members"),
            ("Unknown", "not all daemons have reported"),
        ],
    },
    ConditionInfo {
        r#type: "ReconciliationPaused",
        meaning: "spec.paused is true: the operator observes and reports, and does not act",
        reasons: &[
            ("SpecPaused", "so it is"),
            ("NotPaused", "spec.paused is false"),
            ("Accepted", "the object was seen and nothing is known yet"),
        ],
    },
];
