//! The catalogs of both clusters: collections, views, indexes and their names.

pub(super) mod database_names;
pub(super) mod destination;
pub(super) mod indexes;
pub(super) mod names;
pub(super) mod options;
pub(super) mod scope;
mod source;
pub(super) mod source_name;
pub(super) mod time_series;
pub(super) mod views;

pub(super) use source::{
    Catalog, CatalogEntry, capture, options_of, read, refuse_unfaithful, survey,
};
