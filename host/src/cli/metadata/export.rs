//! `tidegate metadata export`: all documents as canonical Extended JSON, one per line.
//!
//! An export is passed on, to support or in an issue. So it contains no secret and, except for `_id`s, no content of
//! synced documents, whichever release wrote the metadata. Only its owner can read the file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use bson::{Bson, Document, doc};
use serde_json::json;

use super::super::status::CommandStatus;
use super::sync_metadata::SyncMetadata;
use crate::model::{ErrorName, OperatorError};

/// File mode: read and written by the owner alone.
const PRIVATE: u32 = 0o600;

/// The replacement of a plugin configuration, which can hold keys.
const REMOVED: &str = "left out: it can hold secrets";

/// The output of an export: a new file, or standard output.
pub(super) fn output(file: Option<&Path>) -> Result<Box<dyn Write>, OperatorError> {
    let Some(path) = file else {
        let refused = |error| refused("standard output", &error);
        close_to_others().map_err(refused)?;
        return Ok(Box::new(io::stdout().lock()));
    };
    let mut new = OpenOptions::new();
    new.write(true).create_new(true).mode(PRIVATE);
    let file = new.open(path);
    Ok(Box::new(file.map_err(|error| {
        refused(&path.display().to_string(), &error)
    })?))
}

/// Restricts a file to which standard output was redirected to its owner.
fn close_to_others() -> io::Result<()> {
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let found = output.metadata()?;
    if found.is_file() && found.permissions().mode() & 0o777 != PRIVATE {
        output.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    Ok(())
}

fn refused(place: &str, error: &io::Error) -> OperatorError {
    OperatorError::new(
        ErrorName::InvalidConfig,
        format!("The export cannot be written to {place}: {error}. Give a new file to --out."),
    )
}

/// Writes the documents of all collections. Ordered by collection and `_id`, so that exports of the same metadata are
/// equal.
pub(super) async fn export(
    metadata: &SyncMetadata,
    out: &mut impl Write,
) -> anyhow::Result<CommandStatus> {
    let documents = &metadata.documents;
    for collection in documents.collections().await.map_err(OperatorError::from)? {
        let found: Vec<Document> = documents
            .page(&collection, doc! {}, projection(&collection), None)
            .await
            .map_err(OperatorError::from)?;
        for mut document in found {
            redact(&mut document);
            let document = Bson::Document(document).into_canonical_extjson();
            let line = json!({ "collection": collection, "document": document });
            writeln!(out, "{line}")?;
        }
    }
    Ok(CommandStatus::Success)
}

/// A projection without the content of synced documents, which releases up to 0.3.0 stored, and without bodies of calls that
/// are on their way: they can hold configurations of plugins.
fn projection(collection: &str) -> Document {
    match collection {
        "passedCalls" => doc! { "body": 0, "answer": 0 },
        "quarantine" => doc! { "document": 0 },
        _ => doc! {},
    }
}

/// Removes the configurations of plugins from a session's options.
fn redact(document: &mut Document) {
    let options = document.get_document_mut("options");
    let plugins = options.and_then(|options| options.get_array_mut("plugins"));
    for plugin in plugins.into_iter().flatten() {
        if let Bson::Document(plugin) = plugin
            && plugin.contains_key("config")
        {
            plugin.insert("config", REMOVED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f44_an_export_holds_no_configuration_of_a_plugin() {
        let plugin =
            |config: &str| doc! { "component": "field-mask", "config": config, "onError": "stop" };
        let mut session = doc! { "_id": "session", "options": { "source": "cluster0", "plugins": [plugin("MARK"), plugin("{}")] } };
        redact(&mut session);
        let expected = doc! { "_id": "session", "options": { "source": "cluster0", "plugins": [plugin(REMOVED), plugin(REMOVED)] } };
        assert_eq!(session, expected);
        let mut other = doc! { "_id": 1, "options": { "capped": true } };
        redact(&mut other);
        assert_eq!(other, doc! { "_id": 1, "options": { "capped": true } });
    }
}
