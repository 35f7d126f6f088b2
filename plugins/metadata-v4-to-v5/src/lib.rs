//! Metadata version 4 to 5, and back.
//!
//! | collection | change in version 5 |
//! |---|---|
//! | `session` | more options, write blocks, the commit, the way back |
//! | `verification` | new: the time up to which the destination is verified |
//! | `verifiedCollections` | new: how far each collection is verified |
//! | `mismatches` | new: documents that differ, and their repairs |
//!
//! Forward, every document stays, byte for byte. The way back removes the options of version 5 and the state of the
//! verification: a host of version 4 does not note which documents change, so a later host verifies from the
//! beginning. A sync that blocks user writes, that commits, or whose committed settings are not relaxed again is refused:
//! a host of version 4 would leave the block, or apply changes to what the commit has restored. `mismatches` stays, as a log. `metadataVersion` is set by the host.

use tidegate_plugin_sdk::bson::{DocumentWriter, elements, kind, validate_layout};
use tidegate_plugin_sdk::{
    ConfigError, Context, Description, Direction, DocumentFailure, Migrate, Output, Plugin, Scope,
    Step,
};

const SESSION: &str = "session";
const VERIFICATION: &str = "verification";
const VERIFIED_COLLECTIONS: &str = "verifiedCollections";

/// Fields of the session since version 5.
const OF_A_SESSION: [&[u8]; 7] = [
    b"writeBlocks",
    b"commit",
    b"commitWarnings",
    b"commitUndoneAt",
    b"relaxAgain",
    b"reversePosition",
    b"reversals",
];
/// Options since version 5. A field of another document with one of these names stays.
const OF_THE_OPTIONS: [&[u8]; 3] = [b"verification", b"writeBlocking", b"reversible"];

/// There is nothing to configure.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The step.
#[derive(Debug)]
pub struct MetadataV4ToV5;

impl Plugin for MetadataV4ToV5 {
    type Config = Config;

    const DESCRIPTION: Description = Description {
        name: "metadata-v4-to-v5",
        version: env!("CARGO_PKG_VERSION"),
        semantics: 1,
        scope: Scope::Delta,
        config_schema: include_str!("schema.json"),
    };

    fn configure(_config: Config) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Migrate for MetadataV4ToV5 {
    const STEP: Step = Step {
        from: 4,
        reversible: true,
        collections: &[SESSION, VERIFICATION, VERIFIED_COLLECTIONS],
    };

    fn migrate(
        &self,
        context: &Context<'_>,
        document: &[u8],
        output: &mut Output,
    ) -> Result<(), DocumentFailure> {
        validate_layout(document)?;
        match (context.direction, context.collection) {
            (Direction::Back, SESSION) => session_back(document, output.collection(SESSION)),
            (Direction::Back, _) => Ok(()),
            (Direction::Forward, collection) => {
                output.collection(collection).extend_from_slice(document);
                Ok(())
            }
        }
    }
}

/// Refuses a session that a host of version 4 cannot go on with.
fn refuse_cutover(document: &[u8]) -> Result<(), DocumentFailure> {
    for element in elements(document)? {
        let element = element?;
        let value = element.as_value();
        let reason = match element.name {
            b"writeBlocks" => value
                .as_document()
                .map(has_block)
                .transpose()?
                .unwrap_or_default()
                .then_some("it blocks user writes, and version 4 would never lift the block"),
            b"commit" => Some("it has a commit of version 5"),
            b"relaxAgain" => Some("a commit was undone, and its settings are not relaxed again"),
            b"reversals" => Some("it has been reversed"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(DocumentFailure::Fatal(format!(
                "the sync cannot go back to metadata version 4: {reason}; go on with the release that worked on it \
                 last, or a later one"
            )));
        }
    }
    Ok(())
}

/// Whether the sync has a block that is not open.
fn has_block(blocks: &[u8]) -> Result<bool, DocumentFailure> {
    for block in elements(blocks)? {
        let Some(block) = block?.as_value().as_document() else {
            continue;
        };
        for field in elements(block)? {
            let field = field?;
            if field.is_named(b"state") && field.as_value().as_str() != Some("open") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn session_back(document: &[u8], out: &mut Vec<u8>) -> Result<(), DocumentFailure> {
    refuse_cutover(document)?;
    let mut writer = DocumentWriter::append_to(out);
    for element in elements(document)? {
        let element = element?;
        match element.as_value().as_document() {
            Some(options) if element.is_named(b"options") => {
                let mark = writer.begin(kind::DOCUMENT, b"options");
                for option in elements(options)? {
                    let option = option?;
                    if !OF_THE_OPTIONS.contains(&option.name) {
                        writer.copy(&option);
                    }
                }
                writer.end(mark);
            }
            _ if OF_A_SESSION.contains(&element.name) => {}
            _ => writer.copy(&element),
        }
    }
    writer.finish();
    Ok(())
}

tidegate_plugin_sdk::export!(MetadataV4ToV5: migrate);

#[cfg(test)]
mod tests;
