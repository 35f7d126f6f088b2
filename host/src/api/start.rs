//! The body of `POST /start`, and its conversion into `StartOptions`.
//!
//! Every option that mongosync documents is recognized. A value that requests an unsupported feature is refused by the
//! name of its field, never ignored. A value that requests no feature (false, "none", an empty list) is accepted.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::chain::{self, PluginField, RemapField};
use super::error::Refusal;
use super::filter::{self, FilterField};
use super::request::read_object;
use super::start_users::{UsersAndRolesField, UsersAndRolesObject};
use super::start_verification::{Verification, VerificationField};
use super::write_block_mode::ModeField;
use crate::model::options::{
    BuildIndexes, ClusterName, OplogRollover, ThrottleOptions, WriteBlockMode,
};
use crate::model::{ErrorName, OperatorError, StartOptions};

/// Options of a sync. They cannot change after the sync has begun.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
pub(super) struct StartRequest {
    /// Connection of the source: "cluster0" or "cluster1".
    #[schema(value_type = String, example = "cluster0")]
    source: ClusterField,
    /// Connection of the destination: "cluster0" or "cluster1".
    #[schema(value_type = String, example = "cluster1")]
    destination: ClusterField,
    /// Namespaces to sync; all if absent or empty.
    include_namespaces: Option<Vec<FilterField>>,
    /// Namespaces not to sync. Takes precedence over includeNamespaces.
    exclude_namespaces: Option<Vec<FilterField>>,
    /// Time of the index builds on the destination; afterDataCopy if absent.
    build_indexes: Option<BuildIndexesField>,
    /// Blocks of user writes: "destinationOnly", "sourceAndDestination" (true) or "none" (false). If absent,
    /// destinationOnly where the cluster and the user allow it.
    #[schema(value_type = Option<String>, example = "destinationOnly")]
    enable_user_write_blocking: Option<ModeField>,
    /// Whether the sync can be reversed after its commit. Needs enableUserWriteBlocking sourceAndDestination and indexes,
    /// and no documentFilter, namespaceRemap or plugins.
    reversible: Option<bool>,
    /// The comparison of both clusters, byte for byte. On if absent; a boolean sets `enabled`.
    #[schema(value_type = Option<VerificationField>)]
    verification: Option<Verification>,
    /// Users and roles of the databases in scope, brought over at commit. An object adds those of `admin`, or lets them
    /// replace what the destination has under their names.
    #[schema(value_type = Option<UsersAndRolesObject>)]
    users_and_roles: Option<UsersAndRolesField>,
    /// Not supported in this release: absent or false.
    pre_existing_destination_data: Option<bool>,
    /// Not supported in this release: absent.
    #[schema(value_type = Option<Object>)]
    sharding: Option<Value>,
    /// Documents to sync: `{"field": …, "matchValues": […]}` or `{"filter": {…}}`, the configuration of the component
    /// document-filter.
    #[schema(value_type = Option<Object>)]
    document_filter: Option<Map<String, Value>>,
    /// New names on the destination; the names of the source if absent or empty.
    namespace_remap: Option<Vec<RemapField>>,
    /// Components that transform every document, in this order.
    plugins: Option<Vec<PluginField>>,
    /// Reaction to a position that the source's oplog no longer holds; resync if absent.
    on_oplog_rollover: Option<OplogRolloverField>,
    /// Bounds at which the sync slows itself down for the clusters.
    throttle: Option<ThrottleField>,
    /// Not supported in this release: absent, empty or false.
    #[schema(value_type = Option<Vec<FilterField>>)]
    copy_in_natural_order: Option<NaturalOrder>,
    /// Without effect: collections are never copied in the order of random ids.
    #[expect(dead_code, reason = "both values request the only behaviour")]
    detect_random_id: Option<bool>,
    /// Without effect: disk space is not checked.
    #[expect(dead_code, reason = "both values request the only behaviour")]
    skip_disk_space_check: Option<bool>,
}

