//! The handshake (`client-protocol` section 2 and 15).

use crate::ids::PrivateName;
use bytes::Bytes;

/// Longest private name.
pub const NAME_BYTES_MOST: usize = 10;
/// Bytes of one name in the auth choice.
pub const AUTH_METHOD_BYTES: usize = 30;
/// Bytes of the auth choice: three names.
pub const AUTH_CHOICE_BYTES: usize = 3 * AUTH_METHOD_BYTES;
/// Bytes of the PWORD exchange: user name and password.
pub const PASSWORD_BYTES: usize = 32 + 8;
/// Accept byte.
const ACCEPT_SESSION: u8 = 1;
/// Version this daemon announces.
const VERSION: [u8; 3] = [4, 4, 0];

/// Why a connection is refused: one negative byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum Refusal {
    /// Too many sessions.
    Quota = -3,
    /// Bad private name.
    IllegalName = -5,
    /// Private name in use.
    NotUnique = -6,
    /// Library too old.
    Version = -7,
    /// Authentication refused or failed.
    Auth = -9,
}

impl Refusal {
    /// The byte on the wire.
    #[must_use]
    pub fn byte(self) -> Bytes {
        Bytes::copy_from_slice(&(self as i8).to_le_bytes())
    }
}

/// A connect request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// `major * 10000 + minor * 100 + patch` of the library.
    pub version: i32,
    /// Wants membership messages.
    pub membership: bool,
    /// Wanted private name; empty: the daemon invents one.
    pub name: Bytes,
}

impl Connect {
    /// Reads a request from the start of `input`: what was read and how many bytes it took, or `None` if more is needed.
    pub fn read(input: &[u8]) -> Result<Option<(Self, usize)>, Refusal> {
        let &[major, minor, ..] = input else { return Ok(None) };
        let number = |byte: u8| i32::from(i8::from_le_bytes([byte]));
        let mut version = number(major) * 10_000 + number(minor) * 100;
        let mut at = 2;
        // Libraries up to 3.14 send no patch byte.
        if version > 31_400 {
            let Some(patch) = input.get(at) else { return Ok(None) };
            version += number(*patch);
            at += 1;
        } else if version < 30_100 {
            return Err(Refusal::Version);
        }
        let Some(&[flags, length]) = input.get(at..at + 2) else { return Ok(None) };
        let length = usize::from(length);
        if length > NAME_BYTES_MOST {
            return Err(Refusal::IllegalName);
        }
        let Some(name) = input.get(at + 2..at + 2 + length) else { return Ok(None) };
        if !name.is_empty() && !legal_name(name) {
            return Err(Refusal::IllegalName);
        }
        // The flag is a signed byte in the original: 0xff counts as no membership.
        let membership = flags & 1 == 1 && flags < 0x80;
        let connect = Self { version, membership, name: Bytes::copy_from_slice(name) };
        Ok(Some((connect, at + 2 + length)))
    }

    /// Whether the library takes part in the authentication exchange.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.version >= 31_600
    }
}

/// Whether all bytes are legal in a name: `$` to `~`, and there is at least one.
#[must_use]
pub fn legal_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| (0x24..=0x7e).contains(byte))
}

/// The list of authentication methods, each followed by a blank.
#[must_use]
pub fn auth_list(methods: &[&str]) -> Bytes {
    let list: String = methods.iter().map(|method| format!("{method} ")).collect();
    let mut bytes = vec![list.len().min(90) as u8];
    bytes.extend_from_slice(&list.as_bytes()[..list.len().min(90)]);
    bytes.into()
}

/// The names in an auth choice, up to the first empty one.
#[must_use]
pub fn auth_methods(choice: &[u8]) -> Vec<&[u8]> {
    let cut = |slot: &'_ [u8]| slot.iter().position(|byte| *byte == 0).unwrap_or(slot.len());
    choice
        .chunks(AUTH_METHOD_BYTES)
        .take(3)
        .map(|slot| &slot[..cut(slot)])
        .take_while(|name| !name.is_empty())
        .collect()
}

/// The accept message, in the form that the library's version reads.
#[must_use]
pub fn accept(connect: &Connect, name: &PrivateName) -> Bytes {
    let mut bytes = vec![ACCEPT_SESSION, VERSION[0], VERSION[1]];
    if connect.version >= 31_500 {
        bytes.push(VERSION[2]);
    }
    bytes.push(name.0.len() as u8);
    bytes.extend_from_slice(&name.0);
    bytes.into()
}
