//! The body of `POST /start`: read, checked, and made into `StartOptions`.
//!
//! Every option that mongosync documents is known here. One that asks for what
//! this release does not have is refused by name, never ignored; one that asks
//! for nothing is accepted.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::chain::{self, PluginField, RemapField};
use super::error::Refusal;
use super::filter::{self, FilterField};
use crate::model::options::{BuildIndexes, ClusterName};
use crate::model::{ErrorName, StartOptions};

/// What a sync is asked to do. The options of a sync cannot change once it has begun.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub(super) struct StartRequest {
    /// Which connection is the source: "cluster0" or "cluster1".
    #[schema(value_type = String, example = "cluster0")]
    source: ClusterField,
    /// Which connection is the destination.
    #[schema(value_type = String, example = "cluster1")]
    destination: ClusterField,
    /// What to sync; everything if absent or empty.
    include_namespaces: Option<Vec<FilterField>>,
    /// What not to sync; wins over includeNamespaces.
    exclude_namespaces: Option<Vec<FilterField>>,
    /// When indexes are built on the destination; afterDataCopy if absent.
    build_indexes: Option<BuildIndexesField>,
    /// Not in this release: absent, "none" or false.
    #[schema(value_type = Option<String>)]
    enable_user_write_blocking: Option<WriteBlocking>,
    /// Not in this release: absent or false.
    reversible: Option<bool>,
    /// Not in this release: absent, false or `{"enabled": false}`.
    #[schema(value_type = Option<VerificationField>)]
    verification: Option<Verification>,
    /// Not in this release: absent or false.
    pre_existing_destination_data: Option<bool>,
    /// Not in this release: absent.
    #[schema(value_type = Option<Object>)]
    sharding: Option<Value>,
    /// Which documents to sync: `{"field": …, "matchValues": […]}`, or `{"filter": {…}}`, as the
    /// component document-filter has it.
    #[schema(value_type = Option<Object>)]
    document_filter: Option<Map<String, Value>>,
    /// New names on the destination; those of the source if absent or empty.
    namespace_remap: Option<Vec<RemapField>>,
    /// The components that every document goes through, in this order.
    plugins: Option<Vec<PluginField>>,
    /// Not in this release: absent, empty or false.
    #[schema(value_type = Option<Vec<FilterField>>)]
    copy_in_natural_order: Option<NaturalOrder>,
    /// Changes nothing here: collections are never copied in the order of random ids.
    #[expect(dead_code, reason = "either value asks for what is done anyway")]
    detect_random_id: Option<bool>,
    /// Changes nothing here: disk space is not checked.
    #[expect(dead_code, reason = "either value asks for what is done anyway")]
    skip_disk_space_check: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "a string")]
enum ClusterField {
    Cluster0,
    Cluster1,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", expecting = "a string")]
enum BuildIndexesField {
    AfterDataCopy,
    BeforeDataCopy,
    Never,
    /// Not in this release.
    ExcludeHashed,
    /// Not in this release.
    ExcludeHashedAfterCopy,
}

/// `verification`: an object, or mongosync's older boolean.
struct Verification {
    enabled: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object or a boolean")]
#[schema(as = Verification)]
struct VerificationField {
    enabled: Option<bool>,
}

impl<'de> Deserialize<'de> for Verification {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VerificationVisitor)
    }
}

struct VerificationVisitor;

impl<'de> Visitor<'de> for VerificationVisitor {
    type Value = Verification;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a boolean")
    }

    fn visit_bool<E>(self, enabled: bool) -> Result<Verification, E> {
        let enabled = Some(enabled);
        Ok(Verification { enabled })
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Verification, A::Error> {
        let field = VerificationField::deserialize(de::value::MapAccessDeserializer::new(fields))?;
        Ok(Verification {
            enabled: field.enabled,
        })
    }
}

/// `copyInNaturalOrder`: mongosync's list of filters, or a boolean.
struct NaturalOrder {
    requested: bool,
}

impl<'de> Deserialize<'de> for NaturalOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NaturalOrderVisitor)
    }
}

struct NaturalOrderVisitor;

impl<'de> Visitor<'de> for NaturalOrderVisitor {
    type Value = NaturalOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or a boolean")
    }

    fn visit_bool<E>(self, requested: bool) -> Result<NaturalOrder, E> {
        Ok(NaturalOrder { requested })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut filters: A) -> Result<NaturalOrder, A::Error> {
        let mut requested = false;
        while filters.next_element::<FilterField>()?.is_some() {
            requested = true;
        }
        Ok(NaturalOrder { requested })
    }
}

