//! Decimal128 by value, exactly.

use std::cmp::Ordering;

use crate::decimal::Decimal::{self, Finite, Infinite, NotANumber};

impl Decimal {
    /// Compares by value.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            let magnitudes = match (*self, *other) {
                (
                    Finite {
                        coefficient: l,
                        exponent: le,
                        ..
                    },
                    Finite {
                        coefficient: r,
                        exponent: re,
                        ..
                    },
                ) => compare_scaled((l, le), (r, re)),
                _ => self.is_infinite().cmp(&other.is_infinite()),
            };
            self.directed(magnitudes)
        })
    }

    /// Compares with a double, to its last digit.
    pub(super) fn compare_to_double(&self, double: f64) -> Ordering {
        self.sign().cmp(&sign(double)).then_with(|| {
            let magnitudes = match *self {
                Finite {
                    coefficient,
                    exponent,
                    ..
                } if double.is_finite() => compare_with_binary(coefficient, exponent, double.abs()),
                _ => self.is_infinite().cmp(&double.is_infinite()),
            };
            self.directed(magnitudes)
        })
    }

    /// -2 for NaN, which is below all numbers, otherwise the sign of the number.
    fn sign(&self) -> i8 {
        match *self {
            NotANumber => -2,
            Finite { coefficient: 0, .. } => 0,
            Infinite { negative } | Finite { negative, .. } => {
                if negative {
                    -1
                } else {
                    1
                }
            }
        }
    }

    fn is_infinite(&self) -> bool {
        matches!(self, Infinite { .. })
    }

    /// The order of two numbers with the sign of `self`, given the order of their magnitudes.
    fn directed(&self, magnitudes: Ordering) -> Ordering {
        if self.sign() == -1 {
            magnitudes.reverse()
        } else {
            magnitudes
        }
    }
}

/// The sign of a double, as [`Decimal::sign`] returns it.
fn sign(double: f64) -> i8 {
    if double.is_nan() {
        -2
    } else {
        i8::from(double > 0.0) - i8::from(double < 0.0)
    }
}

/// Compares `coefficient * 10^exponent` of two numbers.
fn compare_scaled((l, l_exponent): (u128, i32), (r, r_exponent): (u128, i32)) -> Ordering {
    let (Some(l_digits), Some(r_digits)) = (l.checked_ilog10(), r.checked_ilog10()) else {
        return l.cmp(&r);
    };
    let l_size = i64::from(l_digits) + i64::from(l_exponent);
    let r_size = i64::from(r_digits) + i64::from(r_exponent);
    // Numbers of the same magnitude have their last digits at most 33 places apart.
    let scaled = |coefficient: u128, exponent: i32, other: i32| {
        let places = u32::try_from(exponent.saturating_sub(other)).unwrap_or(0);
        coefficient.saturating_mul(10_u128.saturating_pow(places))
    };
    l_size
        .cmp(&r_size)
        .then_with(|| scaled(l, l_exponent, r_exponent).cmp(&scaled(r, r_exponent, l_exponent)))
}

/// Compares `coefficient * 10^exponent` with a double; neither is negative.
fn compare_with_binary(coefficient: u128, exponent: i32, double: f64) -> Ordering {
    let Some(digits) = coefficient.checked_ilog10() else {
        return 0.0_f64.total_cmp(&double);
    };
    match i64::from(digits) + i64::from(exponent) {
        309.. => return Ordering::Greater,
        ..-324 => return Ordering::Less,
        _ => {}
    }
    // 10^e is 5^e * 2^e. Each power of five, and the sum of the powers of two, multiplies the side on which it
    // is not a fraction.
    let (mantissa, power) = binary_parts(double);
    let mut left = Natural::from(coefficient);
    let mut right = Natural::from(u128::from(mantissa));
    for (base, power) in [(5, exponent), (2, exponent - power)] {
        let side = if power >= 0 { &mut left } else { &mut right };
        side.multiply_by_power(base, power.unsigned_abs());
    }
    left.cmp(&right)
}

/// Mantissa and power of `mantissa * 2^power`, for a finite double that is not negative.
fn binary_parts(double: f64) -> (u64, i32) {
    let bits = double.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match i32::try_from(bits >> 52).unwrap_or(0) {
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased - 1075),
    }
}

/// An unbounded natural number as digits to the base 2^32, the lowest first.
///
/// Invariant: the highest digit is not zero.
#[derive(PartialEq, Eq)]
struct Natural(Vec<u32>);

impl From<u128> for Natural {
    fn from(number: u128) -> Self {
        let mut digits = Vec::new();
        let mut rest = number;
        while rest != 0 {
            digits.push(low(rest));
            rest >>= 32;
        }
        Self(digits)
    }
}

impl Natural {
    fn multiply_by_power(&mut self, base: u32, exponent: u32) {
        // The largest power that fits a digit: 5^13 and 2^31.
        let step = if base == 2 { 31 } else { 13 };
        for _ in 0..exponent / step {
            self.multiply_by(base.pow(step));
        }
        self.multiply_by(base.pow(exponent % step));
    }

    fn multiply_by(&mut self, factor: u32) {
        let mut carry = 0_u128;
        for digit in &mut self.0 {
            carry += u128::from(*digit) * u128::from(factor);
            *digit = low(carry);
            carry >>= 32;
        }
        if carry != 0 {
            self.0.push(low(carry));
        }
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
fn low(number: u128) -> u32 {
    number as u32
}
