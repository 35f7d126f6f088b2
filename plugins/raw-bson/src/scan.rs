//! Byte operations in steps of eight: find the NUL that ends a name, compare bytes, append short runs.
//!
//! Walking a document is mostly the search for NULs. In a plugin each loop iteration also pays for the host's
//! deadline check, and each copy of unknown length for a host call, so avoiding both counts twice.

use std::cmp::Ordering;

const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// The index of the first zero byte. Most names end within the first or second eight bytes, which need no loop.
#[inline]
pub(crate) fn find_nul(bytes: &[u8]) -> Option<usize> {
    let Some((first, rest)) = bytes.split_first_chunk() else {
        return bytes.iter().position(|&byte| byte == 0);
    };
    if let Some(at) = nul_in(*first) {
        return Some(at);
    }
    if let Some(second) = rest.first_chunk()
        && let Some(at) = nul_in(*second)
    {
        return Some(8 + at);
    }
    find_nul_further(rest).map(|at| 8 + at)
}

#[inline]
fn nul_in(chunk: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(chunk);
    // Borrows only reach bytes above the first zero, so the lowest bit is exact.
    let zeros = word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS;
    (zeros != 0).then(|| (zeros.trailing_zeros() / 8) as usize)
}

#[cold]
fn find_nul_further(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk() {
        if let Some(nul) = nul_in(*chunk) {
            return Some(at + nul);
        }
        at += 8;
        rest = tail;
    }
    Some(at + rest.iter().position(|&byte| byte == 0)?)
}

/// Whether two names are equal: first by length, then, up to 16 bytes, without a loop. Bytes in the middle are
/// read twice.
#[inline]
pub(crate) fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && match left.len() {
            0 => true,
            1..4 => {
                left.first() == right.first()
                    && left.last() == right.last()
                    && left.get(1) == right.get(1)
            }
            4..8 => {
                left.first_chunk::<4>() == right.first_chunk()
                    && left.last_chunk::<4>() == right.last_chunk()
            }
            8..=16 => {
                left.first_chunk::<8>() == right.first_chunk()
                    && left.last_chunk::<8>() == right.last_chunk()
            }
            _ => left == right,
        }
}

/// The order of two byte slices, like `Ord::cmp`, which works byte by byte in a plugin.
#[inline]
pub(crate) fn order(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while let (Some((l, tail_l)), Some((r, tail_r))) = (
        left.split_first_chunk::<8>(),
        right.split_first_chunk::<8>(),
    ) {
        if l != r {
            return u64::from_be_bytes(*l).cmp(&u64::from_be_bytes(*r));
        }
        (left, right) = (tail_l, tail_r);
    }
    left.cmp(right)
}

/// Appends bytes. Up to 32 bytes are appended without a call, as their first and last half.
#[inline]
pub fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes {
        [] => {}
        [one] => out.push(*one),
        [one, two] => out.extend_from_slice(&[*one, *two]),
        [one, two, three] => out.extend_from_slice(&[*one, *two, *three]),
        _ => match bytes.len() {
            ..=8 => append_halves::<4>(out, bytes),
            9..=16 => append_halves::<8>(out, bytes),
            17..=32 => append_halves::<16>(out, bytes),
            _ => out.extend_from_slice(bytes),
        },
    }
}

/// Appends `N` to `2 * N` bytes; bytes in the middle are written twice.
#[inline]
fn append_halves<const N: usize>(out: &mut Vec<u8>, bytes: &[u8]) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
        return;
    };
    let end = out.len() + bytes.len();
    out.reserve(2 * N);
    out.extend_from_slice(first);
    out.truncate(end - N);
    out.extend_from_slice(last);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_nul_is_found(bytes in prop::collection::vec(prop_oneof![20 => any::<u8>(), 1 => Just(0)], 0..60)) {
            prop_assert_eq!(find_nul(&bytes), bytes.iter().position(|&byte| byte == 0));
        }

        #[test]
        fn bytes_are_appended_after_the_others(
            before in prop::collection::vec(any::<u8>(), 0..40),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut out = before.clone();
            append(&mut out, &bytes);
            prop_assert_eq!(out, [before, bytes].concat());
        }

        #[test]
        fn one_changed_byte_makes_another_name(
            name in prop::collection::vec(any::<u8>(), 1..40),
            at in any::<prop::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let mut other = name.clone();
            prop_assert!(same(&name, &other));
            other[at.index(name.len())] ^= change;
            prop_assert!(!same(&name, &other) && !same(&name, &name[1..]));
        }

        #[test]
        fn bytes_are_ordered_as_slices_are(
            left in prop::collection::vec(any::<u8>(), 0..40),
            right in prop::collection::vec(any::<u8>(), 0..40),
            common in 0..40_usize,
        ) {
            let mut close = left.clone();
            for (byte, other) in close.iter_mut().zip(&right).skip(common) {
                *byte = *other;
            }
            for other in [&right, &close, &close[..close.len().min(common)].to_vec()] {
                prop_assert_eq!(order(&left, other), left.cmp(other));
            }
        }
    }
}
