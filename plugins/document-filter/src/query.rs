//! Compiles a query, given as JSON, into a filter. Unknown syntax is refused with its path.
//!
//! Supported: fields by dotted path, with a value or with the operators `$eq $ne $gt $gte $lt $lte $in $nin
//! $exists $type $not`; and `$and $or $nor` next to fields. All members of an object must match. Values are
//! Extended JSON.

use serde_json::{Map, Value as Json};
use tidegate_plugin_sdk::bson::{kind, path::Path};
use tidegate_plugin_sdk::ejson::{self, Literal};
use tidegate_plugin_sdk::{ConfigError, ConfigFault};

use crate::condition::{Comparison, Condition, ValueSet};
use crate::filter::Filter;
use crate::types::{as_number, types_called};

const ON_FIELDS: [&str; 11] = [
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$not",
];
const BESIDE_FIELDS: [&str; 3] = ["$and", "$or", "$nor"];

/// Operators of MongoDB's query language without support here.
#[rustfmt::skip]
const NOT_SUPPORTED: [&str; 32] = [
    "$all", "$alwaysFalse", "$alwaysTrue", "$bitsAllClear", "$bitsAllSet", "$bitsAnyClear",
    "$bitsAnySet", "$box", "$center", "$centerSphere", "$comment", "$elemMatch", "$expr",
    "$geoIntersects", "$geoNear", "$geoWithin", "$geometry", "$jsonSchema", "$maxDistance",
    "$minDistance", "$mod", "$near", "$nearSphere", "$options", "$polygon", "$regex",
    "$regularExpression", "$sampleRate", "$size", "$text", "$where", "$within",
];

/// The short form: the field equals any of the values.
pub(crate) fn one_of(field: &str, values: &[Json]) -> Result<Filter, ConfigError> {
    if values.is_empty() {
        return Err(invalid(
            "matchValues",
            "the list is empty, so that nothing would be synced; give at least one value",
        ));
    }
    let path = path(field, "field")?;
    let values = elements(values, "matchValues")?;
    Ok(Filter::Field(path, Condition::In(ValueSet::new(values))))
}

/// Compiles the query at path `at` of the configuration.
pub(crate) fn parse(query: &Json, at: &str) -> Result<Filter, ConfigError> {
    let query = query
        .as_object()
        .ok_or_else(|| invalid(at, "a query is an object"))?;
    let clauses = query
        .iter()
        .map(|(name, value)| clause(name, value, &format!("{at}.{name}")));
    Ok(Filter::all(clauses.collect::<Result<_, _>>()?))
}

fn clause(name: &str, value: &Json, at: &str) -> Result<Filter, ConfigError> {
    match name {
        "$and" => Ok(Filter::all(queries(value, at)?)),
        "$or" => Ok(Filter::Any(queries(value, at)?)),
        "$nor" => Ok(Filter::Any(queries(value, at)?).negated()),
        _ if name.starts_with('$') => Err(unknown(name, at)),
        field => on_field(&path(field, at)?, value, at),
    }
}

fn queries(list: &Json, at: &str) -> Result<Vec<Filter>, ConfigError> {
    let list = list.as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| invalid(at, "this takes a list of at least one query"))?;
    let queries = list.iter().enumerate();
    queries
        .map(|(position, query)| parse(query, &format!("{at}[{position}]")))
        .collect()
}

fn path(field: &str, at: &str) -> Result<Path, ConfigError> {
    if field.starts_with('$') {
        return Err(invalid(at, "a field's path does not begin with `$`"));
    }
    Path::parse(field).map_err(|reason| invalid(at, reason))
}

fn on_field(path: &Path, value: &Json, at: &str) -> Result<Filter, ConfigError> {
    if let Some(operators) = as_operators(value) {
        return all_of(path, operators, at);
    }
    let value = operand(value, at)?;
    Ok(Filter::Field(
        path.clone(),
        Condition::Compare(Comparison::Equal, value),
    ))
}

/// The object of operators given to a field, unless it is a value. As on the server, the first name decides.
fn as_operators(value: &Json) -> Option<&Map<String, Json>> {
    let object = value.as_object()?;
    let first = object.keys().next()?;
    let is_value =
        !first.starts_with('$') || ejson::is_typed(object) || ejson::is_reference(object);
    (!is_value).then_some(object)
}

fn all_of(path: &Path, operators: &Map<String, Json>, at: &str) -> Result<Filter, ConfigError> {
    let conditions = operators
        .iter()
        .map(|(name, value)| operator(path, name, value, &format!("{at}.{name}")));
    Ok(Filter::all(conditions.collect::<Result<_, _>>()?))
}

