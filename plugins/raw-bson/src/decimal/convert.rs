//! Conversions between decimals and the other numeric types.

use super::Decimal::{self, Finite, Infinite, NotANumber};
use super::{Conversion, exact};

impl Decimal {
    /// Converts an integer, exactly.
    pub fn from_i64(integer: i64) -> Self {
        Finite {
            negative: integer < 0,
            coefficient: integer.unsigned_abs().into(),
            exponent: 0,
        }
    }

    /// Converts a double: to 15 digits, as `$convert` does, if they represent it exactly, otherwise to as many
    /// digits as it needs.
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

    /// The integer part. `None` for NaN and infinities, and for numbers of more than 38 digits.
    pub fn whole(&self) -> Option<Conversion<i128>> {
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
        Some(Conversion {
            value: if negative { -whole } else { whole },
            is_exact: rest == 0,
        })
    }

    /// The nearest double. `None` for numbers out of its range. The conversion is exact if the double's own
    /// text is this number.
    pub fn to_f64(&self) -> Option<Conversion<f64>> {
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
        (magnitude.is_finite() && !is_lost).then(|| Conversion {
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

/// The same number without trailing zeros.
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
