//! Decimal numbers as text, into the bits of an IEEE 754-2008 decimal of 128 bits.
//!
//! Nothing is rounded: a number that does not fit is refused.

/// The largest coefficient: 34 digits.
const MAX_COEFFICIENT: u128 = 10_u128.pow(34) - 1;
const MIN_EXPONENT: i64 = -6176;
const MAX_EXPONENT: i64 = 6111;

const SIGN: u128 = 1 << 127;
const INFINITY: u128 = 0x78 << 120;
const NAN: u128 = 0x7C << 120;
const EXPONENT_SHIFT: u32 = 113;

/// `-12.5E+3`, `Infinity`, `NaN`; words in any case.
pub(super) fn parse(text: &str) -> Option<u128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (SIGN, text),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("Infinity") || is("Inf") {
        Some(sign | INFINITY)
    } else if is("NaN") {
        Some(sign | NAN)
    } else {
        finite(text).map(|bits| sign | bits)
    }
}

fn finite(text: &str) -> Option<u128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (coefficient, dropped) = coefficient(&digits)?;
    let places = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.checked_sub(places)?.checked_add(dropped)?;
    let (coefficient, exponent) = fit(coefficient, exponent)?;
    let biased = u128::try_from(exponent - MIN_EXPONENT).ok()?;
    Some(biased << EXPONENT_SHIFT | coefficient)
}

/// The digits as a number, and how many zeros at their end it goes without.
fn coefficient(digits: &str) -> Option<(u128, i64)> {
    let significant = digits.trim_start_matches('0');
    let kept = match significant.len() {
        0..=34 => significant,
        _ => significant.trim_end_matches('0'),
    };
    let number = match kept {
        "" => 0,
        _ => kept
            .parse()
            .ok()
            .filter(|number| *number <= MAX_COEFFICIENT)?,
    };
    let dropped = i64::try_from(significant.len() - kept.len()).ok()?;
    Some((number, dropped))
}

/// Moves zeros between coefficient and exponent until the exponent is in range.
fn fit(mut coefficient: u128, mut exponent: i64) -> Option<(u128, i64)> {
    if coefficient == 0 {
        return Some((0, exponent.clamp(MIN_EXPONENT, MAX_EXPONENT)));
    }
    while exponent > MAX_EXPONENT {
        coefficient = coefficient
            .checked_mul(10)
            .filter(|number| *number <= MAX_COEFFICIENT)?;
        exponent -= 1;
    }
    while exponent < MIN_EXPONENT {
        if !coefficient.is_multiple_of(10) {
            return None;
        }
        coefficient /= 10;
        exponent += 1;
    }
    Some((coefficient, exponent))
}
