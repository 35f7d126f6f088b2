//! The trait of plugins that keep, drop and rewrite documents.

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
/// A plugin that rewrites a field, and copies all others. It needs a single top-level field at a time, so that
/// the changed fields of an update are enough (`Scope::Delta`):
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
    /// Decides about a document, given as raw BSON.
    ///
    /// For [`Verdict::Replace`], append the new document, as raw BSON with the same `_id`, to `replacement`,
    /// which may already hold other documents: use a [`DocumentWriter`](crate::bson::DocumentWriter). For other
    /// verdicts, and after errors, appended bytes are discarded.
    ///
    /// # Errors
    ///
    /// A sentence for the operator that quotes nothing of the document.
    fn transform(
        &self,
        namespace: &Namespace,
        document: &[u8],
        replacement: &mut Vec<u8>,
    ) -> Result<Verdict, DocumentFailure>;
}

/// The decision about a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write the document unchanged.
    Keep,
    /// Do not write the document to the destination.
    Drop,
    /// Write the appended document instead.
    Replace,
}

/// The reason why a document has no verdict: a sentence for the operator that quotes nothing of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentFailure {
    /// The fault is in this document; others may be fine.
    Document(String),
    /// The plugin cannot continue, with any document.
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

/// The outcome for a document, with the new document if there is any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`Verdict::Keep`].
    Keep,
    /// [`Verdict::Drop`].
    Drop,
    /// [`Verdict::Replace`], with the new document.
    Replace(Vec<u8>),
}

/// Runs a plugin over a document, for tests.
///
/// # Errors
///
/// The plugin's failure.
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
