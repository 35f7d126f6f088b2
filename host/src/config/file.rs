//! The configuration file, in YAML.

use std::path::Path;

use super::host::Config;
use super::options::Options;
use super::refusals::invalid;
use super::yaml::read_yaml;
use crate::model::OperatorError;
use crate::model::input;

/// The configuration of `options`, completed by options of the file.
pub(super) fn config(options: Options, file: Option<&Path>) -> Result<Config, OperatorError> {
    let file = file.map(read_file).transpose()?.unwrap_or_default();
    Config::check(options.or(file))
}

/// The options of a configuration file.
pub(super) fn read_file(path: &Path) -> Result<Options, OperatorError> {
    let place = format!("The configuration file {}", path.display());
    let value = read_yaml(&place, path)?;
    if value.is_null() {
        return Ok(Options::default());
    }
    input::read(value).map_err(|error| invalid(format!("{place} is refused: {error}.")))
}
