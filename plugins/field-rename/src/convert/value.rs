//! Conversion of a value, by the tables of the server's `$convert`.
//!
//! Differs from the server where that loses digits: see [`LossPolicy`]. The text and the decimal of a double
//! are exact here.

use tidegate_plugin_sdk::bson::{Value, kind};
use tidegate_plugin_sdk::date;
use tidegate_plugin_sdk::decimal::{Conversion, Decimal};

use super::{LossPolicy, Target};

/// The reason why a value is not converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No conversion exists between the two types.
    Type,
    /// The text does not represent a value of the type.
    Text,
    /// The value is out of the range of the type.
    Range,
    /// Digits would be lost.
    Lossy,
}

impl Refusal {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Type => "there is no conversion between these types",
            Self::Text => "the text does not represent such a value",
            Self::Range => "it is out of range",
            Self::Lossy => "digits would be lost",
        }
    }

    /// The option of the rule that governs this case.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Lossy => "lossy",
            Self::Type | Self::Text | Self::Range => "onError",
        }
    }
}

/// A value decoded by its type.
#[derive(Clone, Copy, Debug)]
enum Source<'a> {
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Decimal(Decimal),
    Date(i64),
    ObjectId([u8; 12]),
    Timestamp(u64),
    Text(&'a str),
    Other,
}

use Source::{Bool, Date, Double, Int, Long, ObjectId, Other, Text, Timestamp};

/// Appends the converted value. After a refusal, the appended bytes are meaningless.
pub(super) fn write(
    value: Value<'_>,
    to: Target,
    lossy: LossPolicy,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    if value.kind == to.kind() {
        out.extend_from_slice(value.bytes);
        return Ok(());
    }
    let source = read(value);
    match to {
        Target::String => write_string(&text(source)?, out),
        Target::Int => {
            let int: i32 = in_range(integer(source, lossy)?)?;
            out.extend_from_slice(&int.to_le_bytes());
        }
        Target::Long => {
            let whole = match source {
                Date(date) => date.into(),
                _ => integer(source, lossy)?,
            };
            let long: i64 = in_range(whole)?;
            out.extend_from_slice(&long.to_le_bytes());
        }
        Target::Double => {
            let double = checked(double(source)?, lossy)?;
            out.extend_from_slice(&double.to_le_bytes());
        }
        Target::Decimal => {
            let decimal = checked(decimal(source)?, lossy)?;
            out.extend_from_slice(&decimal.to_le_bytes());
        }
        Target::Bool => out.push(truth(source).into()),
        Target::Date => out.extend_from_slice(&milliseconds(source, lossy)?.to_le_bytes()),
        Target::ObjectId => out.extend_from_slice(&object_id(source)?),
    }
    Ok(())
}

fn read(value: Value<'_>) -> Source<'_> {
    let source = match value.kind {
        kind::BOOLEAN => value.as_bool().map(Bool),
        kind::INT32 => value.as_i32().map(Int),
        kind::INT64 => value.as_i64().map(Long),
        kind::DOUBLE => value.as_f64().map(Double),
        kind::DECIMAL128 => {
            let bytes = value.bytes.try_into().ok();
            bytes.map(|bytes| Source::Decimal(Decimal::from_le_bytes(bytes)))
        }
        kind::DATE => value.as_date().map(Date),
        kind::OBJECT_ID => value.bytes.try_into().ok().map(ObjectId),
        kind::TIMESTAMP => value.as_timestamp().map(Timestamp),
        kind::STRING => value.as_str().map(Text),
        _ => None,
    };
    source.unwrap_or(Other)
}

/// Refuses an inexact conversion, unless the rule allows it.
fn checked<T>(converted: Conversion<T>, lossy: LossPolicy) -> Result<T, Refusal> {
    if converted.is_exact || lossy == LossPolicy::Allow {
        Ok(converted.value)
    } else {
        Err(Refusal::Lossy)
    }
}

fn exact<T>(value: T) -> Conversion<T> {
    Conversion {
        value,
        is_exact: true,
    }
}

fn in_range<T: TryFrom<i128>>(whole: i128) -> Result<T, Refusal> {
    T::try_from(whole).map_err(|_out_of_range| Refusal::Range)
}

/// The integer part of a number, of any size.
fn integer(source: Source<'_>, lossy: LossPolicy) -> Result<i128, Refusal> {
    let whole = match source {
        Bool(truth) => exact(truth.into()),
        Int(int) => exact(int.into()),
        Long(long) => exact(long.into()),
        Double(double) => whole_of(double).ok_or(Refusal::Range)?,
        Source::Decimal(decimal) => decimal.whole().ok_or(Refusal::Range)?,
        Text(text) => exact(text.parse().map_err(|_not_an_integer| Refusal::Text)?),
        Date(_) | ObjectId(_) | Timestamp(_) | Other => return Err(Refusal::Type),
    };
    checked(whole, lossy)
}

fn whole_of(double: f64) -> Option<Conversion<i128>> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is cut off is told, and what does not fit becomes the largest integer"
    )]
    let value = double.trunc() as i128;
    double.is_finite().then(|| Conversion {
        value,
        is_exact: double.trunc() == double,
    })
}