/// Flow control.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[schema(as = Throttle)]
struct ThrottleField {
    /// Seconds that a secondary of either cluster may be behind its primary; 10 if absent, 0 for no bound.
    #[schema(value_type = Option<u32>)]
    max_replication_lag_seconds: Option<i64>,
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
    /// Not supported in this release.
    ExcludeHashed,
    /// Not supported in this release.
    ExcludeHashedAfterCopy,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", expecting = "a string")]
enum OplogRolloverField {
    Resync,
    Stop,
}

/// `copyInNaturalOrder`: mongosync's list of filters, or a boolean. An empty list requests nothing.
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

/// The options in the bytes of a body of `POST /start`, for commands that take the body from a file.
///
/// # Errors
///
/// Every refusal of the body by `POST /start`.
pub fn start_options(body: &[u8]) -> Result<StartOptions, OperatorError> {
    let options = read_object::<StartRequest>(body).and_then(StartRequest::into_options);
    options.map_err(OperatorError::from)
}

impl StartRequest {
    /// The options of this request.
    ///
    /// # Errors
    ///
    /// `NotSupported`, `InvalidField` or `InvalidRegex`, for the first fault.
    pub(super) fn into_options(self) -> Result<StartOptions, Refusal> {
        self.refuse_unsupported()?;
        let (source, destination) = (self.source.into(), self.destination.into());
        if source == destination {
            return Err(Refusal::new(
                ErrorName::InvalidField,
                "Fields 'source' and 'destination' name the same connection. \
                 Use cluster0 for one field and cluster1 for the other.",
            ));
        }
        let options = StartOptions {
            source,
            destination,
            include_namespaces: filter::check("includeNamespaces", self.include_namespaces)?,
            exclude_namespaces: filter::check("excludeNamespaces", self.exclude_namespaces)?,
            build_indexes: build_indexes(self.build_indexes)?,
            document_filter: chain::document_filter(self.document_filter),
            namespace_remap: chain::namespace_remap(self.namespace_remap),
            plugins: chain::stages(self.plugins)?,
            on_oplog_rollover: match self.on_oplog_rollover {
                None | Some(OplogRolloverField::Resync) => OplogRollover::Resync,
                Some(OplogRolloverField::Stop) => OplogRollover::Stop,
            },
            throttle: throttle(self.throttle)?,
            write_blocking: self.enable_user_write_blocking.map(|mode| mode.0),
            reversible: self.reversible == Some(true),
            verification: self.verification.map(Into::into),
            users_and_roles: self.users_and_roles.and_then(|field| field.0),
            load_level: None,
        };
        refuse_without_way_back(&options)?;
        refuse_renamed_users(&options)?;
        Ok(options)
    }

    fn refuse_unsupported(&self) -> Result<(), Refusal> {
        let asked = [
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

/// Refuses a reversible sync whose options have no other direction.
fn refuse_without_way_back(options: &StartOptions) -> Result<(), Refusal> {
    if !options.reversible {
        return Ok(());
    }
    let invalid = |message| Err(Refusal::new(ErrorName::InvalidField, message));
    if options.write_blocking() != WriteBlockMode::SourceAndDestination {
        return invalid(
            "Field 'reversible' needs \"enableUserWriteBlocking\": \"sourceAndDestination\": a write to the old source after \
             the commit would be lost in a reverse.",
        );
    }
    if options.build_indexes == BuildIndexes::Never {
        return invalid(
            "Field 'reversible' needs the indexes of the source on the destination: leave buildIndexes out, or give \
             afterDataCopy or beforeDataCopy.",
        );
    }
    let without = [
        ("documentFilter", options.document_filter.is_some()),
        ("namespaceRemap", options.namespace_remap.is_some()),
        ("plugins", !options.plugins.is_empty()),
    ];
    match without.iter().find(|(_, is_given)| *is_given) {
        Some((field, _)) => Err(Refusal::new(
            ErrorName::NotSupported,
            format!(
                "Field 'reversible' is not supported together with '{field}': what it changes has no way back. Leave one \
                 of the two out."
            ),
        )),
        None => Ok(()),
    }
}

/// Refuses users and roles beside other names of databases and collections, of which roles and privileges speak.
fn refuse_renamed_users(options: &StartOptions) -> Result<(), Refusal> {
    if options.users_and_roles.is_none() || options.namespace_remap.is_none() {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorName::NotSupported,
        "Field 'usersAndRoles' is not supported together with 'namespaceRemap': privileges name databases and \
         collections of the source. Leave one of the two out.",
    ))
}

fn not_supported(field: &str, remedy: &str) -> Refusal {
    Refusal::new(
        ErrorName::NotSupported,
        format!("This release does not support the value of '{field}': {remedy}."),
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

fn throttle(field: Option<ThrottleField>) -> Result<ThrottleOptions, Refusal> {
    let Some(seconds) = field.and_then(|field| field.max_replication_lag_seconds) else {
        return Ok(ThrottleOptions::default());
    };
    let most = ThrottleOptions::MAX_SECONDS;
    match u32::try_from(seconds) {
        Ok(max_replication_lag_seconds) if max_replication_lag_seconds <= most => {
            Ok(ThrottleOptions {
                max_replication_lag_seconds,
            })
        }
        _ => Err(Refusal::new(
            ErrorName::InvalidField,
            format!(
                "Field 'throttle.maxReplicationLagSeconds' is {seconds}. Give a whole number from 0 to {most}; 0 \
                 turns flow control off."
            ),
        )),
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
