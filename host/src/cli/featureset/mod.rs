//! `tidegate featureset`: shows the components of a release, and their effect on a running sync. Changes nothing: the
//! commands return text, which `main` prints.

mod diff;
mod show;

use std::path::Path;

use crate::config::FeatureSetCommand;
use crate::model::OperatorError;
use crate::plugin::FeatureSet;

/// Runs a command of `tidegate featureset`, and returns its output.
///
/// # Errors
///
/// `InvalidConfig` for a feature set that is incomplete or does not match its manifest.
pub fn featureset(command: &FeatureSetCommand) -> Result<String, OperatorError> {
    let load = |folder: &Option<_>| FeatureSet::load(folder.as_deref().map(Path::new));
    match command {
        FeatureSetCommand::Show { set, json } => {
            let set = load(set)?;
            Ok(if *json {
                show::json(&set)
            } else {
                show::text(&set)
            })
        }
        FeatureSetCommand::Diff { from, to, json } => {
            let (from, to) = (load(from)?, load(to)?);
            Ok(if *json {
                diff::json(&from, &to)
            } else {
                diff::text(&from, &to)
            })
        }
    }
}

/// The name of a feature set in output.
fn name_of(set: &FeatureSet) -> String {
    format!(
        "{} {}, metadata version {}",
        set.name(),
        set.version(),
        set.metadata_version()
    )
}

#[cfg(test)]
mod tests;
