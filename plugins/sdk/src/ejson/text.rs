//! Bytes written as text, and text as BSON stores it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A length as BSON stores it. A configuration is far below the limit.
pub(super) fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// A string's value: its length, itself and a NUL.
pub(super) fn string(text: &str) -> Vec<u8> {
    [&length(text.len() + 1), text.as_bytes(), &[0]].concat()
}

/// A binary's value. The bytes of subtype 2 carry their length once more.
pub(super) fn binary(subtype: u8, bytes: &[u8]) -> Vec<u8> {
    match subtype {
        2 => [
            &length(bytes.len() + 4)[..],
            &[2],
            &length(bytes.len()),
            bytes,
        ]
        .concat(),
        _ => [&length(bytes.len())[..], &[subtype], bytes].concat(),
    }
}

/// Bytes written as pairs of hexadecimal digits, in either case.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}

/// Bytes written in base64, with its padding; bits that no byte needs must be zero.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
