//! Decimal128: decoding, encoding, text, and conversions to the other numeric types.
//!
//! The encoding is IEEE 754-2008 binary integer decimal. The order of decimals is in
//! [`compare`](crate::compare).
//!
//! Invariant: every [`Decimal`] built here has a coefficient of at most 34 digits and an exponent in the range
//! that can be stored.

mod convert;
mod text;

const EXPONENT_BIAS: i32 = 6176;
const MAX_COEFFICIENT: u128 = 10_u128.pow(34) - 1;
const NAN: u128 = 0b1_1111 << 122;
const INFINITY: u128 = 0b1_1110 << 122;

/// A decoded Decimal128.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// NaN, of any sign and payload.
    NotANumber,
    /// Infinity.
    Infinite {
        /// Whether it is negative.
        negative: bool,
    },
    /// `coefficient * 10^exponent`.
    Finite {
        /// Whether it is negative. Zeros have a sign, too.
        negative: bool,
        /// At most 34 digits.
        coefficient: u128,
        /// From -6176 to 6111.
        exponent: i32,
    },
}

use Decimal::{Finite, Infinite, NotANumber};

/// A value converted to another form, and whether the conversion is exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion<T> {
    /// The converted value.
    pub value: T,
    /// Whether nothing was lost.
    pub is_exact: bool,
}

impl Decimal {
    /// Decodes the 16 bytes of a value.
    pub fn from_le_bytes(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let negative = bits >> 127 == 1;
        match (bits >> 122) & 0b1_1111 {
            0b1_1111 => NotANumber,
            0b1_1110 => Infinite { negative },
            kind => {
                // From 0b1_1000 on, the exponent is two bits lower, and the coefficient has more than 34
                // digits, which counts as zero.
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

    /// Encodes the 16 bytes of a value.
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
}

fn exact<T>(value: T) -> Conversion<T> {
    Conversion {
        value,
        is_exact: true,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
