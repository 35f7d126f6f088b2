//! Parsing and validation of rules.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Number, Value as Json};
use tidegate_plugin_sdk::bson::path::Path;
use tidegate_plugin_sdk::ejson::{self, Literal};
use tidegate_plugin_sdk::{ConfigError, ConfigFault};

use crate::action::{Action, Change, PartialMask, Side};
use crate::date::Unit;
use crate::hash::{HashKey, Hasher};

const DEFAULT_DIGITS: usize = 32;
const DIGITS: std::ops::RangeInclusive<usize> = 8..=64;
/// A sanity limit for the length of masks.
const MAX_CHARACTERS: usize = 4096;

/// A rule, as configured. [`Rule::new`] checks its options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    path: String,
    action: ActionName,
    #[serde(default, deserialize_with = "given")]
    value: Option<Json>,
    length: Option<usize>,
    count: Option<usize>,
    mask: Option<char>,
    to: Option<Unit>,
    otherwise: Option<Fallback>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum ActionName {
    Drop,
    Set,
    Hash,
    KeepFirst,
    KeepLast,
    TruncateDate,
}

/// The fate of a value whose type the action does not support.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fallback {
    #[default]
    Fail,
    Keep,
    Drop,
    Null,
}

/// A rule that is valid by itself.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) path: Path,
    pub(crate) action: Action,
    pub(crate) otherwise: Fallback,
}

/// Distinguishes `null` from a missing field.
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(value).map(Some)
}

impl Rule {
    pub(crate) fn new(
        config: RuleConfig,
        position: usize,
        key: Option<&HashKey>,
    ) -> Result<Arc<Self>, ConfigError> {
        let at = format!("rules[{position}]");
        check_options(&config, &at)?;
        Ok(Arc::new(Self {
            path: path(&config.path, &at)?,
            action: action(&config, &at, key)?,
            otherwise: config.otherwise.unwrap_or_default(),
        }))
    }
}

fn path(text: &str, at: &str) -> Result<Path, ConfigError> {
    let refuse = |reason| ConfigError::new(ConfigFault::InvalidValue, format!("{at}.path"), reason);
    let path = Path::parse(text).map_err(refuse)?;
    if path.parts().first().is_some_and(|part| part == "_id") {
        let reason = format!("`{text}` is of the `_id`, which a plugin cannot change");
        return Err(ConfigError::new(
            ConfigFault::NotSupported,
            format!("{at}.path"),
            reason,
        ));
    }
    Ok(path)
}

/// Refuses options that do not apply to the action.
fn check_options(config: &RuleConfig, at: &str) -> Result<(), ConfigError> {
    use ActionName::{Drop, Hash, KeepFirst, KeepLast, Set, TruncateDate};
    let options = [
        ("value", config.value.is_some(), &[Set][..]),
        (
            "length",
            config.length.is_some(),
            &[Hash, KeepFirst, KeepLast],
        ),
        ("count", config.count.is_some(), &[KeepFirst, KeepLast]),
        ("mask", config.mask.is_some(), &[KeepFirst, KeepLast]),
        ("to", config.to.is_some(), &[TruncateDate]),
        (
            "otherwise",
            config.otherwise.is_some(),
            &[Hash, KeepFirst, KeepLast, TruncateDate],
        ),
    ];
    for (name, is_given, actions) in options {
        if is_given && !actions.contains(&config.action) {
            let action = match config.action {
                Drop => "drop",
                Set => "set",
                Hash => "hash",
                KeepFirst => "keepFirst",
                KeepLast => "keepLast",
                TruncateDate => "truncateDate",
            };
            let reason = format!("`{name}` is not an option of the action `{action}`; remove it");
            return Err(ConfigError::new(
                ConfigFault::InvalidValue,
                format!("{at}.{name}"),
                reason,
            ));
        }
    }
    Ok(())
}

fn action(config: &RuleConfig, at: &str, key: Option<&HashKey>) -> Result<Action, ConfigError> {
    Ok(match config.action {
        ActionName::Drop => Action::Drop,
        ActionName::Set => {
            let value = config
                .value
                .as_ref()
                .ok_or_else(|| missing(at, "set", "value"))?;
            Action::Set(constant(value, &format!("{at}.value"))?)
        }
        ActionName::Hash => Action::Each(Change::Hash(hasher(config, at, key)?)),
        ActionName::KeepFirst => Action::Each(Change::Keep(kept(config, at, Side::First)?)),
        ActionName::KeepLast => Action::Each(Change::Keep(kept(config, at, Side::Last)?)),
        ActionName::TruncateDate => {
            let unit = config.to.ok_or_else(|| missing(at, "truncateDate", "to"))?;
            Action::Each(Change::Truncate(unit))
        }
    })
}

