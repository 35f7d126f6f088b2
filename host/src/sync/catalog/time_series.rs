//! Time-series collections.
//!
//! A time-series collection is two namespaces on the server: a collection of buckets, `system.buckets.X`, and the view
//! X, which unpacks them. A sync takes both as they are. Buckets are documents like others, copied byte for byte.
//! The view is made at commit, as all views are: so until then no client writes to X on the destination, and the server
//! there neither opens nor closes a bucket.

use bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, raw::CStr, rawdoc};

use crate::{
    model::{ErrorName, Namespace, OperatorError},
    mongo::{self, Database, listing},
    plugin::Chain,
    sync::Error,
};

/// The option with the fields and the span of buckets.
const OPTION: &str = "timeseries";

/// Fields that the view's stage repeats, in the server's order (seen with 6.0.5: the view of a `create`).
const UNPACKED: [&CStr; 3] = [
    bson::cstr!("timeField"),
    bson::cstr!("metaField"),
    bson::cstr!("bucketMaxSpanSeconds"),
];

/// Fields that `collMod` changes: the granularity, or both spans.
const MODIFIABLE: [&str; 3] = [
    "granularity",
    "bucketMaxSpanSeconds",
    "bucketRoundingSeconds",
];

/// The span in seconds that the server gives each granularity (manual: "Set Granularity for Time Series Data").
const SPANS: [(&str, i32); 3] = [
    ("seconds", 3_600),
    ("minutes", 86_400),
    ("hours", 2_592_000),
];

/// Whether a view of these options is a time-series collection.
pub(crate) fn is_view_of_buckets(options: &RawDocument) -> bool {
    let of = options.get_str("viewOn").ok();
    of.is_some_and(|of| Namespace::new("", of).time_series().is_some())
}

/// Whether a collection of these options holds buckets.
pub(crate) fn holds_buckets(options: &RawDocument) -> bool {
    listing::subdocument(options, OPTION).is_some()
}

/// The options of the view of a time-series collection, from its `listCollections` entry, which does not show them.
pub(crate) fn view_options(
    series: &Namespace,
    options: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let listed = listing::subdocument(options, OPTION).ok_or(mongo::Error::Reply(OPTION))?;
    let mut unpack = RawDocumentBuf::new();
    for name in UNPACKED {
        if let Some(value) = listed.get(name).map_err(mongo::Error::Bson)? {
            unpack.append(name, value);
        }
    }
    let mut pipeline = RawArrayBuf::new();
    pipeline.push(rawdoc! { "$_internalUnpackBucket": unpack });
    let mut view = rawdoc! { "viewOn": series.buckets().collection, "pipeline": pipeline };
    if let Some(collation) = listing::subdocument(options, "collation") {
        view.append(bson::cstr!("collation"), collation);
    }
    Ok(view)
}

/// The option `timeseries` after a `collMod` with these fields.
pub(crate) fn merged(
    options: &RawDocument,
    changed: &RawDocument,
) -> Result<RawDocumentBuf, Error> {
    let Some(before) = listing::subdocument(options, OPTION) else {
        return Ok(changed.to_owned());
    };
    let mut merged = RawDocumentBuf::new();
    for field in before {
        let (name, value) = field.map_err(mongo::Error::Bson)?;
        if !MODIFIABLE.contains(&name.as_str()) {
            merged.append(name, value);
        }
    }
    for field in changed {
        let (name, value) = field.map_err(mongo::Error::Bson)?;
        if MODIFIABLE.contains(&name.as_str()) {
            merged.append(name, value);
        }
    }
    if let Ok(granularity) = changed.get_str("granularity")
        && matches!(merged.get("bucketMaxSpanSeconds"), Ok(None))
        && let Some((_, span)) = SPANS.iter().find(|(name, _)| *name == granularity)
    {
        merged.append(bson::cstr!("bucketMaxSpanSeconds"), *span);
    }
    Ok(merged)
}

/// The value of `timeseries` in a `collMod` that brings a collection to the option `wanted`.
pub(crate) fn modification(wanted: RawBsonRef<'_>) -> Result<RawBson, Error> {
    let wanted = wanted.as_document().ok_or(mongo::Error::Reply(OPTION))?;
    if let Ok(granularity) = wanted.get_str("granularity") {
        return Ok(rawdoc! { "granularity": granularity }.into());
    }
    let mut spans = RawDocumentBuf::new();
    for field in wanted {
        let (name, value) = field.map_err(mongo::Error::Bson)?;
        if MODIFIABLE.contains(&name.as_str()) {
            spans.append(name, value);
        }
    }
    Ok(spans.into())
}

