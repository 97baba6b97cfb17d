//! Names of groups and sessions as values of their own.

use bytes::Bytes;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::Deref;

/// Names that stock clients can write are no longer.
const SHORT_BYTES: usize = 31;

/// The bytes of a name. They are nobody else's: a table may keep them for long without keeping the packet that brought them. A short one,
/// as nearly all are, needs no memory besides, and a copy of it counts no owners.
#[derive(Clone)]
pub struct Name(Held);

#[derive(Clone)]
enum Held {
    Short { length: u8, bytes: [u8; SHORT_BYTES] },
    Long(Bytes),
}

impl Deref for Name {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Short { length, bytes } => &bytes[..usize::from(*length)],
            Held::Long(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Name {
    #[inline]
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; SHORT_BYTES];
        match bytes.get_mut(..name.len()) {
            Some(field) => {
                field.copy_from_slice(name);
                Self(Held::Short { length: name.len() as u8, bytes })
            }
            None => Self(Held::Long(Bytes::copy_from_slice(name))),
        }
    }
}

macro_rules! name_from {
    ($($from:ty),*) => {$(
        impl From<$from> for Name {
            fn from(name: $from) -> Self {
                Self::from(AsRef::<[u8]>::as_ref(&name))
            }
        }
    )*};
}
name_from!(Bytes, &Bytes, Vec<u8>, String, &str);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.escape_ascii())
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Name {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialEq<[u8]> for Name {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Name {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    #[inline]
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

#[cfg(test)]
mod name_tests {
    use super::*;

    #[test]
    fn names_of_all_lengths_are_what_was_put_in_and_are_ordered_as_bytes() {
        let whole: Vec<u8> = (0..=255).collect();
        let names: Vec<Name> = (0..=255).map(|length| Name::from(&whole[..length])).collect();
        assert!(names.iter().zip(0..).all(|(name, length)| **name == whole[..length]));
        assert!(names.is_sorted());
        assert_eq!(Name::from(&whole[..40]), Name::from(Bytes::copy_from_slice(&whole[..40])));
    }

    #[test]
    fn a_name_keeps_nothing_of_what_it_was_read_from() {
        for length in [SHORT_BYTES, SHORT_BYTES + 1] {
            let packet = Bytes::from(vec![7; 1000]);
            let name = Name::from(&packet.slice(..length));
            assert!(packet.is_unique(), "{length}");
            assert_eq!(name.len(), length);
        }
    }
}
