//! The ring's keys, as their file has them.

/// Bytes of a secret.
pub const KEY_BYTES: usize = 32;
/// Most keys held at a time: the one in use and the next.
const KEYS: usize = 2;

/// A secret and its id; ids rise.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: u32,
    secret: [u8; KEY_BYTES],
}

impl Key {
    /// Id, at least 1.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "key {}", self.id)
    }
}

/// What is wrong with a key file. Its writer is to blame; no key was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// A line that is no key.
    #[error(
        "line {0}: write `ID SECRET`, the id a number from 1 and the secret 64 hexadecimal digits"
    )]
    Line(usize),
    /// Too many, or an id twice.
    #[error("hold one key, or two with different ids while they rotate")]
    Count,
}

/// Reads lines of `ID SECRET`; blank lines and `#` comments are skipped.
pub fn parse_keys(text: &str) -> Result<Vec<Key>, KeyFileError> {
    let mut keys: Vec<Key> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = parse_key(line).ok_or(KeyFileError::Line(index + 1))?;
        if keys.len() == KEYS || keys.iter().any(|known| known.id == key.id) {
            return Err(KeyFileError::Count);
        }
        keys.push(key);
    }
    Ok(keys)
}

fn parse_key(line: &str) -> Option<Key> {
    let (id, digits) = line.split_once(char::is_whitespace)?;
    let (id, digits) = (id.parse::<u32>().ok()?, digits.trim());
    if id == 0 || digits.len() != 2 * KEY_BYTES || !digits.is_ascii() {
        return None;
    }
    let mut secret = [0; KEY_BYTES];
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Key { id, secret })
}