fn double(source: Source<'_>) -> Result<Conversion<f64>, Refusal> {
    Ok(match source {
        Bool(truth) => exact(truth.into()),
        Int(int) => exact(int.into()),
        Long(long) | Date(long) => nearest(long),
        Double(double) => exact(double),
        Source::Decimal(decimal) => decimal.to_f64().ok_or(Refusal::Range)?,
        Text(text) => {
            let decimal = Decimal::parse(text).ok_or(Refusal::Text)?;
            let double = decimal.value.to_f64().ok_or(Refusal::Range)?;
            Conversion {
                value: text.parse().map_err(|_not_a_number| Refusal::Text)?,
                is_exact: decimal.is_exact && double.is_exact,
            }
        }
        ObjectId(_) | Timestamp(_) | Other => return Err(Refusal::Type),
    })
}

fn nearest(long: i64) -> Conversion<f64> {
    let value = long as f64;
    Conversion {
        value,
        is_exact: whole_of(value).is_some_and(|whole| whole.value == i128::from(long)),
    }
}

fn decimal(source: Source<'_>) -> Result<Conversion<Decimal>, Refusal> {
    Ok(match source {
        Bool(truth) => exact(Decimal::from_i64(truth.into())),
        Int(int) => exact(Decimal::from_i64(int.into())),
        Long(long) | Date(long) => exact(Decimal::from_i64(long)),
        Double(double) => exact(Decimal::from_f64(double)),
        Source::Decimal(decimal) => exact(decimal),
        Text(text) => Decimal::parse(text).ok_or(Refusal::Text)?,
        ObjectId(_) | Timestamp(_) | Other => return Err(Refusal::Type),
    })
}

/// Zero is false, everything else is true, including any text.
fn truth(source: Source<'_>) -> bool {
    match source {
        Bool(truth) => truth,
        Int(int) => int != 0,
        Long(long) => long != 0,
        Double(double) => double != 0.0,
        Source::Decimal(Decimal::Finite { coefficient, .. }) => coefficient != 0,
        _ => true,
    }
}

fn milliseconds(source: Source<'_>, lossy: LossPolicy) -> Result<i64, Refusal> {
    match source {
        Date(date) => Ok(date),
        Long(_) | Double(_) | Source::Decimal(_) => in_range(integer(source, lossy)?),
        ObjectId([a, b, c, d, ..]) => Ok(i64::from(u32::from_be_bytes([a, b, c, d])) * 1_000),
        Timestamp(timestamp) => in_range(i128::from(timestamp >> 32) * 1_000),
        Text(text) => {
            let date::ParsedDate { date, is_exact } = date::parse(text).ok_or(Refusal::Text)?;
            checked(
                Conversion {
                    value: date,
                    is_exact,
                },
                lossy,
            )
        }
        Bool(_) | Int(_) | Other => Err(Refusal::Type),
    }
}

fn object_id(source: Source<'_>) -> Result<[u8; 12], Refusal> {
    match source {
        ObjectId(bytes) => Ok(bytes),
        Text(text) if text.len() == 24 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            let number = u128::from_str_radix(text, 16).map_err(|_not_hex| Refusal::Text)?;
            let [_, _, _, _, bytes @ ..] = number.to_be_bytes();
            Ok(bytes)
        }
        Text(_) => Err(Refusal::Text),
        _ => Err(Refusal::Type),
    }
}

fn text(source: Source<'_>) -> Result<String, Refusal> {
    Ok(match source {
        Bool(truth) => truth.to_string(),
        Int(int) => int.to_string(),
        Long(long) => long.to_string(),
        Double(double) => double_text(double),
        Source::Decimal(decimal) => decimal.to_string(),
        Date(date) => date::to_text(date).ok_or(Refusal::Range)?,
        ObjectId(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Text(text) => text.to_owned(),
        Timestamp(_) | Other => return Err(Refusal::Type),
    })
}

/// The shortest exact representation, in the server's form: an exponent has at least two digits, and appears
/// below 0.0001 and from 10^16 on.
fn double_text(double: f64) -> String {
    if double.is_infinite() {
        return if double > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let scientific = format!("{double:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse() {
        Ok(-4..16) => double.to_string(),
        Ok(exponent) => {
            let sign = if exponent < 0_i32 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        Err(_not_a_number) => scientific,
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    let length = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}
