//! Database names that differ only in letter case. A server accepts a single database of such
//! names, and keeps the name of a database that has lost its last collection.

use bson::rawdoc;

use super::destination::run;
use crate::{
    model::namespace::folded_database,
    mongo::{self, Destination, listing},
    sync::Error,
};

/// Drops the empty database that keeps the name `database` from being used, as `error` reports it.
/// Returns whether the refused command can be sent again.
///
/// `dropDatabase` has no UUID, so a late command would drop a later database of that name. It is
/// sent only here, and only to a database that holds nothing.
pub(crate) async fn free_database_name(
    destination: &Destination,
    database: &str,
    error: &mongo::Error,
) -> Result<bool, Error> {
    let Some(other) = in_the_way(database, error) else {
        return Ok(false);
    };
    let other = destination.database(&other);
    if !listing::collections(other.reads()).await?.is_empty() {
        return Ok(false);
    }
    run(&other, rawdoc! { "dropDatabase": 1 }).await?;
    Ok(true)
}

/// The database that `error` reports as conflicting with `database`.
fn in_the_way(database: &str, error: &mongo::Error) -> Option<String> {
    let other = error.conflicting_database()?;
    let is_same = folded_database(&other) == folded_database(database);
    (other != database && is_same).then_some(other)
}
