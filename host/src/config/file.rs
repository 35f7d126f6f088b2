//! The configuration file, in YAML.

use std::fs;
use std::path::Path;

use super::host::Config;
use super::options::Options;
use super::refusals::{invalid, yaml_fault};
use crate::model::OperatorError;
use crate::model::input;

/// The configuration of `options`, completed by options of the file.
pub(super) fn config(options: Options, file: Option<&Path>) -> Result<Config, OperatorError> {
    let file = file.map(read_file).transpose()?.unwrap_or_default();
    Config::check(options.or(file))
}

fn read_file(path: &Path) -> Result<Options, OperatorError> {
    let place = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        invalid(format!(
            "The configuration file {place} cannot be read: {error}."
        ))
    })?;
    let value: serde_json::Value = serde_saphyr::from_str(&text).map_err(|error| {
        invalid(format!(
            "The configuration file {place} is not valid YAML: {}.",
            yaml_fault(&error)
        ))
    })?;
    if value.is_null() {
        return Ok(Options::default());
    }
    input::read(value).map_err(|error| {
        invalid(format!(
            "The configuration file {place} is refused: {error}."
        ))
    })
}
