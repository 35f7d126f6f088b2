//! Keyed hashes: HMAC-SHA256 of a value's bytes, as a value of the same type.
//!
//! The hash depends on the value and the key only, not on the path: values that could be joined before can
//! still be joined.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tidegate_plugin_sdk::bson::{Value, kind};
use tidegate_plugin_sdk::{ConfigError, ConfigFault};

/// The hexadecimal digits of an ordinary 128-bit key.
const MIN_KEY_CHARACTERS: usize = 32;
const HASH_BYTES: usize = 32;

/// Binary subtypes with an inner format that a hash would break: encrypted values, compressed columns, vectors.
const FORMED_SUBTYPES: [u8; 3] = [6, 7, 9];
/// The subtype whose bytes begin with a length of their own.
const OLD_BINARY: u8 = 2;

/// The prepared key.
#[derive(Clone)]
pub(crate) struct HashKey(Hmac<Sha256>);

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(****)")
    }
}

impl HashKey {
    pub(crate) fn new(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::new(ConfigFault::InvalidValue, "key", reason);
        if text.chars().count() < MIN_KEY_CHARACTERS {
            return Err(refuse(format!(
                "the key is shorter than {MIN_KEY_CHARACTERS} characters; make one with `openssl rand -hex 32`"
            )));
        }
        Hmac::new_from_slice(text.as_bytes())
            .map(Self)
            .map_err(|error| refuse(error.to_string()))
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; HASH_BYTES] {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    /// The first bytes of the hash of `bytes`.
    fn take<const N: usize>(&self, bytes: &[u8]) -> [u8; N] {
        let hash = self.hash(&[bytes]);
        std::array::from_fn(|at| hash.get(at).copied().unwrap_or_default())
    }

    /// Appends as many bytes as `bytes` has: the hash, followed by hashes of the hash and a counter from 1.
    fn append_as_long(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let first = self.hash(&[bytes]);
        let end = out.len() + bytes.len();
        out.extend_from_slice(&first);
        let mut count = 0_u32;
        while out.len() < end {
            count += 1;
            out.extend_from_slice(&self.hash(&[&first, &count.to_le_bytes()]));
        }
        out.truncate(end);
    }
}

/// A hash rule: the key, and the length of a hashed string.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    pub(crate) key: HashKey,
    /// In hexadecimal digits, at most 64.
    pub(crate) digits: usize,
}

impl Hasher {
    /// Appends the hashed value. Returns false for a type that cannot be hashed.
    pub(crate) fn write(&self, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        let key = &self.key;
        match value.kind {
            kind::STRING => match value.as_string_bytes() {
                Some(text) => self.write_digits(text, out),
                None => return false,
            },
            kind::INT32 => {
                let hash = i32::from_le_bytes(key.take(value.bytes)) & i32::MAX;
                out.extend_from_slice(&hash.to_le_bytes());
            }
            kind::INT64 => {
                let hash = i64::from_le_bytes(key.take(value.bytes)) & i64::MAX;
                out.extend_from_slice(&hash.to_le_bytes());
            }
            kind::OBJECT_ID => out.extend_from_slice(&key.take::<12>(value.bytes)),
            kind::BINARY => return self.write_binary(value, out),
            _ => return false,
        }
        true
    }

    fn write_digits(&self, text: &[u8], out: &mut Vec<u8>) {
        let mut digits = [0; 2 * HASH_BYTES];
        // Cannot fail: the slice has the length of the digits.
        let _ = hex::encode_to_slice(self.key.hash(&[text]), &mut digits);
        let length = i32::try_from(self.digits + 1).unwrap_or(i32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend(digits.iter().take(self.digits));
        out.push(0);
    }

    fn write_binary(&self, value: Value<'_>, out: &mut Vec<u8>) -> bool {
        let Some((subtype, bytes)) = value.as_binary() else {
            return false;
        };
        let head = if subtype == OLD_BINARY { 9 } else { 5 };
        let Some((head, _)) = value.bytes.split_at_checked(head) else {
            return false;
        };
        if FORMED_SUBTYPES.contains(&subtype) {
            return false;
        }
        out.extend_from_slice(head);
        self.key
            .append_as_long(bytes.get(head.len() - 5..).unwrap_or_default(), out);
        true
    }
}