/// Whether the destination has the view of a time-series collection: its `create` would be refused, and a `collMod` has
/// to name it, so that the view changes with its buckets.
pub(crate) async fn has_view(database: &Database, series: &Namespace) -> Result<bool, Error> {
    let found = listing::collection(database, &series.collection).await?;
    Ok(found.is_some_and(|found| found.get_str("type").ok() == Some("timeseries")))
}

/// Refuses time-series collections whose documents plugins would see.
///
/// # Errors
/// `TimeSeriesNotSupported` for the first.
pub fn refuse_transformed(chain: &Chain, series: &[Namespace]) -> Result<(), OperatorError> {
    for namespace in series {
        if tokio::task::block_in_place(|| chain.of(namespace))?.is_some() {
            return Err(OperatorError::new(
                ErrorName::TimeSeriesNotSupported,
                format!(
                    "{namespace} is a time-series collection, and a document filter or a plugin is to see its documents. The \
                     server stores them in buckets, which are copied as they are. Leave it out of the namespaces of each plugin \
                     and of the document filter, or exclude it with excludeNamespaces."
                ),
            ));
        }
    }
    Ok(())
}

/// The refusal of a time-series collection in a sync that an earlier release has begun.
pub(crate) fn not_in_this_sync(namespace: &Namespace) -> OperatorError {
    OperatorError::new(
        ErrorName::TimeSeriesNotSupported,
        format!(
            "{namespace} is a time-series collection, and a release without them has begun this sync, or has met the collection: that change stream does \
             not carry them. Drop it, or start a new sync with this release, or exclude it there with excludeNamespaces."
        ),
    )
}

/// The refusal of a collection that holds its buckets under its own name, as later servers store time-series collections
/// (SERVER-106176).
pub(crate) fn buckets_without_a_view(namespace: &Namespace) -> OperatorError {
    OperatorError::new(
        ErrorName::TimeSeriesNotSupported,
        format!(
            "{namespace} holds the buckets of a time-series collection under its own name, without a view. This release copies time-series collections \
             whose buckets are in a collection system.buckets.NAME. Exclude it with excludeNamespaces."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_that_of_the_server() {
        let series = Namespace::new("app", "weather");
        let options = rawdoc! { "timeseries": {
            "timeField": "t", "metaField": "k", "granularity": "seconds", "bucketMaxSpanSeconds": 3600,
        } };
        let stage = rawdoc! { "timeField": "t", "metaField": "k", "bucketMaxSpanSeconds": 3600 };
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$_internalUnpackBucket": stage });
        let expected = rawdoc! { "viewOn": "system.buckets.weather", "pipeline": pipeline };
        let view = view_options(&series, &options).unwrap();
        assert_eq!(view, expected);
        assert!(is_view_of_buckets(&view) && holds_buckets(&options) && !holds_buckets(&view));
    }

    #[test]
    fn a_changed_granularity_keeps_the_fields_and_sets_the_span() {
        let options = rawdoc! { "timeseries": {
            "timeField": "t", "granularity": "seconds", "bucketMaxSpanSeconds": 3600,
        } };
        let merged_option = merged(&options, &rawdoc! { "granularity": "hours" }).unwrap();
        let expected =
            rawdoc! { "timeField": "t", "granularity": "hours", "bucketMaxSpanSeconds": 2_592_000 };
        assert_eq!(merged_option, expected);
        let spans = rawdoc! { "bucketMaxSpanSeconds": 100, "bucketRoundingSeconds": 100 };
        let custom = merged(&options, &spans).unwrap();
        let expected =
            rawdoc! { "timeField": "t", "bucketMaxSpanSeconds": 100, "bucketRoundingSeconds": 100 };
        assert_eq!(custom, expected);
        let wanted = RawBsonRef::Document(&custom);
        assert_eq!(modification(wanted).unwrap(), RawBson::from(spans));
        let wanted = RawBsonRef::Document(&merged_option);
        let granularity = rawdoc! { "granularity": "hours" };
        assert_eq!(modification(wanted).unwrap(), RawBson::from(granularity));
    }
}