impl StartRequest {
    /// The options of this request, if every field can be met.
    pub(super) fn into_options(self) -> Result<StartOptions, Refusal> {
        self.refuse_unsupported()?;
        let (source, destination) = (self.source.into(), self.destination.into());
        if source == destination {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                "Fields 'source' and 'destination' name the same connection. \
                 Give cluster0 as one and cluster1 as the other.",
            ));
        }
        Ok(StartOptions {
            source,
            destination,
            include_namespaces: filter::check("includeNamespaces", self.include_namespaces)?,
            exclude_namespaces: filter::check("excludeNamespaces", self.exclude_namespaces)?,
            build_indexes: build_indexes(self.build_indexes)?,
            document_filter: chain::document_filter(self.document_filter),
            namespace_remap: chain::namespace_remap(self.namespace_remap),
            plugins: chain::stages(self.plugins)?,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), Refusal> {
        let verified = self
            .verification
            .as_ref()
            .and_then(|verification| verification.enabled);
        let asked = [
            (
                "reversible",
                self.reversible == Some(true),
                "leave it out or give false",
            ),
            (
                "verification.enabled",
                verified == Some(true),
                "leave it out or give false",
            ),
            (
                "enableUserWriteBlocking",
                self.enable_user_write_blocking
                    .as_ref()
                    .is_some_and(|mode| mode.blocks),
                "leave it out or give \"none\", and keep writers off the destination yourself",
            ),
            (
                "preExistingDestinationData",
                self.pre_existing_destination_data == Some(true),
                "leave it out or give false, and sync to an empty destination",
            ),
            ("sharding", self.sharding.is_some(), "leave it out"),
            (
                "copyInNaturalOrder",
                self.copy_in_natural_order
                    .as_ref()
                    .is_some_and(|order| order.requested),
                "collections are copied in ranges of _id, several at a time; leave it out, or give []",
            ),
        ];
        match asked.iter().find(|(_, is_asked, _)| *is_asked) {
            Some((field, _, remedy)) => Err(not_supported(field, remedy)),
            None => Ok(()),
        }
    }
}

fn not_supported(field: &str, remedy: &str) -> Refusal {
    Refusal::new(
        ErrorName::NotSupported,
        format!("This release does not have what '{field}' asks for: {remedy}."),
    )
}

fn build_indexes(field: Option<BuildIndexesField>) -> Result<BuildIndexes, Refusal> {
    match field {
        None => Ok(BuildIndexes::default()),
        Some(BuildIndexesField::AfterDataCopy) => Ok(BuildIndexes::AfterDataCopy),
        Some(BuildIndexesField::BeforeDataCopy) => Ok(BuildIndexes::BeforeDataCopy),
        Some(BuildIndexesField::Never) => Ok(BuildIndexes::Never),
        Some(BuildIndexesField::ExcludeHashed | BuildIndexesField::ExcludeHashedAfterCopy) => {
            Err(not_supported(
                "buildIndexes",
                "give afterDataCopy, beforeDataCopy or never",
            ))
        }
    }
}

impl From<ClusterField> for ClusterName {
    fn from(field: ClusterField) -> Self {
        match field {
            ClusterField::Cluster0 => Self::Cluster0,
            ClusterField::Cluster1 => Self::Cluster1,
        }
    }
}

/// `enableUserWriteBlocking`: one of three words, or mongosync's older booleans.
struct WriteBlocking {
    blocks: bool,
}

impl<'de> Deserialize<'de> for WriteBlocking {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WriteBlockingVisitor)
    }
}

struct WriteBlockingVisitor;

impl Visitor<'_> for WriteBlockingVisitor {
    type Value = WriteBlocking;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a boolean")
    }

    fn visit_bool<E: de::Error>(self, blocks: bool) -> Result<WriteBlocking, E> {
        Ok(WriteBlocking { blocks })
    }

    fn visit_str<E: de::Error>(self, mode: &str) -> Result<WriteBlocking, E> {
        match mode {
            "none" => Ok(WriteBlocking { blocks: false }),
            "destinationOnly" | "sourceAndDestination" => Ok(WriteBlocking { blocks: true }),
            _ => Err(E::unknown_variant(
                mode,
                &["none", "destinationOnly", "sourceAndDestination"],
            )),
        }
    }
}