fn constant(json: &Json, at: &str) -> Result<Literal, ConfigError> {
    if let Some(number) = too_large(json) {
        let reason = format!("{number} is too large for a long");
        return Err(ConfigError::new(ConfigFault::InvalidValue, at, reason));
    }
    ejson::read(json, at)
}

/// An integer in `json` that would become a double, which is a different number.
fn too_large(json: &Json) -> Option<&Number> {
    match json {
        Json::Number(number) => (number.is_u64() && !number.is_i64()).then_some(number),
        Json::Array(values) => values.iter().find_map(too_large),
        Json::Object(fields) => fields.values().find_map(too_large),
        _ => None,
    }
}

fn hasher(config: &RuleConfig, at: &str, key: Option<&HashKey>) -> Result<Hasher, ConfigError> {
    let digits = config.length.unwrap_or(DEFAULT_DIGITS);
    if !DIGITS.contains(&digits) {
        let reason = format!(
            "a hash has {} to {} hexadecimal digits, not {digits}",
            DIGITS.start(),
            DIGITS.end()
        );
        return Err(ConfigError::new(
            ConfigFault::InvalidValue,
            format!("{at}.length"),
            reason,
        ));
    }
    let key = key.cloned().ok_or_else(|| {
        let reason =
            format!("{at} hashes, which needs a key; make one with `openssl rand -hex 32`");
        ConfigError::new(ConfigFault::MissingField, "key", reason)
    })?;
    Ok(Hasher { key, digits })
}

fn kept(config: &RuleConfig, at: &str, side: Side) -> Result<PartialMask, ConfigError> {
    let name = if side == Side::First {
        "keepFirst"
    } else {
        "keepLast"
    };
    let refuse = |field: &str, reason: String| {
        ConfigError::new(ConfigFault::InvalidValue, format!("{at}.{field}"), reason)
    };
    let count = config.count.ok_or_else(|| missing(at, name, "count"))?;
    let mask = config.mask.unwrap_or('*');
    if mask.is_control() {
        return Err(refuse(
            "mask",
            "a mask is a single visible character".to_owned(),
        ));
    }
    if count > MAX_CHARACTERS {
        return Err(refuse(
            "count",
            format!("at most {MAX_CHARACTERS} characters are kept"),
        ));
    }
    if config
        .length
        .is_some_and(|length| length <= count || length > MAX_CHARACTERS)
    {
        let reason =
            format!("it is more than `count`, which is {count}, and at most {MAX_CHARACTERS}");
        return Err(refuse("length", reason));
    }
    Ok(PartialMask {
        side,
        count,
        mask,
        length: config.length,
    })
}

fn missing(at: &str, action: &str, field: &str) -> ConfigError {
    let reason = format!("the action `{action}` needs `{field}`");
    ConfigError::new(ConfigFault::MissingField, at, reason)
}

/// Refuses rules that contradict each other, or that are incomplete together.
pub(crate) fn check(rules: &[Arc<Rule>], has_key: bool) -> Result<(), ConfigError> {
    if rules.is_empty() {
        let reason = "the list is empty; add a rule, or remove the plugin";
        return Err(ConfigError::new(ConfigFault::InvalidValue, "rules", reason));
    }
    let hashes = |rule: &Arc<Rule>| matches!(rule.action, Action::Each(Change::Hash(_)));
    if has_key && !rules.iter().any(hashes) {
        let reason = "no rule hashes; remove the key, which would be stored without use";
        return Err(ConfigError::new(ConfigFault::InvalidValue, "key", reason));
    }
    for (position, rule) in rules.iter().enumerate() {
        for (other, before) in rules.iter().enumerate().take(position) {
            let (short, long) = (before.path.parts(), rule.path.parts());
            if short.iter().zip(long).all(|(s, l)| s == l) {
                let reason = format!(
                    "`{}` and `{}` of rules[{other}] are the same field or one within the other; give one rule for both",
                    rule.path, before.path
                );
                return Err(ConfigError::new(
                    ConfigFault::InvalidValue,
                    format!("rules[{position}].path"),
                    reason,
                ));
            }
        }
    }
    Ok(())
}