fn operator(path: &Path, name: &str, value: &Json, at: &str) -> Result<Filter, ConfigError> {
    let field = |condition| Filter::Field(path.clone(), condition);
    let compare = |comparison| Ok(field(Condition::Compare(comparison, operand(value, at)?)));
    let is_in = || Ok(field(Condition::In(ValueSet::new(list(value, at)?))));
    match name {
        // Here a regular expression is a value; elsewhere it is a pattern.
        "$eq" => Ok(field(Condition::Compare(
            Comparison::Equal,
            defined(value, at)?,
        ))),
        "$ne" => Ok(compare(Comparison::Equal)?.negated()),
        "$gt" => compare(Comparison::Greater),
        "$gte" => compare(Comparison::GreaterOrEqual),
        "$lt" => compare(Comparison::Less),
        "$lte" => compare(Comparison::LessOrEqual),
        "$in" => is_in(),
        "$nin" => Ok(is_in()?.negated()),
        "$exists" if truth(value, at)? => Ok(field(Condition::Exists)),
        "$exists" => Ok(field(Condition::Exists).negated()),
        "$type" => Ok(field(Condition::Type(types(value, at)?))),
        "$not" => match as_operators(value) {
            Some(operators) => Ok(all_of(path, operators, at)?.negated()),
            None if is_pattern(value) => Err(pattern(at)),
            None => Err(invalid(at, "this takes an object of operators")),
        },
        _ => Err(unknown(name, at)),
    }
}

fn truth(value: &Json, at: &str) -> Result<bool, ConfigError> {
    let literal = ejson::read(value, at)?;
    let number = || as_number(&literal).map(|number| number != 0.0);
    let truth = literal.value().as_bool().or_else(number);
    truth.ok_or_else(|| invalid(at, "this takes true or false"))
}

fn list(value: &Json, at: &str) -> Result<Vec<Literal>, ConfigError> {
    let list = value.as_array();
    elements(list.ok_or_else(|| invalid(at, "this takes a list"))?, at)
}

fn elements(list: &[Json], at: &str) -> Result<Vec<Literal>, ConfigError> {
    let values = list.iter().enumerate();
    values
        .map(|(position, value)| operand(value, &format!("{at}[{position}]")))
        .collect()
}

/// An operand, which cannot be a regular expression: that would be a pattern.
fn operand(value: &Json, at: &str) -> Result<Literal, ConfigError> {
    let literal = defined(value, at)?;
    match literal.value().kind {
        kind::REGEX => Err(pattern(at)),
        _ => Ok(literal),
    }
}

fn defined(value: &Json, at: &str) -> Result<Literal, ConfigError> {
    let literal = ejson::read(value, at)?;
    match literal.value().kind {
        kind::UNDEFINED => Err(invalid(
            at,
            "the server compares nothing with undefined; null matches it, too",
        )),
        _ => Ok(literal),
    }
}

/// The types named by `$type`.
fn types(value: &Json, at: &str) -> Result<Vec<u8>, ConfigError> {
    let one = std::slice::from_ref(value);
    let types = value.as_array().map_or(one, Vec::as_slice);
    let mut kinds = Vec::new();
    for name in types {
        let literal = ejson::read(name, at)?;
        kinds.extend_from_slice(types_called(&literal).ok_or_else(|| {
            invalid(
                at,
                format!("{name} is neither the name of a type nor its number"),
            )
        })?);
    }
    match kinds.is_empty() {
        true => Err(invalid(at, "the list is empty; give at least one type")),
        false => Ok(kinds),
    }
}

fn is_pattern(value: &Json) -> bool {
    value.get("$regularExpression").is_some()
}

fn pattern(at: &str) -> ConfigError {
    let reason =
        "regular expressions (`$regularExpression`, `$regex`) are not supported in a filter";
    ConfigError::new(ConfigFault::NotSupported, at, reason)
}

fn unknown(name: &str, at: &str) -> ConfigError {
    if NOT_SUPPORTED.contains(&name) {
        let reason = format!(
            "the operator `{name}` is not supported in a filter; there are {} on a field, and {}",
            ON_FIELDS.join(" "),
            BESIDE_FIELDS.join(" ")
        );
        ConfigError::new(ConfigFault::NotSupported, at, reason)
    } else if ON_FIELDS.contains(&name) {
        invalid(at, format!("`{name}` belongs under a field's path"))
    } else if BESIDE_FIELDS.contains(&name) {
        invalid(at, format!("`{name}` belongs beside fields, not under one"))
    } else if name.starts_with('$') {
        let reason = format!("MongoDB has no query operator `{name}`");
        ConfigError::new(ConfigFault::UnknownField, at, reason)
    } else {
        invalid(
            at,
            format!("`{name}` is no operator, and stands among some"),
        )
    }
}

fn invalid(at: &str, reason: impl Into<String>) -> ConfigError {
    ConfigError::new(ConfigFault::InvalidValue, at, reason)
}
