//! Decimal128 as text, and against the other types of numbers.
//!
//! The encoding is IEEE 754-2008's binary integer decimal; the text is that of
//! the BSON specification (`bson-decimal128`).

use std::fmt;

const EXPONENT_BIAS: i32 = 6176;
const MIN_EXPONENT: i32 = -6176;
const MAX_EXPONENT: i32 = 6111;
const MAX_DIGITS: usize = 34;
const MAX_COEFFICIENT: u128 = 10_u128.pow(34) - 1;
const NAN: u128 = 0b1_1111 << 122;
const INFINITY: u128 = 0b1_1110 << 122;

/// A number of at most 34 digits, as BSON stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    NotANumber,
    Infinite {
        negative: bool,
    },
    /// `coefficient * 10^exponent`.
    Finite {
        negative: bool,
        coefficient: u128,
        exponent: i32,
    },
}

use Decimal::{Finite, Infinite, NotANumber};

/// A value in another form, and whether it is the same value exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Converted<T> {
    pub value: T,
    pub is_exact: bool,
}

impl Decimal {
    /// Reads the 16 bytes of a value.
    pub fn from_le_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        match (bits >> 122) & 0b1_1111 {
            0b1_1111 => NotANumber,
            0b1_1110 => Infinite { negative },
            kind => {
                // From 0b1_1000 on, the exponent stands two bits lower, and the
                // coefficient has more than 34 digits, which stands for zero.
                let is_large = kind >= 0b1_1000;
                let shift = if is_large { 111 } else { 113 };
                let coefficient = bits & ((1 << 113) - 1);
                let is_zero = is_large || coefficient > MAX_COEFFICIENT;
                Finite {
                    negative,
                    coefficient: if is_zero { 0 } else { coefficient },
                    exponent: i32::try_from((bits >> shift) & 0x3FFF).unwrap_or(0) - EXPONENT_BIAS,
                }
            }
        }
    }

    /// The 16 bytes of a value.
    pub fn to_le_bytes(self) -> [u8; 16] {
        let (negative, bits) = match self {
            NotANumber => (false, NAN),
            Infinite { negative } => (negative, INFINITY),
            Finite {
                negative,
                coefficient,
                exponent,
            } => {
                let exponent = u128::try_from(exponent + EXPONENT_BIAS).unwrap_or(0);
                (negative, exponent << 113 | coefficient)
            }
        };
        (bits | u128::from(negative) << 127).to_le_bytes()
    }

    /// Reads a number as `$convert` does; none for text that is no number, and
    /// for one out of range. Past 34 digits it is rounded, half to even.
    pub fn parse(text: &str) -> Option<Converted<Self>> {
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
        Some(Converted { value, is_exact })
    }

    /// The same number as an integer.
    pub fn from_i64(integer: i64) -> Self {
        Finite {
            negative: integer < 0,
            coefficient: integer.unsigned_abs().into(),
            exponent: 0,
        }
    }

    /// The same number as a double: to 15 digits as `$convert` has it where these
    /// say it all, and else to as many as it takes.
    pub fn from_f64(double: f64) -> Self {
        let number = if double == 0.0 {
            double.to_string()
        } else {
            let digits = format!("{double:.14e}");
            if digits.parse() == Ok(double) {
                digits
            } else {
                format!("{double:e}")
            }
        };
        Self::parse(&number).map_or(NotANumber, |parsed| parsed.value)
    }

    /// The whole part; none for what has none, or one past 38 digits.
    pub fn whole(&self) -> Option<Converted<i128>> {
        let Finite {
            negative,
            coefficient,
            exponent,
        } = *self
        else {
            return None;
        };
        let power = 10_u128.checked_pow(exponent.unsigned_abs());
        let (whole, rest) = match power {
            _ if coefficient == 0 => (0, 0),
            Some(power) if exponent >= 0 => (coefficient.checked_mul(power)?, 0),
            Some(power) => (coefficient / power, coefficient % power),
            None if exponent >= 0 => return None,
            None => (0, coefficient),
        };
        let whole = i128::try_from(whole).ok()?;
        Some(Converted {
            value: if negative { -whole } else { whole },
            is_exact: rest == 0,
        })
    }

    /// The nearest double; none for a number out of its range. It is exact when
    /// the double's own text is this same number.
    pub fn to_f64(&self) -> Option<Converted<f64>> {
        let sign = |negative: bool| if negative { -1.0 } else { 1.0 };
        let (negative, coefficient, exponent) = match *self {
            NotANumber => return Some(exact(f64::NAN)),
            Infinite { negative } => return Some(exact(sign(negative) * f64::INFINITY)),
            Finite {
                negative,
                coefficient,
                exponent,
            } => (negative, coefficient, exponent),
        };
        let magnitude: f64 = format!("{coefficient}e{exponent}").parse().ok()?;
        let is_lost = magnitude == 0.0 && coefficient > 0;
        let is_text = |decimal: Self| decimal.reduced() == reduced(coefficient, exponent);
        let shortest = Self::parse(&format!("{magnitude:e}"));
        (magnitude.is_finite() && !is_lost).then(|| Converted {
            value: sign(negative) * magnitude,
            is_exact: shortest.is_some_and(|shortest| is_text(shortest.value))
                || is_text(Self::from_f64(magnitude)),
        })
    }

    fn reduced(&self) -> (u128, i32) {
        match *self {
            Finite {
                coefficient,
                exponent,
                ..
            } => reduced(coefficient, exponent),
            _ => (0, 0),
        }
    }
}

/// The same number without zeros at its end.
fn reduced(mut coefficient: u128, mut exponent: i32) -> (u128, i32) {
    if coefficient == 0 {
        return (0, 0);
    }
    while coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    (coefficient, exponent)
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

/// An exponent as text; one that no number can have is as good as any other such.
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

/// The digits of a number as they are read: the first 34 that count, and what
/// the others amount to.
#[derive(Default)]
struct Digits {
    any: bool,
    coefficient: u128,
    kept: usize,
    /// By how much the number is more than the coefficient, in powers of ten.
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

fn exact<T>(value: T) -> Converted<T> {
    Converted {
        value,
        is_exact: true,
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

#[cfg(test)]
mod tests;
