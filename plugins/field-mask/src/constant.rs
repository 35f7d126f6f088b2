//! Constants: a JSON value, or Extended JSON for the types that JSON does not have.

use serde_json::{Map, Value as Json};
use tidegate_plugin_sdk::bson::{Writer, kind};
use tidegate_plugin_sdk::date;
use tidegate_plugin_sdk::decimal::Decimal;

/// A value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Constant {
    pub(crate) kind: u8,
    pub(crate) value: Box<[u8]>,
}

impl Constant {
    /// The error is one sentence for the operator.
    pub(crate) fn parse(json: &Json) -> Result<Self, String> {
        Ok(match json {
            Json::Null => Self::new(kind::NULL, &[]),
            Json::Bool(value) => Self::new(kind::BOOLEAN, &[u8::from(*value)]),
            Json::Number(number) => Self::number(number)?,
            Json::String(text) => Self::string(text),
            Json::Array(values) => {
                let names = (0_usize..).map(|position| position.to_string());
                Self::container(kind::ARRAY, names.zip(values))?
            }
            Json::Object(fields) => match fields.iter().next() {
                Some((name, value)) if name.starts_with('$') => Self::typed(fields, name, value)?,
                _ => Self::container(kind::DOCUMENT, fields.iter())?,
            },
        })
    }

    fn new(kind: u8, value: &[u8]) -> Self {
        Self {
            kind,
            value: value.into(),
        }
    }

    /// The smallest type that holds it, as drivers and the shell have it.
    fn number(number: &serde_json::Number) -> Result<Self, String> {
        let Some(integer) = number.as_i64() else {
            let double = number.as_f64().filter(|_| !number.is_u64());
            let double = double.ok_or_else(|| format!("{number} is too large for a long"))?;
            return Ok(Self::new(kind::DOUBLE, &double.to_le_bytes()));
        };
        Ok(match i32::try_from(integer) {
            Ok(small) => Self::new(kind::INT32, &small.to_le_bytes()),
            Err(_large) => Self::new(kind::INT64, &integer.to_le_bytes()),
        })
    }

    fn string(text: &str) -> Self {
        let length = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
        let value = [&length.to_le_bytes(), text.as_bytes(), &[0]].concat();
        Self::new(kind::STRING, &value)
    }

    fn container<'a>(
        kind: u8,
        fields: impl Iterator<Item = (impl AsRef<str>, &'a Json)>,
    ) -> Result<Self, String> {
        let mut writer = Writer::new();
        for (name, value) in fields {
            let name = name.as_ref();
            if name.contains('\0') {
                return Err("a field's name cannot hold a NUL character".to_owned());
            }
            let constant = Self::parse(value)?;
            writer.value(constant.kind, name.as_bytes(), &constant.value);
        }
        Ok(Self::new(kind, &writer.finish()))
    }

    /// One of Extended JSON's objects, such as `{"$date": "2024-01-01T00:00:00Z"}`.
    fn typed(fields: &Map<String, Json>, name: &str, value: &Json) -> Result<Self, String> {
        if fields.len() > 1 {
            return Err(format!("an object with `{name}` has no other field"));
        }
        let parsed = match (name, value) {
            ("$date", Json::Object(fields)) if fields.len() == 1 => {
                let date = fields.get("$numberLong").and_then(number_text::<i64>);
                date.map(|date| Self::new(kind::DATE, &date.to_le_bytes()))
            }
            ("$date", Json::String(text)) => date::parse(text)
                .filter(|parsed| parsed.is_exact)
                .map(|parsed| Self::new(kind::DATE, &parsed.date.to_le_bytes())),
            ("$oid", Json::String(text)) => object_id(text),
            ("$numberInt", _) => number_text::<i32>(value)
                .map(|number| Self::new(kind::INT32, &number.to_le_bytes())),
            ("$numberLong", _) => number_text::<i64>(value)
                .map(|number| Self::new(kind::INT64, &number.to_le_bytes())),
            ("$numberDouble", _) => number_text::<f64>(value)
                .map(|number| Self::new(kind::DOUBLE, &number.to_le_bytes())),
            ("$numberDecimal", Json::String(text)) => Decimal::parse(text)
                .filter(|parsed| parsed.is_exact)
                .map(|parsed| Self::new(kind::DECIMAL128, &parsed.value.to_le_bytes())),
            ("$date" | "$oid" | "$numberDecimal", _) => None,
            _ => {
                return Err(format!(
                    "`{name}` is not known here; known are $date, $oid, $numberInt, $numberLong, $numberDouble and $numberDecimal"
                ));
            }
        };
        parsed.ok_or_else(|| format!("{value} is no value of `{name}`"))
    }
}

/// A number that is given as a string.
fn number_text<T: std::str::FromStr>(value: &Json) -> Option<T> {
    value.as_str()?.parse().ok()
}

fn object_id(text: &str) -> Option<Constant> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .chunks_exact(2)
        .filter_map(|pair| Some(pair.first()? << 4 | pair.last()?))
        .collect();
    (digits.len() == 24).then(|| Constant::new(kind::OBJECT_ID, &bytes))
}
