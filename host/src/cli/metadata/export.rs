//! `tidegate metadata export`: every document, one a line, as canonical Extended JSON.
//!
//! An export goes to others: to support, to an issue. It holds no secret and, `_id`s apart, nothing of a
//! synced document, whichever release has written the metadata, and only its owner can read it.

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

/// Read and written by its owner alone.
const PRIVATE: u32 = 0o600;

/// What stands in place of the configuration of a plugin, which can hold keys.
const LEFT_OUT: &str = "left out: it can hold secrets";

/// Where an export goes: a new file, or standard output.
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

/// Makes a file that standard output was redirected to one that only its owner can read.
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
        format!(
            "The export cannot be written to {place}: {error}. Give a file that does not exist yet to --out."
        ),
    )
}

/// Collections and documents are in the order of their names and `_id`s, so that two exports
/// of the same metadata are the same.
pub(super) async fn export(
    metadata: &SyncMetadata,
    out: &mut impl Write,
) -> anyhow::Result<CommandStatus> {
    let documents = &metadata.documents;
    for collection in documents.collections().await.map_err(OperatorError::from)? {
        let found: Vec<Document> = documents
            .page(&collection, doc! {}, left_out(&collection), None)
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

/// What releases up to 0.3.0 have stored of synced documents.
fn left_out(collection: &str) -> Document {
    match collection {
        "quarantine" => doc! { "document": 0 },
        _ => doc! {},
    }
}

/// Takes the configurations of plugins out of a session's options.
fn redact(document: &mut Document) {
    let options = document.get_document_mut("options");
    let plugins = options.and_then(|options| options.get_array_mut("plugins"));
    for plugin in plugins.into_iter().flatten() {
        if let Bson::Document(plugin) = plugin
            && plugin.contains_key("config")
        {
            plugin.insert("config", LEFT_OUT);
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
        let expected = doc! { "_id": "session", "options": { "source": "cluster0", "plugins": [plugin(LEFT_OUT), plugin(LEFT_OUT)] } };
        assert_eq!(session, expected);
        let mut other = doc! { "_id": 1, "options": { "capped": true } };
        redact(&mut other);
        assert_eq!(other, doc! { "_id": 1, "options": { "capped": true } });
    }
}
