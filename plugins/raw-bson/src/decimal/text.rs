//! Decimals as text, by the BSON specification (`bson-decimal128`).

use std::fmt;

use super::Decimal::{self, Finite, Infinite, NotANumber};
use super::{Conversion, MAX_COEFFICIENT, exact};

const MIN_EXPONENT: i32 = -6176;
const MAX_EXPONENT: i32 = 6111;
const MAX_DIGITS: usize = 34;

impl Decimal {
    /// Parses a number like `$convert`. `None` for other text, and for numbers out of range. Digits after the
    /// 34th are rounded, half to even.
    pub fn parse(text: &str) -> Option<Conversion<Self>> {
        let (negative, magnitude) = match text.as_bytes().first()? {
            b'-' => (true, text.get(1..)?),
            b'+' => (false, text.get(1..)?),
            _ => (false, text),
        };
        let word = |word: &str| magnitude.eq_ignore_ascii_case(word);
        if word("nan") {
            return Some(exact(NotANumber));
        }
        if word("inf") || word("infinity") {
            return Some(exact(Infinite { negative }));
        }
        let (digits, exponent) = match magnitude.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
            None => (magnitude, 0),
        };
        let mut number = Digits::default();
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        whole
            .bytes()
            .try_for_each(|byte| number.push(byte, false))?;
        fraction
            .bytes()
            .try_for_each(|byte| number.push(byte, true))?;
        if !number.any {
            return None;
        }
        let is_exact = number.is_exact();
        let (coefficient, shift) = number.rounded();
        let (coefficient, exponent) = in_range(coefficient, exponent + shift)?;
        let value = Finite {
            negative,
            coefficient,
            exponent,
        };
        Some(Conversion { value, is_exact })
    }
}

/// The same number with an exponent that can be stored.
fn in_range(mut coefficient: u128, mut exponent: i32) -> Option<(u128, i32)> {
    if coefficient == 0 {
        return Some((0, exponent.clamp(MIN_EXPONENT, MAX_EXPONENT)));
    }
    while exponent > MAX_EXPONENT && coefficient * 10 <= MAX_COEFFICIENT {
        coefficient *= 10;
        exponent -= 1;
    }
    while exponent < MIN_EXPONENT && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    (MIN_EXPONENT..=MAX_EXPONENT)
        .contains(&exponent)
        .then_some((coefficient, exponent))
}

/// Parses an exponent. All exponents beyond any possible range are treated alike.
fn parse_exponent(text: &str) -> Option<i32> {
    const BEYOND_ALL: i32 = 1_000_000;
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse().unwrap_or(BEYOND_ALL).min(BEYOND_ALL);
    Some(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// The digits of a number during parsing: the first 34 significant digits, and a summary of the rest.
#[derive(Default)]
struct Digits {
    any: bool,
    coefficient: u128,
    kept: usize,
    /// The power of ten by which the number exceeds the coefficient.
    shift: i32,
    first_dropped: u8,
    is_more_dropped: bool,
}

impl Digits {
    fn push(&mut self, byte: u8, is_fraction: bool) -> Option<()> {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        self.any = true;
        if self.kept < MAX_DIGITS {
            self.coefficient = self.coefficient * 10 + u128::from(digit);
            self.kept += usize::from(self.coefficient > 0);
            self.shift -= i32::from(is_fraction);
        } else {
            if self.kept == MAX_DIGITS {
                self.first_dropped = digit;
            } else {
                self.is_more_dropped |= digit > 0;
            }
            self.kept += 1;
            self.shift += i32::from(!is_fraction);
        }
        Some(())
    }

    fn is_exact(&self) -> bool {
        self.first_dropped == 0 && !self.is_more_dropped
    }

    fn rounded(&self) -> (u128, i32) {
        let is_odd = self.coefficient % 2 == 1;
        let up =
            self.first_dropped > 5 || self.first_dropped == 5 && (self.is_more_dropped || is_odd);
        match self.coefficient + u128::from(up) {
            coefficient if coefficient > MAX_COEFFICIENT => (coefficient / 10, self.shift + 1),
            coefficient => (coefficient, self.shift),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, coefficient, exponent) = match *self {
            NotANumber => return f.write_str("NaN"),
            Infinite { negative } => {
                return f.write_str(if negative { "-Infinity" } else { "Infinity" });
            }
            Finite {
                negative,
                coefficient,
                exponent,
            } => (negative, coefficient, exponent),
        };
        if negative {
            f.write_str("-")?;
        }
        let digits = coefficient.to_string();
        let scientific = exponent + i32::try_from(digits.len()).unwrap_or(0) - 1;
        if exponent > 0 || scientific < -6 {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            let point = if rest.is_empty() { "" } else { "." };
            return write!(f, "{first}{point}{rest}E{scientific:+}");
        }
        let decimals = usize::try_from(exponent.unsigned_abs()).unwrap_or(0);
        let padded = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = padded
            .split_at_checked(padded.len() - decimals)
            .unwrap_or((&padded, ""));
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{whole}{point}{fraction}")
    }
}
