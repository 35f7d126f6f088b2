//! Bytes written as text, and text as BSON stores it.

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

pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| {
        let [high, low] = pair.try_into().ok()?;
        u8::try_from(digit(high)? << 4 | digit(low)?).ok()
    });
    pairs.collect()
}

/// Base64 with its padding; bits that no byte needs must be zero.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let groups = text.as_bytes().chunks(4);
    let last = groups.len().wrapping_sub(1);
    for (at, group) in groups.enumerate() {
        let digits: [u8; 4] = group.try_into().ok()?;
        let padding = digits
            .iter()
            .rev()
            .take_while(|&&digit| digit == b'=')
            .count();
        if padding > 2 || (padding > 0 && at != last) {
            return None;
        }
        let mut bits = 0_u32;
        for &digit in digits.iter().take(4 - padding) {
            bits = bits << 6 | sextet(digit)?;
        }
        let [_, group @ ..] = (bits << (6 * padding)).to_be_bytes();
        let (kept, unused) = group.split_at_checked(3 - padding)?;
        if unused.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}
