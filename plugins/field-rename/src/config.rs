//! Rules as configured, and their validation.

use serde::Deserialize;
use tidegate_plugin_sdk::bson::path::Path;
use tidegate_plugin_sdk::walk::{Paths, position};
use tidegate_plugin_sdk::{ConfigError, ConfigFault};

use crate::Rule;
use crate::convert::{ConvertRule, ErrorPolicy, LossPolicy, NullPolicy, Target};
use crate::place::{FieldPath, PlaceRule};
use crate::rename::RenameRule;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RuleConfig {
    Rename(PathPair),
    Move(PathPair),
    Copy(PathPair),
    Convert(ConvertConfig),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PathPair {
    from: String,
    to: String,
    #[serde(default)]
    if_exists: ConflictPolicy,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ConvertConfig {
    path: String,
    to: Target,
    #[serde(default)]
    on_error: ErrorPolicy,
    #[serde(default)]
    on_null: NullPolicy,
    #[serde(default)]
    lossy: LossPolicy,
}

/// The action where the destination of a field exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ConflictPolicy {
    #[default]
    Fail,
    /// The existing field is removed.
    Replace,
    /// The existing field stays, and the rule does nothing.
    Keep,
}

impl RuleConfig {
    /// Compiles the rule at path `at` of the configuration.
    pub(crate) fn compile(self, at: &str) -> Result<Rule, ConfigError> {
        Ok(match self {
            Self::Rename(rule) => Rule::Rename(rename(rule, &format!("{at}.rename"))?),
            Self::Move(rule) => Rule::Place(place(rule, &format!("{at}.move"), true)?),
            Self::Copy(rule) => Rule::Place(place(rule, &format!("{at}.copy"), false)?),
            Self::Convert(rule) => Rule::Convert(convert(&rule, &format!("{at}.convert"))?),
        })
    }
}

fn rename(rule: PathPair, at: &str) -> Result<RenameRule, ConfigError> {
    let from = changeable(&rule.from, &format!("{at}.from"))?;
    let at = format!("{at}.to");
    if rule.to.contains('.') {
        let reason = format!(
            "`{}` is a path; a rename gives a field a new name where it is, so give the name alone, or use `move`",
            rule.to
        );
        return Err(ConfigError::new(ConfigFault::InvalidValue, at, reason));
    }
    let to_path = match rule.from.rsplit_once('.') {
        Some((parents, _name)) => format!("{parents}.{}", rule.to),
        None => rule.to.clone(),
    };
    destination(&to_path, &at)?;
    differ(&rule.from, &to_path, &at)?;
    // A path has at least one part.
    let (name, parents) = from.parts().split_last().ok_or_else(|| not_a_path(&at))?;
    Ok(RenameRule {
        parents: (!parents.is_empty()).then(|| Paths::new([(parents, ())])),
        from: name.clone(),
        position: position(name.as_bytes()),
        to: rule.to,
        from_path: rule.from,
        to_path,
        if_exists: rule.if_exists,
    })
}

fn place(rule: PathPair, at: &str, moves: bool) -> Result<PlaceRule, ConfigError> {
    let from_at = format!("{at}.from");
    let from = if moves {
        changeable(&rule.from, &from_at)?
    } else {
        parse(&rule.from, &from_at)?
    };
    let at = format!("{at}.to");
    let to = destination(&rule.to, &at)?;
    differ(&rule.from, &rule.to, &at)?;
    let names = |path: &Path| FieldPath {
        path: path.as_str().to_owned(),
        parts: path.parts().to_vec(),
    };
    Ok(PlaceRule {
        from: names(&from),
        to: names(&to),
        moves,
        if_exists: rule.if_exists,
    })
}

fn convert(rule: &ConvertConfig, at: &str) -> Result<ConvertRule, ConfigError> {
    let path = changeable(&rule.path, &format!("{at}.path"))?;
    Ok(ConvertRule {
        paths: Paths::new([(path.parts(), ())]),
        path: rule.path.clone(),
        to: rule.to,
        on_error: rule.on_error,
        on_null: rule.on_null,
        lossy: rule.lossy,
    })
}

fn parse(path: &str, at: &str) -> Result<Path, ConfigError> {
    Path::parse(path).map_err(|reason| ConfigError::new(ConfigFault::InvalidValue, at, reason))
}

/// A path that a plugin may change.
fn changeable(path: &str, at: &str) -> Result<Path, ConfigError> {
    let parsed = parse(path, at)?;
    if parsed.parts().first().is_some_and(|part| part == "_id") {
        let reason = format!("`{path}` is of the `_id`, which a plugin cannot change");
        return Err(ConfigError::new(ConfigFault::NotSupported, at, reason));
    }
    Ok(parsed)
}

/// A path that can receive a field. The server does not store all names.
fn destination(path: &str, at: &str) -> Result<Path, ConfigError> {
    let parsed = changeable(path, at)?;
    if let Some(part) = parsed.parts().iter().find(|part| part.starts_with('$')) {
        let reason =
            format!("`{part}` begins with `$`, which names of fields do not; give another name");
        return Err(ConfigError::new(ConfigFault::InvalidValue, at, reason));
    }
    Ok(parsed)
}

fn differ(from: &str, to: &str, at: &str) -> Result<(), ConfigError> {
    if from == to {
        let reason =
            format!("`{to}` is where the field is; give another place, or leave the rule out");
        return Err(ConfigError::new(ConfigFault::InvalidValue, at, reason));
    }
    Ok(())
}

fn not_a_path(at: &str) -> ConfigError {
    ConfigError::new(ConfigFault::InvalidValue, at, "it is not a path")
}
