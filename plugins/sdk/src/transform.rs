//! What a plugin that keeps, drops and rewrites documents implements.

use raw_bson::Malformed;

use crate::{Namespace, Plugin};

/// Keeps, drops and rewrites documents.
///
/// A plugin that drops documents by a field:
///
/// ```
/// use tidegate_plugin_sdk::bson::{compare::canonical_type, find, kind};
/// use tidegate_plugin_sdk::{
///     ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
/// };
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     region: String,
/// }
///
/// struct OneRegion {
///     region: String,
/// }
///
/// impl Plugin for OneRegion {
///     type Config = Config;
///
///     const DESCRIPTION: Description = Description {
///         name: "one-region",
///         version: "1.0.0",
///         semantics: 1,
///         scope: Scope::Document,
///         config_schema: r#"{"type": "object", "required": ["region"]}"#,
///     };
///
///     fn configure(config: Config) -> Result<Self, ConfigError> {
///         Ok(Self { region: config.region })
///     }
/// }
///
/// impl Transform for OneRegion {
///     fn transform(
///         &self,
///         _namespace: &Namespace,
///         document: &[u8],
///         _replacement: &mut Vec<u8>,
///     ) -> Result<Verdict, DocumentFailure> {
///         let region = find(document, "region")?.and_then(|field| field.as_str());
///         Ok(if region == Some(&self.region) { Verdict::Keep } else { Verdict::Drop })
///     }
/// }
///
/// tidegate_plugin_sdk::export!(OneRegion: transform);
///
/// // A test needs no component: a plugin is a type like any other.
/// use tidegate_plugin_sdk::{Outcome, bson::Writer, parse, transform_one};
///
/// let plugin = OneRegion::configure(parse(r#"{"region": "EU"}"#)?)?;
/// let orders = Namespace { database: "shop".to_owned(), collection: "orders".to_owned() };
/// let order_from = |region| {
///     let mut writer = Writer::new();
///     writer.string(b"region", region);
///     writer.finish()
/// };
/// assert_eq!(transform_one(&plugin, &orders, &order_from("EU"))?, Outcome::Keep);
/// assert_eq!(transform_one(&plugin, &orders, &order_from("US"))?, Outcome::Drop);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One that rewrites a field, and copies all others as they are. It looks at
/// one top-level field at a time, so an update of some fields is enough for it
/// (`Scope::Delta`):
///
/// ```
/// use tidegate_plugin_sdk::bson::{DocumentWriter, elements, kind};
/// use tidegate_plugin_sdk::{
///     ConfigError, Description, DocumentFailure, Namespace, Plugin, Scope, Transform, Verdict,
/// };
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Config {}
///
/// struct HideMail;
///
/// impl Plugin for HideMail {
///     type Config = Config;
///
///     const DESCRIPTION: Description = Description {
///         name: "hide-mail",
///         version: "1.0.0",
///         semantics: 1,
///         scope: Scope::Delta,
///         config_schema: r#"{"type": "object", "additionalProperties": false}"#,
///     };
///
///     fn configure(_config: Config) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
/// }
///
/// impl Transform for HideMail {
///     fn transform(
///         &self,
///         _namespace: &Namespace,
///         document: &[u8],
///         replacement: &mut Vec<u8>,
///     ) -> Result<Verdict, DocumentFailure> {
///         let mut walk = elements(document)?;
///         let fields = walk.rest();
///         let Some(mail) = walk.find_name(b"mail")? else {
///             return Ok(Verdict::Keep);
///         };
///         let mut writer = DocumentWriter::append_to(replacement);
///         writer.copy_until(fields, &mail);
///         writer.string(b"mail", "hidden");
///         writer.raw(walk.rest());
///         writer.finish();
///         Ok(Verdict::Replace)
///     }
/// }
///
/// tidegate_plugin_sdk::export!(HideMail: transform);
///
/// use tidegate_plugin_sdk::{Outcome, bson::{Writer, find}, parse, transform_one};
///
/// let plugin = HideMail::configure(parse("{}")?)?;
/// let people = Namespace { database: "shop".to_owned(), collection: "people".to_owned() };
/// let mut writer = Writer::new();
/// writer.value(kind::INT32, b"_id", &1_i32.to_le_bytes());
/// writer.string(b"mail", "ann@example.com");
/// let Outcome::Replace(hidden) = transform_one(&plugin, &people, &writer.finish())? else {
///     unreachable!()
/// };
/// assert_eq!(find(&hidden, "mail")?.and_then(|mail| mail.as_str()), Some("hidden"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transform: Plugin {
    /// Decides about one document, given as raw BSON.
    ///
    /// For [`Verdict::Replace`], append the new document, as raw BSON and with
    /// the same `_id`, to `replacement`, which may hold those of other documents
    /// already: a [`DocumentWriter`](crate::bson::DocumentWriter) appends. For the
    /// other verdicts, and for errors, what was appended is taken off again.
    fn transform(
        &self,
        namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure>;
}

/// What becomes of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Written as it came.
    Keep,
    /// Not on the destination.
    Drop,
    /// The appended document is written in its place.
    Replace,
}

/// Why a document has no verdict. Each holds one sentence for the operator,
/// which says nothing of the document's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentFailure {
    /// This document is at fault; others may be fine.
    Document(String),
    /// The plugin cannot go on, whatever the document.
    Fatal(String),
}

impl std::fmt::Display for DocumentFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Document(reason) | Self::Fatal(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for DocumentFailure {}

impl From<Malformed> for DocumentFailure {
    fn from(_malformed: Malformed) -> Self {
        Self::Document("the document is not well-formed BSON".to_owned())
    }
}

/// What became of one document, with the new one if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Verdict::Keep`].
    Keep,
    /// [`Verdict::Drop`].
    Drop,
    /// [`Verdict::Replace`], by this document.
    Replace(Vec<u8>),
}

/// Runs a plugin over one document, as a test does.
pub fn transform_one<P: Transform>(
    plugin: &P,
    namespace: &Namespace,
    document: &[u8],
) -> Result<Outcome, DocumentFailure> {
    let mut replacement = Vec::new();
    Ok(
        match plugin.transform(namespace, document, &mut replacement)? {
            Verdict::Keep => Outcome::Keep,
            Verdict::Drop => Outcome::Drop,
            Verdict::Replace => Outcome::Replace(replacement),
        },
    )
}
