//! Parses configuration text into a plugin's own type. Errors carry the path of the field.

use serde::de::DeserializeOwned;

use crate::{ConfigError, ConfigFault};

impl ConfigError {
    /// An error about the field at `path`, such as `rules[1].pattern`.
    pub fn new(fault: ConfigFault, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            fault,
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// Parses a configuration.
///
/// # Errors
///
/// The fault and path of the first invalid field.
pub fn parse<C: DeserializeOwned>(config: &str) -> Result<C, ConfigError> {
    let mut text = serde_json::Deserializer::from_str(config);
    serde_path_to_error::deserialize(&mut text).map_err(|error| {
        let path = match error.path().to_string() {
            // `?` is the path of a position in text that is not JSON.
            root if root == "." || root == "?" => String::new(),
            path => path,
        };
        let reason = error.inner().to_string();
        ConfigError::new(fault_of(&reason), path, reason)
    })
}

/// serde distinguishes these errors by their text only.
fn fault_of(reason: &str) -> ConfigFault {
    if reason.starts_with("unknown field") {
        ConfigFault::UnknownField
    } else if reason.starts_with("missing field") {
        ConfigFault::MissingField
    } else {
        ConfigFault::InvalidValue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[expect(dead_code, reason = "only its type matters here")]
        field: String,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        rules: Vec<Rule>,
    }

    #[test]
    fn refusals_name_the_field_and_the_fault() {
        for (config, fault, path) in [
            (
                r#"{"rules": [{"field": "a"}, {"field": 1}]}"#,
                ConfigFault::InvalidValue,
                "rules[1].field",
            ),
            (
                r#"{"rules": [{"feld": "a"}]}"#,
                ConfigFault::UnknownField,
                "rules[0].feld",
            ),
            (r#"{"rules": [{}]}"#, ConfigFault::MissingField, "rules[0]"),
            (r#"{}"#, ConfigFault::MissingField, ""),
            (r#"[1]"#, ConfigFault::InvalidValue, "[0]"),
            ("", ConfigFault::InvalidValue, ""),
            ("{", ConfigFault::InvalidValue, ""),
        ] {
            let error = parse::<Config>(config).expect_err(config);
            assert_eq!(
                (error.fault, error.path.as_str()),
                (fault, path),
                "{config}: {error}"
            );
        }
        assert_eq!(
            parse::<Config>(r#"{"rules": [{"field": "a"}]}"#)
                .expect("fits")
                .rules
                .len(),
            1
        );
    }
}
