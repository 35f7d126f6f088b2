//! Decoding of bytes in text, and encoding of text as BSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encodes a length. Configurations are far below the limit of an i32.
pub(super) fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes()
}

/// Encodes a string: its length, its text and a NUL.
pub(super) fn string(text: &str) -> Vec<u8> {
    [&length(text.len() + 1), text.as_bytes(), &[0]].concat()
}

/// Encodes a binary. Subtype 2 repeats the length.
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

/// Decodes pairs of hexadecimal digits, in either case.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}

/// Decodes base64 with padding. Unused bits must be zero.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
