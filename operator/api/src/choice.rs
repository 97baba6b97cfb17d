//! Closed choices of the spec.

/// A closed choice: a `type` enum and the object around it.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $kind:ident { $(#[$first_doc:meta])* $first:ident $(, $(#[$variant_doc:meta])* $variant:ident)* $(,)? }) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq)]
        #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// Which one.
            pub r#type: $kind,
        }
        choice!(@kind $(#[$doc])* $kind { $(#[$first_doc])* $first $(, $(#[$variant_doc])* $variant)* });
    };
    (@kind $(#[$doc:meta])* $kind:ident { $(#[$first_doc:meta])* $first:ident $(, $(#[$variant_doc:meta])* $variant:ident)* $(,)? }) => {
        $(#[$doc])*
        #[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $kind {
            $(#[$first_doc])*
            #[default]
            $first
            $(, $(#[$variant_doc])* $variant)*
        }
    };
}

pub(crate) use choice;
