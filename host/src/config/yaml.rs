//! Files in YAML.

use std::fs;
use std::path::Path;

use super::refusals::{invalid, yaml_fault};
use crate::model::OperatorError;

/// The value of a YAML file; null for an empty file. `place` is the subject of a sentence about the file.
pub(super) fn read_yaml(place: &str, path: &Path) -> Result<serde_json::Value, OperatorError> {
    let text = fs::read_to_string(path)
        .map_err(|error| invalid(format!("{place} cannot be read: {error}.")))?;
    serde_saphyr::from_str(&text).map_err(|error| {
        invalid(format!(
            "{place} is not valid YAML: {}.",
            yaml_fault(&error)
        ))
    })
}
