//! The types that Extended JSON represents as an object with a `$` name.

use serde_json::Value as Json;

use super::text;
use crate::bson::kind;
use crate::date;
use crate::decimal::Decimal;

/// A type with a `$` name.
pub(super) struct Form {
    pub(super) name: &'static str,
    pub(super) kind: u8,
    /// A description of the value after the name.
    pub(super) takes: &'static str,
    /// Encodes a value; `None` if it is invalid.
    pub(super) read: fn(&Json) -> Option<Vec<u8>>,
}

#[rustfmt::skip]
pub(super) const FORMS: [Form; 17] = [
    Form { name: "$oid", kind: kind::OBJECT_ID, takes: "24 hexadecimal digits", read: object_id },
    Form { name: "$date", kind: kind::DATE, takes: "a date as in \"2024-01-31T23:59:59.999Z\", or {\"$numberLong\": \"milliseconds since 1970\"}", read: date },
    Form { name: "$numberInt", kind: kind::INT32, takes: "a 32-bit integer, as a string", read: |json| Some(number::<i32>(json)?.to_le_bytes().into()) },
    Form { name: "$numberLong", kind: kind::INT64, takes: "a 64-bit integer, as a string", read: |json| Some(number::<i64>(json)?.to_le_bytes().into()) },
    Form { name: "$numberDouble", kind: kind::DOUBLE, takes: "a number, Infinity, -Infinity or NaN, as a string", read: double },
    Form { name: "$numberDecimal", kind: kind::DECIMAL128, takes: "a decimal number of at most 34 digits, Infinity, -Infinity or NaN, as a string", read: decimal },
    Form { name: "$binary", kind: kind::BINARY, takes: "{\"base64\": \"bytes\", \"subType\": \"one or two hexadecimal digits\"}", read: binary },
    Form { name: "$uuid", kind: kind::BINARY, takes: "a UUID, as in \"c8edabc3-f738-4ca3-b68d-ab92a91478a3\"", read: uuid },
    Form { name: "$timestamp", kind: kind::TIMESTAMP, takes: "{\"t\": seconds, \"i\": ordinal}, integers of 32 bits", read: timestamp },
    Form { name: "$regularExpression", kind: kind::REGEX, takes: "{\"pattern\": \"text\", \"options\": \"letters\"}", read: regex },
    Form { name: "$symbol", kind: kind::SYMBOL, takes: "a string", read: string },
    Form { name: "$code", kind: kind::JAVASCRIPT, takes: "a string, and `$scope` or nothing beside it", read: string },
    Form { name: "$scope", kind: kind::SCOPED_JAVASCRIPT, takes: "a document, and `$code` beside it", read: |_| None },
    Form { name: "$dbPointer", kind: kind::DB_POINTER, takes: "{\"$ref\": \"namespace\", \"$id\": {\"$oid\": \"24 hexadecimal digits\"}}", read: db_pointer },
    Form { name: "$minKey", kind: kind::MIN_KEY, takes: "1", read: one },
    Form { name: "$maxKey", kind: kind::MAX_KEY, takes: "1", read: one },
    Form { name: "$undefined", kind: kind::UNDEFINED, takes: "true", read: |json| json.as_bool()?.then(Vec::new) },
];

/// The values of an object with exactly these names.
fn parts<'a, const N: usize>(json: &'a Json, names: [&str; N]) -> Option<[&'a Json; N]> {
    let object = json.as_object().filter(|object| object.len() == N)?;
    let mut parts = [json; N];
    for (part, name) in parts.iter_mut().zip(names) {
        *part = object.get(name)?;
    }
    Some(parts)
}

fn only<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    parts(json, [name]).map(|[value]| value)
}

fn object_id(json: &Json) -> Option<Vec<u8>> {
    text::hex(json.as_str()?).filter(|bytes| bytes.len() == 12)
}

fn date(json: &Json) -> Option<Vec<u8>> {
    let millis = match json {
        Json::String(text) => internet_date(text)?,
        _ => number(only(json, "$numberLong")?)?,
    };
    Some(millis.to_le_bytes().into())
}

/// An RFC 3339 date with at most three digits of a fraction, a subset of [`date::parse`].
fn internet_date(text: &str) -> Option<i64> {
    let shape = text.replace(|c: char| c.is_ascii_digit(), "0");
    let tail = shape.strip_prefix("0000-00-00T00:00:00")?;
    let fractions = [".000", ".00", ".0"];
    let zone = fractions.iter().find_map(|part| tail.strip_prefix(part));
    let is_known = matches!(zone.unwrap_or(tail), "Z" | "+00:00" | "-00:00");
    date::parse(text)
        .filter(|_| is_known)
        .map(|parsed| parsed.date)
}

/// Exact conversion only. NaN keeps its sign, as in the drivers.
fn decimal(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    let number = Decimal::parse(text).filter(|number| number.is_exact)?;
    let mut bytes = number.value.to_le_bytes();
    if let (true, Some(high)) = (text.starts_with('-'), bytes.last_mut()) {
        *high |= 0x80;
    }
    Some(bytes.into())
}

fn number<N: std::str::FromStr>(json: &Json) -> Option<N> {
    json.as_str()?.parse().ok()
}

/// The words of the canonical form; Rust accepts more.
fn double(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    let number: f64 = text.parse().ok()?;
    let known = number.is_finite() || matches!(text, "Infinity" | "-Infinity" | "NaN");
    known.then(|| number.to_le_bytes().into())
}

fn string(json: &Json) -> Option<Vec<u8>> {
    json.as_str().map(text::string)
}

fn binary(json: &Json) -> Option<Vec<u8>> {
    let [base64, subtype] = parts(json, ["base64", "subType"])?;
    let subtype = subtype.as_str().filter(|digits| !digits.starts_with('+'))?;
    let subtype = u8::from_str_radix(subtype, 16).ok()?;
    Some(text::binary(subtype, &text::base64(base64.as_str()?)?))
}

fn uuid(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    let groups = text.split('-').map(str::len);
    let bytes = text::hex(&text.replace('-', ""))?;
    groups.eq([8, 4, 4, 4, 12]).then(|| text::binary(4, &bytes))
}

fn timestamp(json: &Json) -> Option<Vec<u8>> {
    let [seconds, ordinal] = parts(json, ["t", "i"])?;
    let part = |json: &Json| u32::try_from(json.as_u64()?).ok();
    let bits = u64::from(part(seconds)?) << 32 | u64::from(part(ordinal)?);
    Some(bits.to_le_bytes().into())
}

/// Options are sorted alphabetically, as in the drivers.
fn regex(json: &Json) -> Option<Vec<u8>> {
    let [pattern, options] = parts(json, ["pattern", "options"])?;
    let mut options: Vec<u8> = options.as_str()?.into();
    options.sort_unstable();
    let pattern = pattern.as_str()?.as_bytes();
    let is_text = !pattern.contains(&0) && !options.contains(&0);
    is_text.then(|| [pattern, &[0], &options, &[0]].concat())
}

fn db_pointer(json: &Json) -> Option<Vec<u8>> {
    let [namespace, id] = parts(json, ["$ref", "$id"])?;
    let id = object_id(only(id, "$oid")?)?;
    Some([string(namespace)?, id].concat())
}

fn one(json: &Json) -> Option<Vec<u8>> {
    (json.as_i64()? == 1).then(Vec::new)
}
