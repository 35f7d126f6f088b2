//! `tidegate featureset`: what a release ships, and what would happen to a running sync. None
//! of it changes anything: what it gives is text, which `main` prints.

mod diff;
mod show;
mod table;

use std::path::Path;

use crate::config::FeatureSetCommand;
use crate::model::OperatorError;
use crate::plugin::FeatureSet;

/// `tidegate featureset …`.
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

/// A feature set in a few words.
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
